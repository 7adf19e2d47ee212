import { dirname } from 'node:path';
import type { EgressGateway } from '../egress/gateway.ts';
import { startPlain } from './plain-start.ts';
import type { ConnectorProcess, ProcessSpec, Runner } from './runner.ts';
import type { NamespaceHelper } from './sandbox-plan.ts';
import { sandboxUserDefault } from './sandbox-user.ts';
import { startSandboxed } from './sandboxed-start.ts';
import { createSubprocessHost, type SubprocessHost } from './subprocess-host.ts';

export interface SubprocessRunnerOptions {
  /** The only way out for sandboxed connectors; without it they have no network whatever their rules say. */
  readonly egress?: EgressGateway;
  /** Whom sandboxes run as when the proxy is root; default `bulkhead`. */
  readonly userName?: string;
  /** The Node that connectors written for Node run on; default: the proxy’s own. */
  readonly nodePath?: string;
  /** Default: cgroups where there are any for us, else the watchdog. */
  readonly limits?: 'cgroup' | 'watchdog';
  /** What makes the listeners inside; default: Perl where it is, else Node. */
  readonly helper?: NamespaceHelper['interpreter'];
}

/** Starts connectors as processes of this machine: in a bubblewrap sandbox, or bare for `sandbox: none`. */
export function createSubprocessRunner(options: SubprocessRunnerOptions = {}): Runner {
  const { egress, userName = sandboxUserDefault, nodePath = process.execPath, limits = 'cgroup', helper } = options;
  const live = new Set<ConnectorProcess>();
  const starting = new Set<Promise<unknown>>();
  let host: Promise<SubprocessHost> | undefined;
  let isClosed = false;

  const launch = async (spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess> => {
    if (spec.policy.sandbox === 'none') return await startPlain(spec, dirname(nodePath));
    host ??= createSubprocessHost({ nodePath, userName, egress, limits, helper });
    return await startSandboxed(await host, spec, signal);
  };

  const begin = async (spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess> => {
    const process = await launch(spec, signal);
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
      const held = await host?.catch(() => undefined);
      host = undefined;
      await held?.close();
    },
  };
}
