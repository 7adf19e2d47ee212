import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Cgroup } from '../sandbox/cgroup.ts';
import type { CgroupPool } from '../sandbox/cgroup-pool.ts';
import type { CheckedBind } from './bind-source.ts';
import { argumentsAhead, type BwrapWord, type KindOfSandbox } from './bwrap-args.ts';
import { carryCommand } from './carried-binds.ts';
import { coverInherited, type InheritedDescriptors, type StdioEntry } from './inherited-descriptors.ts';
import { hasEnded, type OuterProcess, streamOf, untilEnded } from './outer-process.ts';
import { descriptors } from './sandbox-plan.ts';
import type { SandboxUser } from './sandbox-user.ts';
import { type HardLimit, pipeBytes } from './spawner.ts';
import type { SpawnerKeeper } from './spawner-keeper.ts';
import { fillFile, unlinkedFile } from './unlinked-file.ts';

/** What all bwraps of one runner have in common. */
export interface BwrapHost extends InheritedDescriptors {
  readonly bwrapPath: string;
  readonly user: SandboxUser | undefined;
  readonly cgroups: CgroupPool | undefined;
  readonly spawners: SpawnerKeeper;
}

/** What must be known of a sandbox when its bwrap is spawned. All else it is told while it waits. */
export interface BwrapShape {
  /** What it is told at once. */
  readonly kind: KindOfSandbox;
  /** The first program inside: bwrap takes it from no descriptor. */
  readonly firstProgram: readonly string[];
  /** How many files bwrap will be handed beside those of its kind. Each must be among the arguments, or the connector finds it open. */
  readonly files: number;
  readonly usesIpc: boolean;
  /** What it is limited to where the spawner makes it; see `limitsAhead`. */
  readonly limits: readonly HardLimit[];
  /** Paths that are mounted from where root carries them. */
  readonly carried: readonly CheckedBind[];
}

/** A bwrap that waits for the rest of its arguments, in a cgroup of its own: nothing of a connector is in it yet. */
export interface WaitingBwrap {
  readonly child: OuterProcess;
  readonly cgroup: Cgroup | undefined;
  /** Settles once it is in its cgroup; rejects with ESRCH when it ended before. */
  readonly joined: Promise<void>;
  readonly statusDescriptor: number;
  /** Whether it has the limits of its shape. */
  readonly isLimited: boolean;
  /** Empty files: our descriptor, and the number it has in bwrap. */
  readonly files: readonly { readonly own: number; readonly handed: number }[];
}

/** Spawns it. A spawn that fails leaves a child without pid, as in Node. */
export async function spawnBwrap(host: BwrapHost, shape: BwrapShape): Promise<WaitingBwrap> {
  const cgroup = host.cgroups?.take();
  const own: number[] = [];
  const ahead = argumentsAhead(shape.kind);
  const countAhead = countFiles(ahead);
  try {
    while (own.length < countAhead + shape.files) own.push(unlinkedFile());
    const command = commandOf(host, shape);
    const { child, statusDescriptor, isLimited, handed } =
      (await spawnApart(host, shape, command, own)) ?? spawnHere(host, shape, command, own);
    // A pipe whose other end died, and a spawn that failed: the exit, or who waits for it to be ready, tells it.
    child.on('error', () => {});
    for (const stream of child.stdio) (stream as OuterStream)?.on('error', () => {});
    const joined = child.pid === undefined ? Promise.resolve() : (cgroup?.add(child.pid) ?? Promise.resolve());
    joined.catch(() => {});
    const files = own.map((descriptor, index) => ({ own: descriptor, handed: handed[index] as number }));
    const filesAhead = files.splice(0, countAhead);
    if (child.pid !== undefined) streamOf(child, descriptors.arguments).write(textOf({ statusDescriptor, files: filesAhead }, ahead));
    closeFiles({ files: filesAhead });
    own.splice(0, countAhead);
    return { child, cgroup, joined, statusDescriptor, isLimited, files };
  } catch (error) {
    for (const descriptor of own) closeSync(descriptor);
    void cgroup?.remove();
    throw error;
  }
}

type OuterStream = NodeJS.EventEmitter | null | undefined;

interface Command {
  readonly words: readonly [string, ...string[]];
  /** Whom it is spawned as; undefined: as this process. */
  readonly user: SandboxUser | undefined;
}

interface SpawnedBwrap extends Pick<WaitingBwrap, 'child' | 'statusDescriptor' | 'isLimited'> {
  readonly handed: readonly number[];
}

function commandOf({ bwrapPath, user }: BwrapHost, { firstProgram, carried }: BwrapShape): Command {
  const bwrap = [bwrapPath, '--args', String(descriptors.arguments), '--', ...firstProgram] as const;
  if (user === undefined || carried.length === 0) return { words: bwrap, user };
  return { words: carryCommand(carried, user, bwrap), user: undefined };
}

const ownPipes = [
  { number: 0, direction: 'input', bytes: pipeBytes.message },
  { number: 1, direction: 'output', bytes: pipeBytes.message },
  { number: 2, direction: 'output' },
  { number: descriptors.arguments, direction: 'input' },
  { number: descriptors.ready, direction: 'output' },
] as const;

/** By the spawner; undefined: it is not there, or cannot. */
async function spawnApart(
  host: BwrapHost,
  shape: BwrapShape,
  command: Command,
  files: readonly number[],
): Promise<SpawnedBwrap | undefined> {
  const spawner = await host.spawners.current();
  if (spawner === undefined) return undefined;
  const statusDescriptor = descriptors.firstFree;
  const channel = shape.usesIpc ? descriptors.ipc : undefined;
  const pipes = [...ownPipes, { number: statusDescriptor, direction: 'output' }] as const;
  try {
    const { words: program, user } = command;
    const child = await spawner.spawn({ program, user, owner: host.user, pipes, channel, files, limits: shape.limits });
    return { child, statusDescriptor, isLimited: shape.limits.length > 0, handed: files.map((_, index) => statusDescriptor + 1 + index) };
  } catch {
    return undefined;
  }
}

function spawnHere(host: BwrapHost, { usesIpc }: BwrapShape, { words, user }: Command, files: readonly number[]): SpawnedBwrap {
  const stdio: StdioEntry[] = ['pipe', 'pipe', 'pipe', usesIpc ? 'ipc' : 'ignore', 'pipe', 'pipe'];
  const next = (entry: StdioEntry): number => {
    while (host.inherited.includes(stdio.length)) stdio.push(host.nullDescriptor);
    return stdio.push(entry) - 1;
  };
  const statusDescriptor = next('pipe');
  const handed = files.map(next);
  const [program, ...args] = words;
  const child = spawn(program, args, {
    // Empty, because /proc/1/environ inside shows it whatever --clearenv says.
    env: {},
    cwd: '/',
    stdio: coverInherited(stdio, host),
    // As the spawner's: not in the group that a terminal interrupts, or calls would end with it that the proxy lets end in peace.
    detached: true,
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  return { child, statusDescriptor, isLimited: false, handed };
}

/** Ends the waiting: the sandbox is made of what it was told ahead and of these words. Their contents are as many as the files it was spawned with. */
export function tellArguments(bwrap: WaitingBwrap, words: readonly BwrapWord[]): void {
  streamOf(bwrap.child, descriptors.arguments).end(textOf(bwrap, words));
}

/** The words as bwrap reads them, with the contents in its files. */
function textOf({ statusDescriptor, files }: Pick<WaitingBwrap, 'statusDescriptor' | 'files'>, words: readonly BwrapWord[]): string {
  const left = [...files];
  const told = words.map((word) => {
    if (typeof word === 'string') return word;
    if (!('content' in word)) return String(statusDescriptor);
    const file = left.shift() as (typeof files)[number];
    fillFile(file.own, word.content);
    return String(file.handed);
  });
  return `${told.join('\0')}\0`;
}

/** How many files these words hand to bwrap. */
export function countFiles(words: readonly BwrapWord[]): number {
  return words.filter((word) => typeof word !== 'string' && 'content' in word).length;
}

/** Closes our descriptors of its files; once. */
export function closeFiles({ files }: Pick<WaitingBwrap, 'files'>): void {
  for (const { own } of files) closeSync(own);
}

/** Kills it and waits until nothing of it is left. Its files are closed already. */
export async function discardBwrap({ child, cgroup, joined }: WaitingBwrap): Promise<void> {
  if (child.pid !== undefined) {
    child.ref();
    if (!hasEnded(child)) child.kill('SIGKILL');
    await untilEnded(child);
  }
  await joined.catch(() => {});
  await cgroup?.remove();
}
