import { ProxyError } from '../errors.ts';
import { type ContainerHost, type ContainerHostOptions, createContainerHost } from './container-host.ts';
import { startContainer } from './container-start.ts';
import type { ConnectorProcess, ProcessSpec, Runner } from './runner.ts';

export interface DockerRunnerOptions extends ContainerHostOptions {
  /** Address of the engine of connectors that name none: see connectEngine. */
  readonly engine: string;
  /** More engines, to clean up on at start. One that a connector names is known from its first start on. */
  readonly engines?: readonly string[];
  readonly reapIntervalMs?: number;
}

export interface DockerRunner extends Runner {
  /** Removes what dead proxies left on every known engine; also runs at start and on a timer. Returns how many. Never throws. */
  reap(): Promise<number>;
  host(engine?: string): ContainerHost;
}

const defaultReapIntervalMs = 60_000;

/** Starts connectors as containers, on any engine that speaks Docker's API. Reaps from here on, in the background. */
export function createDockerRunner(options: DockerRunnerOptions): DockerRunner {
  const { instance, logger } = options;
  const hosts = new Map<string, ContainerHost>();
  const live = new Set<ConnectorProcess>();
  const starting = new Set<Promise<unknown>>();
  const closing = new AbortController();
  const hostAt = (address: string): ContainerHost => {
    const known = hosts.get(address) ?? createContainerHost(address, options);
    hosts.set(address, known);
    return known;
  };
  const reapAll = async (): Promise<number> => {
    const counts = await Promise.all([...hosts.values()].map((host) => host.reap()));
    await instance.removeLeftFolders().catch(() => {});
    return counts.reduce((sum, count) => sum + count, 0);
  };

  const begin = async (spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess> => {
    const { source, connector } = spec;
    if (source.type !== 'image')
      throw new ProxyError('connector_start_failed', `Connector ${connector} cannot be started: it has no image.`);
    const either = AbortSignal.any([signal, closing.signal]);
    const process = await startContainer({ host: hostAt(source.engine ?? options.engine), spec, image: source.image, signal: either });
    live.add(process);
    void process.exited.then(() => live.delete(process));
    if (!either.aborted) return process;
    process.kill();
    await process.exited;
    throw either.reason;
  };

  for (const address of [options.engine, ...(options.engines ?? [])]) hostAt(address);
  // One after the other: the second of two at once would take what the first is still removing for gone.
  let reaping = reapAll();
  const reapNext = () => {
    reaping = reaping.then(reapAll);
    return reaping;
  };
  const timer = setInterval(reapNext, options.reapIntervalMs ?? defaultReapIntervalMs);
  timer.unref();

  return {
    type: 'docker',
    host: (address = options.engine) => hostAt(address),
    async start(spec, signal) {
      const started = begin(spec, signal);
      starting.add(started);
      return await started.finally(() => starting.delete(started));
    },
    reap: reapNext,
    async close() {
      clearInterval(timer);
      closing.abort(new ProxyError('shutting_down', 'Bulkhead is stopping and starts no container.'));
      await Promise.allSettled(starting);
      for (const process of live) process.kill();
      await Promise.all([...live].map((process) => process.exited));
      await Promise.all([...hosts.values()].map((host) => host.pipeFolders.close()));
      await reaping;
      logger.debug({}, 'docker runner closed');
    },
  };
}
