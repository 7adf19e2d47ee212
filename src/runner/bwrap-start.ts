import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { EgressSession } from '../egress/gateway.ts';
import { pause } from '../lib/pause.ts';
import type { Cgroup } from '../sandbox/cgroup.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import type { CheckedBind } from './bind-source.ts';
import { firstProgram, kindOf, needsHelper, ownArguments } from './bwrap-args.ts';
import { limitsAhead } from './bwrap-limits.ts';
import { type BwrapShape, closeFiles, countFiles, discardBwrap, tellArguments, type WaitingBwrap } from './bwrap-process.ts';
import { readyMark } from './bwrap-script.ts';
import { type KeptOutput, keepOutput, type Output } from './kept-output.ts';
import { takeListeners } from './netns-listeners.ts';
import { endGroup, type OuterProcess, streamOf, untilEnded } from './outer-process.ts';
import { outputDrainTimeoutMs } from './process-handle.ts';
import { explainSandboxFailure } from './sandbox-failure.ts';
import { descriptors, type SandboxPlan } from './sandbox-plan.ts';
import type { SpareBwraps } from './spare-bwraps.ts';

export interface SandboxStart {
  readonly connector: string;
  readonly plan: SandboxPlan;
  readonly architecture: FilterArchitecture;
  readonly spares: SpareBwraps;
  /** Serves what the sandbox’s listeners take; undefined: it has none. */
  readonly session: EgressSession | undefined;
  /** Paths that are mounted from where root carries them. */
  readonly carried: readonly CheckedBind[];
  /** Ends the start, and what has been started. */
  readonly signal: AbortSignal;
}

/** A sandbox whose connector’s program runs, or is about to. */
export interface StartedSandbox {
  readonly child: OuterProcess;
  readonly output: Output;
  /** The first process inside, by its number outside. When it ends, the kernel ends everything inside. */
  readonly innerPid: number;
  /** Holds bwrap and everything inside; undefined: this machine has none for us. */
  readonly cgroup: Cgroup | undefined;
  /** Closes the listeners; idempotent. */
  readonly releaseListeners: () => void;
}

/**
 * Starts a sandbox and waits until the connector’s program takes over, so that one that cannot be had is told as that.
 * @throws ProxyError `sandbox_unavailable` with bwrap’s own words and the repair.
 */
export async function startSandbox(start: SandboxStart): Promise<StartedSandbox> {
  const { plan, spares, carried } = start;
  const usesIpc = needsHelper(plan);
  // The helper limits bwrap’s process inside, together with itself.
  const limits = usesIpc ? [] : limitsAhead(plan.policy.limits, plan.counted);
  const wordsOf = (isLimited: boolean) => ownArguments(plan, start.architecture, isLimited);
  const isLimitable = limits.length > 0;
  const words = wordsOf(isLimitable);
  const shape: BwrapShape = { kind: kindOf(plan), firstProgram: firstProgram(plan), files: countFiles(words), usesIpc, limits, carried };
  for (;;) {
    const { bwrap, isSpare } = await spares.take(shape);
    try {
      return await bringUp(start, bwrap, async () => {
        try {
          limitCgroup(bwrap, start);
          await bwrap.joined;
          tellArguments(bwrap, bwrap.isLimited === isLimitable ? words : wordsOf(bwrap.isLimited));
        } finally {
          closeFiles(bwrap);
        }
      });
    } catch (error) {
      await discardBwrap(bwrap);
      // It may have been killed while it waited. Nothing of the connector has run in it, so a new one may be tried.
      if (!isSpare || start.signal.aborted) throw error;
    } finally {
      spares.started(shape);
    }
  }
}

function limitCgroup({ cgroup }: WaitingBwrap, { connector, plan }: SandboxStart): void {
  try {
    cgroup?.limit(plan.policy.limits);
  } catch (error) {
    throw explainSandboxFailure(connector, `the limits of its cgroup: ${(error as Error).message}`);
  }
}

async function bringUp(start: SandboxStart, { child, cgroup, statusDescriptor }: WaitingBwrap, tell: () => Promise<void>) {
  const { session, signal, connector } = start;
  const listeners = session && takeListeners(child, session);
  const releaseListeners = () => listeners?.close();
  const inner = readInnerPid(streamOf(child, statusDescriptor));
  const output = keepOutput(child);
  const abort = () => child.kill('SIGKILL');
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  let fault: unknown;
  const ready = isReady(child);
  const told = tell().then(
    () => ready,
    (error: unknown) => {
      fault = error;
      return false;
    },
  );
  const settled = new AbortController();
  const endRest = () => {
    cgroup?.kill();
    endGroup(child);
  };
  const gone = whenGone(child, settled.signal, endRest);
  try {
    // What was killed may have become ready on its way to its end.
    if ((await Promise.race([ready, told, gone])) && !signal.aborted) {
      const innerPid = await inner;
      return { child, output: output.take(), innerPid, cgroup, releaseListeners };
    }
  } finally {
    signal.removeEventListener('abort', abort);
    settled.abort();
  }
  releaseListeners();
  abort();
  const [said] = await Promise.all([readLastWords(child, output), told]);
  endRest();
  signal.throwIfAborted();
  throw isGone(fault) ? explainSandboxFailure(connector, said) : fault;
}

/** False once bwrap has ended before the start was settled, its rest has been ended, and its pipes had the time to tell of it. */
async function whenGone(child: OuterProcess, settled: AbortSignal, endRest: () => void): Promise<boolean> {
  await untilEnded(child);
  if (settled.aborted) return false;
  endRest();
  await pause(outputDrainTimeoutMs, settled);
  return false;
}

/** Whether nothing went wrong but that the process had ended. */
function isGone(fault: unknown): boolean {
  return fault === undefined || (fault as NodeJS.ErrnoException).code === 'ESRCH';
}

/** What it wrote to stderr, read once it has ended. */
async function readLastWords(child: OuterProcess, output: KeptOutput): Promise<string> {
  if (child.pid !== undefined) await untilEnded(child);
  const { stdout, stderr } = output.take();
  // Nobody else will: more than fits into a stream would hold its pipe open.
  stdout.destroy();
  return await textWithin(stderr, outputDrainTimeoutMs);
}

/** Empty when it does not end in time: somebody else holds it. */
async function textWithin(stream: Readable, ms: number): Promise<string> {
  const timer = setTimeout(() => stream.destroy(), ms);
  return await text(stream)
    .catch(() => '')
    .finally(() => clearTimeout(timer));
}

/** bwrap writes JSON documents; the first has the pid of the first process inside. */
async function readInnerPid(status: Socket): Promise<number> {
  let said = '';
  return await new Promise((resolve) => {
    status.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      const pid = /"child-pid": (\d+)/.exec(said)?.[1];
      if (pid !== undefined) resolve(Number(pid));
    });
  });
}

/** Whether the script came to its last step; false: something ended before. */
async function isReady(child: OuterProcess): Promise<boolean> {
  return await new Promise((resolve) => {
    const ready = streamOf(child, descriptors.ready);
    // A spare may have ended before anybody listened.
    if (ready.destroyed) resolve(false);
    child.once('error', () => resolve(false));
    ready.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1') === readyMark));
    ready.once('close', () => resolve(false));
  });
}
