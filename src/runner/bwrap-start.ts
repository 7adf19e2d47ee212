import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { EgressSession } from '../egress/gateway.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import type { CheckedBind } from './bind-source.ts';
import { type BwrapWord, bwrapArguments, firstProgram, needsHelper } from './bwrap-args.ts';
import { readyMark } from './bwrap-script.ts';
import { carryCommand } from './carried-binds.ts';
import { takeListeners } from './netns-listeners.ts';
import { explainSandboxFailure } from './sandbox-failure.ts';
import { descriptors, type SandboxPlan } from './sandbox-plan.ts';
import type { SandboxUser } from './sandbox-user.ts';
import { unlinkedFile } from './unlinked-file.ts';

export interface SandboxStart {
  readonly connector: string;
  readonly bwrapPath: string;
  readonly plan: SandboxPlan;
  readonly architecture: FilterArchitecture;
  readonly user: SandboxUser | undefined;
  /** See inherited-descriptors.ts; each is covered by `nullDescriptor`, open on /dev/null. */
  readonly inherited: readonly number[];
  readonly nullDescriptor: number;
  /** Serves what the sandbox’s listeners take; undefined: it has none. */
  readonly session: EgressSession | undefined;
  /** Called while bwrap still waits for its arguments: what is done to its pid holds for all its children. */
  readonly beforeStart: (pid: number) => Promise<void>;
  /** Paths that are mounted from where root carries them. */
  readonly carried: readonly CheckedBind[];
  /** Ends the start, and what has been started. */
  readonly signal: AbortSignal;
}

type StdioEntry = 'pipe' | 'ignore' | 'ipc' | number;

/** A sandbox whose connector’s program runs, or is about to. */
export interface StartedSandbox {
  readonly child: ChildProcess;
  /** The first process inside, by its number outside. When it ends, the kernel ends everything inside. */
  readonly innerPid: number;
  /** Closes the listeners; idempotent. */
  readonly releaseListeners: () => void;
}

/**
 * Starts bwrap and waits until the connector’s program takes over, so that a sandbox that cannot be had is told as that.
 * @throws ProxyError `sandbox_unavailable` with bwrap’s own words and the repair.
 */
export async function startSandbox(start: SandboxStart): Promise<StartedSandbox> {
  const { child, statusDescriptor, words } = spawnBwrap(start);
  const listeners = start.session === undefined || !needsHelper(start.plan) ? undefined : takeListeners(child, start.session);
  const releaseListeners = () => listeners?.close();
  const inner = readInnerPid(streamOf(child, statusDescriptor));
  const ended = child.pid === undefined ? undefined : once(child, 'exit');
  const abort = () => child.kill('SIGKILL');
  start.signal.addEventListener('abort', abort, { once: true });
  let fault: unknown;
  const ready = isReady(child);
  const prepared = prepare(start, child, words).then(
    () => ready,
    (error: unknown) => {
      fault = error;
      return false;
    },
  );
  try {
    // Also while it is being prepared: once it has ended, Node throws away what nobody reads of its last words.
    if (await Promise.race([ready, prepared])) return { child, innerPid: await inner, releaseListeners };
  } finally {
    start.signal.removeEventListener('abort', abort);
  }
  releaseListeners();
  abort();
  const complaint = await text(streamOf(child, 2)).catch(() => '');
  await Promise.all([ended, prepared]);
  start.signal.throwIfAborted();
  throw isGone(fault) ? explainSandboxFailure(start.connector, complaint) : fault;
}

async function prepare(start: SandboxStart, child: ChildProcess, words: readonly string[]): Promise<void> {
  if (child.pid !== undefined) await start.beforeStart(child.pid);
  streamOf(child, descriptors.arguments).end(`${words.join('\0')}\0`);
}

/** Whether nothing went wrong but that the process had ended. */
function isGone(fault: unknown): boolean {
  return fault === undefined || (fault as NodeJS.ErrnoException).code === 'ESRCH';
}

interface SpawnedBwrap {
  readonly child: ChildProcess;
  readonly statusDescriptor: number;
  /** Its arguments, for which it waits. */
  readonly words: readonly string[];
}

function spawnBwrap(start: SandboxStart): SpawnedBwrap {
  const { plan, user, bwrapPath, inherited, nullDescriptor } = start;
  const usesIpc = needsHelper(plan);
  const stdio: StdioEntry[] = ['pipe', 'pipe', 'pipe', usesIpc ? 'ipc' : 'ignore', 'pipe', 'pipe'];
  const opened: number[] = [];
  const next = (entry: StdioEntry): number => {
    while (inherited.includes(stdio.length)) stdio.push(nullDescriptor);
    return stdio.push(entry) - 1;
  };
  const hand = (content: string | Uint8Array): number => {
    const descriptor = unlinkedFile(content);
    opened.push(descriptor);
    return next(descriptor);
  };
  try {
    const statusDescriptor = next('pipe');
    const words = bwrapArguments(plan, start.architecture).map((word) => resolveWord(word, hand, statusDescriptor));
    coverInherited(stdio, inherited, nullDescriptor);
    const bwrap = [bwrapPath, '--args', String(descriptors.arguments), '--', ...firstProgram(plan)] as const;
    const isCarrying = user !== undefined && start.carried.length > 0;
    const [program, ...args] = isCarrying ? carryCommand(start.carried, user, bwrap) : bwrap;
    const child = spawn(program, args, {
      // Empty, because /proc/1/environ inside shows it whatever --clearenv says.
      env: {},
      cwd: '/',
      stdio,
      ...(user === undefined || isCarrying ? {} : { uid: user.uid, gid: user.gid }),
    });
    // A pipe whose other end died, and a spawn that failed: the exit, or `isReady`, tells it.
    child.on('error', () => {});
    for (const stream of child.stdio) stream?.on('error', () => {});
    return { child, statusDescriptor, words };
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

function resolveWord(word: BwrapWord, hand: (content: string | Uint8Array) => number, statusDescriptor: number): string {
  if (typeof word === 'string') return word;
  return String('content' in word ? hand(word.content) : statusDescriptor);
}

function coverInherited(stdio: StdioEntry[], inherited: readonly number[], nullDescriptor: number): void {
  for (const descriptor of inherited) {
    while (stdio.length <= descriptor) stdio.push('ignore');
    if (stdio[descriptor] === 'ignore') stdio[descriptor] = nullDescriptor;
  }
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
async function isReady(child: ChildProcess): Promise<boolean> {
  return await new Promise((resolve) => {
    const ready = streamOf(child, descriptors.ready);
    child.once('error', () => resolve(false));
    ready.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1') === readyMark));
    ready.once('close', () => resolve(false));
  });
}

/** Every entry of stdio that is a pipe; the types know the first five only. */
function streamOf(child: ChildProcess, descriptor: number): Socket {
  return (child.stdio as readonly unknown[])[descriptor] as Socket;
}
