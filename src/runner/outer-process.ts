import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from './process-tree.ts';

/** A process as a ChildProcess shows it, whoever spawned it. */
export interface OuterProcess {
  /** Undefined: it could not be spawned, which `error` tells. */
  readonly pid?: number | undefined;
  /** Both null until it has ended, which `exit` tells. */
  readonly exitCode: number | null;
  readonly signalCode: NodeJS.Signals | null;
  /** By their numbers in the process. */
  readonly stdio: readonly unknown[];
  /** Does nothing once it has ended. */
  kill(signal: NodeJS.Signals): unknown;
  on(event: 'error' | 'exit', listener: () => void): unknown;
  /** What was sent over its channel, if it has one. */
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown;
  once(event: 'error' | 'exit', listener: () => void): unknown;
  /** Of a channel of Node’s. A spawner’s process has that of the spawner. */
  readonly channel?: { ref(): void; unref(): void } | null | undefined;
  readonly connected?: boolean;
  disconnect?(): void;
  /** Whether it keeps this process alive; its streams do in any case. */
  ref(): void;
  unref(): void;
}

/** Whether its exit has been told already: no event will tell of it again. */
export function hasEnded({ exitCode, signalCode }: OuterProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Resolves once its exit is told, or was; it must have been spawned. */
export async function untilEnded(child: OuterProcess): Promise<void> {
  if (!hasEnded(child)) await new Promise<void>((resolve) => child.once('exit', resolve));
}

/**
 * Kills what is left of the group that it leads. The child of a bwrap that was killed before it had let go of it waits for that for ever, in its
 * parent’s group, and holds our pipes.
 */
export function endGroup({ pid }: OuterProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left, or the number is another user’s by now.
  }
}

/** Every entry of stdio that is a pipe. */
export function streamOf({ stdio }: OuterProcess, descriptor: number): Socket {
  return stdio[descriptor] as Socket;
}

export const signalNames: ReadonlyMap<number, NodeJS.Signals> = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** How often, and how many milliseconds apart, it is looked whether the kernel has done away with what lost its spawner. */
const goneLooks = { max: 100, pauseMs: 10 } as const;

/** A process of a spawner: what becomes of it, its spawner tells. */
export class SpawnedProcess extends EventEmitter implements OuterProcess {
  readonly stdio: (Socket | undefined)[] = [];
  readonly kill: (signal: NodeJS.Signals) => void;
  pid: number | undefined;
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;

  constructor(kill: (signal: NodeJS.Signals) => void) {
    super();
    this.kill = kill;
  }

  /** Its spawner has ended; the kernel kills what that had spawned. */
  async lose(): Promise<void> {
    this.abandon();
    endGroup(this);
    for (let look = 0; look < goneLooks.max && this.pid !== undefined && (await isRunning(this.pid)); look++)
      await sleep(goneLooks.pauseMs);
    this.end(null, 'SIGKILL');
  }

  abandon(): void {
    for (const stream of this.stdio) stream?.destroy();
  }

  end(exitCode: number | null, signal: NodeJS.Signals | null): void {
    this.exitCode = exitCode;
    this.signalCode = signal;
    for (const stream of this.stdio) if (!stream?.readable) stream?.destroy();
    this.emit('exit', exitCode, signal);
    // As Node does it with its own: what nobody reads would never close. Not before those who wait for its start have looked.
    setImmediate(() => {
      for (const stream of this.stdio) if (stream?.readable) stream.resume();
    });
  }

  /** Its spawner’s channel is what keeps this process alive. */
  ref(): void {}

  unref(): void {}
}
