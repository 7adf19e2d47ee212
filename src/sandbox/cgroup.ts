import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isEmpty, killProcesses, readCounts, removeFolder } from './cgroup-folder.ts';
import type { CgroupTree, Controller } from './cgroup-tree.ts';
import type { ResourceLimits } from './policy.ts';

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

export interface ReusableCgroup extends Cgroup {
  /** Whether no process is in it. */
  isEmpty(): boolean;
  /** Whether it is empty, and nothing of it can be told from a new one. */
  isAsNew(): boolean;
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
  // The most that was ever reached may be of a time with a higher limit.
  const events = (): CgroupEvents => {
    const { memoryPeakBytes, ...rest } = readCgroupEvents(counted);
    return { ...rest, memoryPeakBytes: Math.min(memoryPeakBytes, limited?.memoryBytesMax ?? memoryPeakBytes) };
  };
  const write = (folder: string, file: string, value: string): void => {
    // Swap is not accounted everywhere.
    if (existsSync(join(folder, file))) writeFileSync(join(folder, file), value);
  };
  return {
    limit(limits) {
      if (limited !== undefined && isSameLimit(limited, limits)) return;
      for (const [controller, folder] of folders) {
        // Memory can be given no higher limit than memory and swap together have.
        if (limited !== undefined && controller === 'memory' && tree.version === 1) write(folder, 'memory.memsw.limit_in_bytes', '-1');
        for (const [file, value] of settings(tree.version, controller, limits)) write(folder, file, value);
      }
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

function counter(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}
