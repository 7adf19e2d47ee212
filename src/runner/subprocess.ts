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
  /** Default: where distributions install bubblewrap. `PATH` is not searched. */
  readonly bwrapPath?: string;
  /** The Node that connectors written for Node run on; default: the proxy’s own. */
  readonly nodePath?: string;
  /** Default: cgroups where there are any for us, else the watchdog. */
  readonly limits?: 'cgroup' | 'watchdog';
  /** What makes the listeners inside; default: Perl where it is, else Node. */
  readonly helper?: NamespaceHelper['interpreter'];
  /** Whether bubblewraps wait for the next starts (spare-bwraps.ts); default true. False is for whoever starts each sandbox once. */
  readonly keepsSpares?: boolean;
}

/** What holds a limit: the kernel, at once and exactly, or a look every 100 ms or more. */
export type LimitStrength =
  | 'hard (cgroup)'
  | 'hard (cgroup), swap not counted'
  | 'hard (rlimit)'
  | 'hard (tmpfs size)'
  | 'soft (watchdog)'
  | 'none';

export interface SubprocessRunner extends Runner {
  /** For status and doctor: what holds each limit here. Rejects with what makes sandboxes impossible, if that is so. */
  limits(): Promise<Readonly<Record<'memory' | 'processes' | 'cpu' | 'disk' | 'files in /tmp', LimitStrength>>>;
}

/** Starts connectors as processes of this machine: in a bubblewrap sandbox, or bare for `sandbox: none`. */
export function createSubprocessRunner(options: SubprocessRunnerOptions = {}): SubprocessRunner {
  const { egress, userName = sandboxUserDefault, bwrapPath, nodePath = process.execPath, limits = 'cgroup', helper } = options;
  const { keepsSpares = true } = options;
  const live = new Set<ConnectorProcess>();
  const starting = new Set<Promise<unknown>>();
  let host: Promise<SubprocessHost> | undefined;
  let isClosed = false;

  const openHost = (): Promise<SubprocessHost> => {
    host ??= createSubprocessHost({ bwrapPath, nodePath, userName, egress, limits, helper, keepsSpares });
    return host;
  };

  const launch = async (spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess> => {
    if (spec.policy.sandbox === 'none') return await startPlain(spec, dirname(nodePath));
    return await startSandboxed(await openHost(), spec, signal);
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
    async limits() {
      const { cgroups, counted } = await openHost();
      const hardMemory = counted.memory ? 'hard (cgroup)' : 'hard (cgroup), swap not counted';
      return {
        memory: cgroups === undefined ? 'soft (watchdog)' : hardMemory,
        processes: counted.pids ? 'hard (cgroup)' : 'hard (rlimit)',
        cpu: cgroups?.folders.has('cpu') ? 'hard (cgroup)' : 'none',
        disk: 'hard (tmpfs size)',
        'files in /tmp': 'soft (watchdog)',
      };
    },
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
