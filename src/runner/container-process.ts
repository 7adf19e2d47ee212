import type { Writable } from 'node:stream';
import { ProxyError } from '../errors.ts';
import { pause } from '../lib/pause.ts';
import type { ContainerEnd, LaunchedContainer } from './container-launch.ts';
import { breachOfExit, type LimitBreach, memoryBreach } from './limit-breach.ts';
import { endFromShellCode } from './process-handle.ts';
import type { ConnectorProcess, ProcessExit, ProcessSpec } from './runner.ts';

export interface ContainerProcessOptions {
  readonly spec: ProcessSpec;
  readonly container: LaunchedContainer;
  readonly stdin: Writable;
  readonly stdout: ConnectorProcess['stdout'];
  /** Settles, with why, when what the container depends on has ended. */
  readonly supportLost: Promise<string>;
  /** Settles when it is to be ended for a limit that it went over. */
  readonly limitBreached: Promise<LimitBreach>;
  /** Releases what belongs to the container; runs once, after it is gone. */
  readonly release: () => Promise<void>;
}

/** From the end of the streams to the end that the engine tells; past it the container is ended by force. */
const endTimeoutMs = 2000;
/** How long the engine may take to remove one; past it the reaper does it. */
const goneTimeoutMs = 35_000;

/** A container that runs, as a ConnectorProcess. The engine's `wait` is not used: it never settles when the engine is killed. */
export function containerProcess(options: ContainerProcessOptions): ConnectorProcess {
  const { spec, container, stdin, stdout, supportLost, limitBreached, release } = options;
  const { streams } = container;
  let wasKilled = false;
  const forced = Promise.withResolvers<void>();
  const kill = () => {
    wasKilled = true;
    forced.resolve();
  };
  const finish = async (): Promise<ProcessExit> => {
    const breached = Promise.race([limitBreached, supportLost.then((what) => supportBreach(spec, what))]);
    const unnamed = Promise.race([streams.ended, forced.promise]).then(() => undefined);
    const breach = await Promise.race([unnamed, breached]);
    try {
      const end = wasKilled || breach !== undefined ? undefined : await knownEnd(container);
      await gone(container);
      return exitOf(spec, { end, breach: wasKilled ? undefined : breach });
    } catch (error) {
      return engineLost(spec, error);
    } finally {
      stdin.destroy();
      await release().catch(() => {});
    }
  };
  return {
    stdin,
    stdout,
    stderr: streams.stderr,
    exited: finish(),
    label: `container ${container.id.slice(0, 12)}`,
    terminate: () => container.signal('SIGTERM'),
    kill,
  };
}

/** The engine notes the end a little after the streams have it. */
async function knownEnd(container: LaunchedContainer): Promise<ContainerEnd | undefined> {
  for (let waitedMs = 0, stepMs = 10; waitedMs < endTimeoutMs; stepMs *= 2) {
    const end = await container.end();
    if (end !== undefined) return end;
    await pause(stepMs);
    waitedMs += stepMs;
  }
  return undefined;
}

async function gone(container: LaunchedContainer): Promise<void> {
  const late = new AbortController();
  const timeout = pause(goneTimeoutMs, late.signal).then((passed) => {
    if (passed) throw new ProxyError('engine_unavailable', `The container engine did not remove a container within ${goneTimeoutMs} ms.`);
  });
  await Promise.race([container.remove(), timeout]).finally(() => late.abort());
}

interface Ending {
  readonly end: ContainerEnd | undefined;
  /** What it was ended for. */
  readonly breach: LimitBreach | undefined;
}

function supportBreach({ connector }: ProcessSpec, what: string): LimitBreach {
  return { code: 'connector_crashed', message: `Connector ${connector} was stopped: ${what}` };
}

function exitOf({ connector, policy }: ProcessSpec, ending: Ending): ProcessExit {
  const { end } = ending;
  if (ending.breach !== undefined) return { exitCode: null, signal: 'SIGKILL', breach: ending.breach };
  if (end === undefined) return { exitCode: null, signal: 'SIGKILL' };
  const shell = endFromShellCode(end.exitCode);
  const { limits } = policy;
  const breach = end.isOutOfMemory ? memoryBreach(connector, limits, limits.memoryBytesMax) : breachOfExit(connector, limits, shell.signal);
  return { ...shell, ...(breach && { breach }) };
}

function engineLost({ connector }: ProcessSpec, error: unknown): ProcessExit {
  const { message } = ProxyError.from(error);
  return {
    exitCode: null,
    signal: null,
    breach: { code: 'engine_unavailable', message: `Connector ${connector} was lost with its engine. ${message}` },
  };
}
