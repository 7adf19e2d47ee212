import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isEmpty, killProcesses, readCounts, removeFolder } from './cgroup-folder.ts';
import type { CgroupTree, Controller } from './cgroup-tree.ts';
import type { ResourceLimits } from './policy.ts';

/** The cgroup of one sandbox. */
export interface Cgroup {
  /** Until then it bounds nothing. Throws what writing a limit throws; what holds then is not known, and the next call writes all. */
  limit(limits: ResourceLimits): void;
  /** Moves a process, and so its later children, into it. Takes the kernel some 15 ms, in which the event loop goes on. */
  add(pid: number): Promise<void>;
  events(): CgroupEvents;
  /** Kills whatever is in it now. */
  kill(): void;
  /** Removes it; its processes have ended or are ending, and what did not is killed. */
  remove(): Promise<void>;
}

export interface ReusableCgroup extends Cgroup {
  /** Whether no process is in it. */
  isEmpty(): boolean;
  /** Whether it is empty, and nothing of it can be told from a new one. */
  isAsNew(): boolean;
}

export interface CgroupEvents {
  /** Processes killed because the cgroup was at its memory limit. */
  readonly oomKills: number;
  /** Undefined where the kernel does not keep it: version 2 before Linux 5.19. */
  readonly memoryPeakBytes: number | undefined;
  /** Times that a fork or a new thread was refused. */
  readonly forksRefused: number;
}

/** bwrap outside, and bwrap as the first process inside. */
const ownPids = 2;
const cpuPeriodUs = 100_000;

/**
 * What of memory may be charged to one that is used again: pages of files that it was the first to read, of which the kernel lets go when
 * the next one needs the room, and what it counts ahead for each processor.
 */
export const leftBytesMax = 4 * 2 ** 20;

export function createCgroup(tree: CgroupTree, name: string): ReusableCgroup {
  const folders = new Map([...tree.folders].map(([controller, folder]) => [controller, join(folder, name)]));
  const unique = [...new Set(folders.values())];
  for (const folder of unique) mkdirSync(folder, { recursive: true });
  const counted = { version: tree.version, memory: folders.get('memory'), pids: folders.get('pids') };
  let limited: ResourceLimits | undefined;
  const events = (): CgroupEvents => {
    const { memoryPeakBytes: peak, ...rest } = readCgroupEvents(counted);
    // The most that was ever reached may be of a time with a higher limit.
    return { ...rest, memoryPeakBytes: peak && Math.min(peak, limited?.memoryBytesMax ?? peak) };
  };
  return {
    limit(limits) {
      if (limited !== undefined && isSameLimit(limited, limits)) return;
      limited = undefined;
      for (const [controller, folder] of folders) for (const setting of settings(tree.version, controller, limits)) write(folder, setting);
      limited = limits;
    },
    // The kernel waits once for all its processors (RCU), whatever the number of hierarchies.
    add: async (pid) => {
      await Promise.all(unique.map((folder) => writeFile(join(folder, 'cgroup.procs'), String(pid))));
    },
    events,
    isEmpty: () => unique.every(isEmpty),
    isAsNew: () => {
      const { oomKills, forksRefused } = events();
      return oomKills === 0 && forksRefused === 0 && unique.every(isEmpty) && !hasLeft(counted);
    },
    kill: () => unique.forEach(killProcesses),
    remove: async () => {
      await Promise.all(unique.map(removeFolder));
    },
  };
}

function isSameLimit(one: ResourceLimits, other: ResourceLimits): boolean {
  return one.memoryBytesMax === other.memoryBytesMax && one.cpusMax === other.cpusMax && one.pidsMax === other.pidsMax;
}

/** Whether a process that nobody waited for is counted still, or more memory than may be; also where that cannot be read. */
function hasLeft({ version, memory, pids }: CountedFolders): boolean {
  const bytes = Number.parseInt(readCounts(memory, version === 1 ? 'memory.usage_in_bytes' : 'memory.current'), 10);
  const tasks = pids === undefined ? 0 : Number.parseInt(readCounts(pids, 'pids.current'), 10);
  return !(tasks === 0 && bytes <= leftBytesMax);
}

interface Setting {
  readonly file: string;
  readonly value: string;
  /** Written where the kernel takes no such value. */
  readonly otherwise?: string;
}

function write(folder: string, { file, value, otherwise }: Setting): void {
  const path = join(folder, file);
  // Swap is not accounted everywhere, see `boundsSwap`.
  if (!existsSync(path)) return;
  try {
    writeFileSync(path, value);
  } catch (error) {
    if (otherwise === undefined || (error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    writeFileSync(path, otherwise);
  }
}

/** What bounds swap: of version 1 together with memory. */
const swapFiles = { 1: 'memory.memsw.limit_in_bytes', 2: 'memory.swap.max' } as const;

/**
 * Whether what a cgroup of this tree may hold in memory is all that it may hold. Not where the kernel can swap and does not account for it
 * (swapaccount=0): what is over the limit then goes on in swap. `swaps` is for tests.
 */
export function boundsSwap({ version, folders }: CgroupTree, swaps = '/proc/swaps'): boolean {
  const memory = folders.get('memory');
  return memory !== undefined && (existsSync(join(memory, swapFiles[version])) || !existsSync(swaps));
}

function settings(version: 1 | 2, controller: Controller, limits: ResourceLimits): readonly Setting[] {
  const memory = String(limits.memoryBytesMax);
  const quota = String(Math.max(1000, Math.round(limits.cpusMax * cpuPeriodUs)));
  switch (controller) {
    case 'memory':
      return version === 1
        ? [
            // Memory can be given no higher limit than memory and swap together have.
            { file: swapFiles[1], value: '-1' },
            { file: 'memory.limit_in_bytes', value: memory },
            { file: swapFiles[1], value: memory },
          ]
        : [
            { file: 'memory.max', value: memory },
            { file: swapFiles[2], value: '0' },
            { file: 'memory.oom.group', value: '1' },
          ];
    case 'pids':
      return [{ file: 'pids.max', value: String(limits.pidsMax + ownPids) }];
    case 'cpu':
      return version === 1
        ? [
            { file: 'cpu.cfs_period_us', value: String(cpuPeriodUs) },
            // Not taken above the quota of a cgroup around, which then holds alone, as it would in version 2.
            { file: 'cpu.cfs_quota_us', value: quota, otherwise: '-1' },
          ]
        : [{ file: 'cpu.max', value: `${quota} ${cpuPeriodUs}` }];
  }
}

/** Where the counts of a cgroup are; undefined where its controller is not to be had. */
export interface CountedFolders {
  readonly version: 1 | 2;
  readonly memory: string | undefined;
  readonly pids: string | undefined;
}

/**
 * The counts of a cgroup; zeros, and no peak, where they cannot be read. See cgroups(7). Synchronous: the kernel answers from memory, and a thread that
 * reads for this one costs several times what the reading does.
 */
export function readCgroupEvents({ version, memory, pids }: CountedFolders): CgroupEvents {
  const events = readCounts(memory, version === 1 ? 'memory.oom_control' : 'memory.events');
  const peak = readCounts(memory, version === 1 ? 'memory.max_usage_in_bytes' : 'memory.peak');
  const forks = readCounts(pids, 'pids.events');
  return {
    oomKills: counter(events, 'oom_kill'),
    memoryPeakBytes: peak === '' ? undefined : Number(peak),
    forksRefused: counter(forks, 'max'),
  };
}

function counter(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}
