import type { HostConfig } from 'dockerode';
import { ProxyError } from '../errors.ts';
import type { DockerEngine, EngineFacts } from './docker-engine.ts';

/**
 * Looks, at the first container that is made on an engine, and at the first after it was away, whether it keeps the limits that it is asked
 * for. Some drop them and say nothing: Podman without root all ulimits before 5.5, by this API, and on cgroups v1 everything.
 */
export type LimitsCheck = (container: string, wanted: HostConfig) => Promise<void>;

/** @throws, from what it returns, ProxyError `sandbox_unavailable` naming the limits that were dropped; `engine_unavailable` */
export function createLimitsCheck(engine: DockerEngine): LimitsCheck {
  const seen = new WeakSet<EngineFacts>();
  return async (container, wanted) => {
    const facts = await engine.facts();
    if (seen.has(facts)) return;
    const { HostConfig: kept } = await engine.request({
      what: 'looking at the limits of a container',
      run: (docker, abortSignal) => docker.getContainer(container).inspect({ abortSignal } as object),
    });
    const dropped = droppedLimits(wanted, kept);
    if (dropped.length === 0) return void seen.add(facts);
    const message = `The engine at ${engine.address} (${facts.product} ${facts.version}) drops limits of containers: ${dropped.join(', ')}. Run it as root, or use Podman from 5.5 on, or sandbox: none.`;
    throw new ProxyError('sandbox_unavailable', message);
  };
}

/** Names of the limits of a create payload that the container has not, by what the engine says of it. Pure. */
export function droppedLimits(wanted: HostConfig, kept: HostConfig): readonly string[] {
  const plain = (['Memory', 'PidsLimit', 'NanoCpus'] as const).filter((name) => !isHeld(wanted[name], kept[name]));
  const ulimits = (wanted.Ulimits ?? []).filter(({ Name, Hard = 0 }) => {
    const found = (kept.Ulimits ?? []).find((one) => plainName(one.Name) === Name);
    return found?.Hard === undefined || found.Hard < 0 || found.Hard > Hard;
  });
  return [...plain.map((name) => configNames[name]), ...ulimits.map(({ Name = '' }) => Name)];
}

const configNames = { Memory: 'memory', PidsLimit: 'pids', NanoCpus: 'cpu' } as const;

/** 0 and less are no limit. */
function isHeld(wanted: number | undefined, kept: number | undefined): boolean {
  return wanted === undefined || (kept !== undefined && kept > 0 && kept <= wanted);
}

/** Podman says RLIMIT_NOFILE. */
function plainName(name = ''): string {
  return name.toLowerCase().replace(/^rlimit_/, '');
}
