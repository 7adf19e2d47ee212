import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResourceLimits } from './policy.ts';

export type Controller = 'memory' | 'pids' | 'cpu';
const controllers: readonly Controller[] = ['memory', 'pids', 'cpu'];

/** Where this proxy may make cgroups: one folder a controller (version 1), or the same folder for all (version 2). */
export interface CgroupTree {
  readonly version: 1 | 2;
  readonly folders: ReadonlyMap<Controller, string>;
}

/** The cgroup of one sandbox. */
export interface Cgroup {
  /** Until then it bounds nothing. */
  limit(limits: ResourceLimits): void;
  /** Moves a process, and so its later children, into it. Takes the kernel some 15 ms, in which the event loop goes on. */
  add(pid: number): Promise<void>;
  events(): CgroupEvents;
  /** Kills whatever is in it now. */
  kill(): void;
  /** Removes it; its processes have ended or are ending, and what did not is killed. */
  remove(): Promise<void>;
}

export interface CgroupEvents {
  /** Processes killed because the cgroup was at its memory limit. */
  readonly oomKills: number;
  readonly memoryPeakBytes: number;
  /** Times that a fork or a new thread was refused. */
  readonly forksRefused: number;
}

/** bwrap outside, and bwrap as the first process inside. */
const ownPids = 2;
const cpuPeriodUs = 100_000;

export function createCgroup(tree: CgroupTree, name: string): Cgroup {
  const folders = new Map([...tree.folders].map(([controller, folder]) => [controller, join(folder, name)]));
  const unique = [...new Set(folders.values())];
  for (const folder of unique) mkdirSync(folder, { recursive: true });
  return {
    limit(limits) {
      for (const [controller, folder] of folders) {
        for (const [file, value] of settings(tree.version, controller, limits)) {
          // Swap is not accounted everywhere.
          if (existsSync(join(folder, file))) writeFileSync(join(folder, file), value);
        }
      }
    },
    // The kernel waits once for all its processors (RCU), whatever the number of hierarchies.
    add: async (pid) => {
      await Promise.all(unique.map((folder) => writeFile(join(folder, 'cgroup.procs'), String(pid))));
    },
    events: () => readCgroupEvents({ version: tree.version, memory: folders.get('memory'), pids: folders.get('pids') }),
    kill: () => unique.forEach(killProcesses),
    remove: async () => {
      await Promise.all(unique.map(removeFolder));
    },
  };
}

function settings(version: 1 | 2, controller: Controller, limits: ResourceLimits): readonly (readonly [file: string, value: string])[] {
  const memory = String(limits.memoryBytesMax);
  const quota = String(Math.max(1000, Math.round(limits.cpusMax * cpuPeriodUs)));
  switch (controller) {
    case 'memory':
      return version === 1
        ? [
            ['memory.limit_in_bytes', memory],
            ['memory.memsw.limit_in_bytes', memory],
          ]
        : [
            ['memory.max', memory],
            ['memory.swap.max', '0'],
            ['memory.oom.group', '1'],
          ];
    case 'pids':
      return [['pids.max', String(limits.pidsMax + ownPids)]];
    case 'cpu':
      return version === 1
        ? [
            ['cpu.cfs_period_us', String(cpuPeriodUs)],
            ['cpu.cfs_quota_us', quota],
          ]
        : [['cpu.max', `${quota} ${cpuPeriodUs}`]];
  }
}

/** Where the counts of a cgroup are; undefined where its controller is not to be had. */
export interface CountedFolders {
  readonly version: 1 | 2;
  readonly memory: string | undefined;
  readonly pids: string | undefined;
}

/**
 * The counts of a cgroup; zeros where they cannot be read. See cgroups(7). Synchronous: the kernel answers from memory, and a thread that
 * reads for this one costs several times what the reading does.
 */
export function readCgroupEvents({ version, memory, pids }: CountedFolders): CgroupEvents {
  const events = readCounts(memory, version === 1 ? 'memory.oom_control' : 'memory.events');
  const peak = readCounts(memory, version === 1 ? 'memory.max_usage_in_bytes' : 'memory.peak');
  const forks = readCounts(pids, 'pids.events');
  return { oomKills: counter(events, 'oom_kill'), memoryPeakBytes: Number(peak), forksRefused: counter(forks, 'max') };
}

/** Larger than any of these files. Node’s own reading of a file without a size takes 64 KB each time, which was a third of what an idle worker cost. */
const countsBuffer = Buffer.allocUnsafeSlow(4096);

function readCounts(folder: string | undefined, file: string): string {
  if (folder === undefined) return '';
  let descriptor: number | undefined;
  try {
    descriptor = openSync(join(folder, file), 'r');
    return countsBuffer.toString('latin1', 0, readSync(descriptor, countsBuffer));
  } catch {
    return '';
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function counter(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

const removeTriesMax = 55;
const removePauseMaxMs = 20;

/**
 * A cgroup can go once the kernel has done away with its last process, which takes it a millisecond or two after the exit. One that does not
 * end is an orphan: the child of a bwrap that was killed before it had let go of it waits for that for ever.
 */
async function removeFolder(folder: string): Promise<void> {
  for (let attempt = 0; attempt < removeTriesMax; attempt++) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      killProcesses(folder);
      await sleep(Math.min(2 ** attempt, removePauseMaxMs));
    }
  }
}

function killProcesses(folder: string): void {
  try {
    processesOf(folder).forEach(killIfAlive);
  } catch {
    // The cgroup is gone.
  }
}

function killIfAlive(pid: string): void {
  try {
    process.kill(Number(pid), 'SIGKILL');
  } catch {
    // Gone meanwhile; the others are not.
  }
}

export interface CgroupSources {
  /** For tests: /proc/self. */
  readonly self?: string;
}

/**
 * Finds where cgroups may be made below the proxy’s own (so that whatever bounds the proxy bounds its connectors too), and makes
 * the proxy’s folder there. Undefined: there is no such place, or not for memory, which is what matters most.
 */
export function findCgroupTree(owner: CgroupOwner, { self = '/proc/self' }: CgroupSources = {}): CgroupTree | undefined {
  return delegatedTree(self, owner) ?? privilegedTree(self, owner);
}

/** Names one runner for ever: pids come back, start times do not, and a process may have several runners. */
export interface CgroupOwner {
  readonly pid: number;
  readonly startTicks: string;
  readonly runner: string;
}

const folderPattern = /^bulkhead\.(\d+)\.(\d+)\.([0-9a-z]+)$/;

function ownFolder({ pid, startTicks, runner }: CgroupOwner): string {
  return `bulkhead.${pid}.${startTicks}.${runner}`;
}

function privilegedTree(self: string, owner: CgroupOwner): CgroupTree | undefined {
  const folders = new Map<Controller, string>();
  for (const controller of controllers) {
    const parent = ownCgroup(self, controller);
    const folder = parent && join(parent, ownFolder(owner));
    if (folder !== undefined && tryMakeFolder(folder)) folders.set(controller, folder);
  }
  return folders.has('memory') ? { version: 1, folders } : undefined;
}

/**
 * Version 2, where the proxy’s own cgroup was handed to it (systemd’s Delegate=yes, or a container’s). A cgroup that
 * has processes cannot hand controllers on, so the proxy first moves itself, and whatever is with it, into a leaf.
 */
function delegatedTree(self: string, owner: CgroupOwner): CgroupTree | undefined {
  const parent = ownCgroup(self, undefined);
  if (parent === undefined) return undefined;
  const root = parent.endsWith('/bulkhead-proxy') ? dirname(parent) : parent;
  try {
    const available = readFileSync(join(root, 'cgroup.controllers'), 'latin1').trim().split(' ');
    const wanted = controllers.filter((controller) => available.includes(controller));
    if (!wanted.includes('memory')) return undefined;
    moveProcesses(root, join(root, 'bulkhead-proxy'));
    const enable = wanted.map((controller) => `+${controller}`).join(' ');
    writeFileSync(join(root, 'cgroup.subtree_control'), enable);
    const folder = join(root, ownFolder(owner));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'cgroup.subtree_control'), enable);
    return { version: 2, folders: new Map(wanted.map((controller) => [controller, folder])) };
  } catch {
    return undefined;
  }
}

function moveProcesses(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const pid of processesOf(from)) writeFileSync(join(to, 'cgroup.procs'), pid);
}

function processesOf(folder: string): readonly string[] {
  return readFileSync(join(folder, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean);
}

function tryMakeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

/** The folder of the proxy’s own cgroup; of version 2 when no controller is named. See cgroups(7), proc_pid_mountinfo(5). */
function ownCgroup(self: string, controller: Controller | undefined): string | undefined {
  const path = readFileSync(join(self, 'cgroup'), 'latin1')
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .find((match) => (controller === undefined ? match?.[1] === '' : match?.[1]?.split(',').includes(controller)))?.[2];
  if (path === undefined) return undefined;
  for (const line of readFileSync(join(self, 'mountinfo'), 'latin1').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', mountPoint = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    const isIt = controller === undefined ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes(controller);
    if (isIt) return join(mountPoint, root === '/' ? path : path.startsWith(root) ? path.slice(root.length) : '/');
  }
  return undefined;
}

/** Removes the cgroups of runners that have died, or of this one. */
export async function removeCgroups(tree: CgroupTree, isMine: (owner: CgroupOwner) => boolean | Promise<boolean>): Promise<void> {
  for (const parent of new Set([...tree.folders.values()].map((folder) => dirname(folder)))) {
    for (const name of readdirSync(parent)) {
      const [, pid, startTicks, runner] = folderPattern.exec(name) ?? [];
      if (pid === undefined || startTicks === undefined || runner === undefined) continue;
      if (!(await isMine({ pid: Number(pid), startTicks, runner }))) continue;
      const folder = join(parent, name);
      const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
      await Promise.all(children.map((child) => removeFolder(join(folder, child.name))));
      await removeFolder(folder);
    }
  }
}
