import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type Cgroup, type CgroupTree, createCgroup } from '../sandbox/cgroup.ts';
import type { CheckedBind } from './bind-source.ts';
import type { BwrapWord } from './bwrap-args.ts';
import { carryCommand } from './carried-binds.ts';
import { hasEnded } from './process-handle.ts';
import { descriptors } from './sandbox-plan.ts';
import type { SandboxUser } from './sandbox-user.ts';
import { fillFile, unlinkedFile } from './unlinked-file.ts';

/** What all bwraps of one runner have in common. */
export interface BwrapHost {
  readonly bwrapPath: string;
  readonly user: SandboxUser | undefined;
  /** See inherited-descriptors.ts; each is covered by `nullDescriptor`, open on /dev/null. */
  readonly inherited: readonly number[];
  readonly nullDescriptor: number;
  readonly cgroups: CgroupTree | undefined;
}

/** What must be known of a sandbox when its bwrap is spawned. All else it is told while it waits. */
export interface BwrapShape {
  /** The first program inside: bwrap takes it from no descriptor. */
  readonly firstProgram: readonly string[];
  /** How many files bwrap will be handed. Each must be among the arguments, or the connector finds it open. */
  readonly files: number;
  readonly usesIpc: boolean;
  /** Paths that are mounted from where root carries them. */
  readonly carried: readonly CheckedBind[];
}

/** A bwrap that waits for its arguments, in a cgroup of its own: nothing of a connector is in it yet. */
export interface WaitingBwrap {
  readonly child: ChildProcess;
  readonly cgroup: Cgroup | undefined;
  /** Settles once it is in its cgroup; rejects with ESRCH when it ended before. */
  readonly joined: Promise<void>;
  readonly statusDescriptor: number;
  /** Empty files: our descriptor, and the number it has in bwrap. */
  readonly files: readonly { readonly own: number; readonly handed: number }[];
}

type StdioEntry = 'pipe' | 'ignore' | 'ipc' | number;

/** Spawns it. A spawn that fails leaves a child without pid, as in Node. */
export function spawnBwrap(host: BwrapHost, shape: BwrapShape): WaitingBwrap {
  const { user, inherited, nullDescriptor } = host;
  const stdio: StdioEntry[] = ['pipe', 'pipe', 'pipe', shape.usesIpc ? 'ipc' : 'ignore', 'pipe', 'pipe'];
  const next = (entry: StdioEntry): number => {
    while (inherited.includes(stdio.length)) stdio.push(nullDescriptor);
    return stdio.push(entry) - 1;
  };
  const cgroup = host.cgroups && createCgroup(host.cgroups, randomUUID());
  const opened: number[] = [];
  try {
    const statusDescriptor = next('pipe');
    const files = Array.from({ length: shape.files }, () => {
      const own = unlinkedFile();
      opened.push(own);
      return { own, handed: next(own) };
    });
    coverInherited(stdio, inherited, nullDescriptor);
    const bwrap = [host.bwrapPath, '--args', String(descriptors.arguments), '--', ...shape.firstProgram] as const;
    const isCarrying = user !== undefined && shape.carried.length > 0;
    const [program, ...args] = isCarrying ? carryCommand(shape.carried, user, bwrap) : bwrap;
    const child = spawn(program, args, {
      // Empty, because /proc/1/environ inside shows it whatever --clearenv says.
      env: {},
      cwd: '/',
      stdio,
      ...(user === undefined || isCarrying ? {} : { uid: user.uid, gid: user.gid }),
    });
    // A pipe whose other end died, and a spawn that failed: the exit, or who waits for it to be ready, tells it.
    child.on('error', () => {});
    for (const stream of child.stdio) stream?.on('error', () => {});
    const joined = child.pid === undefined ? Promise.resolve() : (cgroup?.add(child.pid) ?? Promise.resolve());
    joined.catch(() => {});
    return { child, cgroup, joined, statusDescriptor, files };
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor);
    void cgroup?.remove();
    throw error;
  }
}

/** Ends the waiting: the sandbox is made of these words. Their contents are as many as the files it was spawned with. */
export function tellArguments({ child, statusDescriptor, files }: WaitingBwrap, words: readonly BwrapWord[]): void {
  const left = [...files];
  const told = words.map((word) => {
    if (typeof word === 'string') return word;
    if (!('content' in word)) return String(statusDescriptor);
    const file = left.shift() as (typeof files)[number];
    fillFile(file.own, word.content);
    return String(file.handed);
  });
  streamOf(child, descriptors.arguments).end(`${told.join('\0')}\0`);
}

/** How many files these words hand to bwrap. */
export function countFiles(words: readonly BwrapWord[]): number {
  return words.filter((word) => typeof word !== 'string' && 'content' in word).length;
}

/** Closes our descriptors of its files; once. */
export function closeFiles({ files }: WaitingBwrap): void {
  for (const { own } of files) closeSync(own);
}

/** Kills it and waits until nothing of it is left. Its files are closed already. */
export async function discardBwrap({ child, cgroup, joined }: WaitingBwrap): Promise<void> {
  if (child.pid !== undefined && !hasEnded(child)) {
    child.ref();
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await joined.catch(() => {});
  await cgroup?.remove();
}

/** Every entry of stdio that is a pipe; the types know the first five only. */
export function streamOf(child: ChildProcess, descriptor: number): Socket {
  return (child.stdio as readonly unknown[])[descriptor] as Socket;
}

function coverInherited(stdio: StdioEntry[], inherited: readonly number[], nullDescriptor: number): void {
  for (const descriptor of inherited) {
    while (stdio.length <= descriptor) stdio.push('ignore');
    if (stdio[descriptor] === 'ignore') stdio[descriptor] = nullDescriptor;
  }
}
