import { dirname } from 'node:path';
import { startPlain } from './plain-start.ts';
import type { ConnectorProcess, ProcessSpec, Runner } from './runner.ts';

export interface SubprocessRunnerOptions {
  /** The Node that connectors written for Node run on; default: the proxy’s own. */
  readonly nodePath?: string;
}

/** Starts connectors as processes of this machine: in a bubblewrap sandbox, or bare for `sandbox: none`. */
export function createSubprocessRunner({ nodePath = process.execPath }: SubprocessRunnerOptions = {}): Runner {
  const live = new Set<ConnectorProcess>();
  const starting = new Set<Promise<unknown>>();
  let isClosed = false;

  const begin = async (spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess> => {
    const process = await startPlain(spec, dirname(nodePath));
    live.add(process);
    void process.exited.then(() => live.delete(process));
    if (signal.aborted || isClosed) {
      process.kill();
      await process.exited;
      signal.throwIfAborted();
    }
    return process;
  };

  return {
    type: 'subprocess',
    async start(spec, signal) {
      signal.throwIfAborted();
      const started = begin(spec, signal);
      starting.add(started);
      return await started.finally(() => starting.delete(started));
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(starting);
      for (const process of live) process.kill();
      await Promise.all([...live].map((process) => process.exited));
    },
  };
}
