import { ProxyError } from '../errors.ts';
import { seccompFault } from './container-seccomp.ts';
import { connectEngine, type EngineFacts } from './docker-engine.ts';
import type { ControlReport } from './doctor.ts';

export interface EngineProbeOptions {
  /** Of the engines that connectors with images use; each is asked once. */
  readonly addresses: readonly string[];
  /** The agent's socket, for engines by ssh. */
  readonly sshAgent?: string | undefined;
}

/**
 * What each engine can hold connectors to, by its own word. An engine that is away is told, not required: its connectors start once it is
 * back. One that is there and lacks what a sandbox promises is a broken promise. Never throws.
 */
export async function probeEngines({ addresses, sshAgent }: EngineProbeOptions): Promise<readonly ControlReport[]> {
  return (await Promise.all([...new Set(addresses)].map((address) => probeEngine(address, sshAgent)))).flat();
}

async function probeEngine(address: string, sshAgent: string | undefined): Promise<readonly ControlReport[]> {
  try {
    return engineReports(address, await connectEngine(address, { agent: sshAgent }).facts());
  } catch (error) {
    const { message } = ProxyError.from(error);
    return [{ control: 'engine', state: 'not available', detail: message, repair: awayRepair, isRequired: false }];
  }
}

const awayRepair = 'start the engine, or correct server.engine; connectors with images start once it answers';

/** Pure. */
export function engineReports(address: string, facts: EngineFacts): readonly ControlReport[] {
  const { product, version, architecture, cgroup, isRootless } = facts;
  return [
    {
      control: 'engine',
      state: 'enforced',
      detail: `${address}: ${product} ${version} ${isRootless ? 'without root' : 'as root'}, ${architecture}, cgroups ${cgroup}`,
      isRequired: true,
    },
    seccompReport(address, facts),
    ...limitReports(address, facts),
  ];
}

function seccompReport(address: string, facts: EngineFacts): ControlReport {
  const control = 'engine seccomp';
  const fault = seccompFault(facts);
  if (fault !== undefined) {
    const repair = 'use an engine that can have it, or sandbox: none';
    return { control, state: 'not enforced', detail: `${address} ${fault}`, repair, isRequired: true };
  }
  return { control, state: 'enforced', detail: `${address}: Bulkhead’s own profile, whatever the engine’s is`, isRequired: true };
}

/** A swap that is not limited lets a connector have more than its memory, slowly; the rest is a promise. */
function limitReports(address: string, { limits, isRootless, cgroup }: EngineFacts): readonly ControlReport[] {
  const names = { memory: 'limits.memory', pids: 'limits.pids', cpu: 'limits.cpu', swap: 'no swap' } as const;
  return (['memory', 'pids', 'cpu', 'swap'] as const).map((name) => {
    const control = `engine limit of ${name}`;
    const isRequired = name !== 'swap';
    if (limits[name]) return { control, state: 'enforced', detail: `${address}: ${names[name]}`, isRequired };
    const isVain = isRootless && cgroup.startsWith('v1');
    const repair = isVain
      ? 'run the engine as root, or boot with cgroups v2'
      : `delegate the ${name === 'swap' ? 'memory' : name} controller to the engine, or boot with swapaccount=1 for swap (docs/docker.md)`;
    const detail = `${address}: ${isVain ? 'without root there is none on cgroups v1' : 'its cgroups lack it'}`;
    return { control, state: 'not enforced', detail, repair, isRequired };
  });
}
