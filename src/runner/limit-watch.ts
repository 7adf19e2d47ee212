import type { StatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cgroup } from '../sandbox/cgroup.ts';
import type { ResourceLimits } from '../sandbox/policy.ts';
import { describeBytes, type LimitBreach, memoryBreach } from './limit-breach.ts';
import type { ProcessNotice } from './runner.ts';
import { measureSandbox } from './sandbox-use.ts';

/** Shortest time between two looks at one sandbox; with many, longer: looking takes at most a tenth of the time. */
export const watchIntervalMs = 100;
const pausePerWork = 9;
/**
 * When a sandbox that may be over its memory, or has a child that has its parent’s for a moment, is looked at again, more closely: it is
 * ended when it was over each time. A child that begins or ends to have that right then may be counted twice once, hardly three times.
 */
const closerLooksMs = [20, 20] as const;

export interface WatchedSandbox {
  readonly limits: ResourceLimits;
  readonly connector: string;
  /** Undefined: nothing hard counts the tree, so the watchdog does. */
  readonly cgroup: Pick<Cgroup, 'events'> | undefined;
  /** The first process inside, by the number it has outside. */
  readonly pid: number;
  readonly onNotice: (notice: ProcessNotice) => void;
  /** Told once; the sandbox is to be killed. */
  readonly onBreach: (breach: LimitBreach) => void;
}

export interface LimitWatch {
  /** @returns what stops the watching. */
  add(sandbox: WatchedSandbox): () => void;
}

interface Watched extends WatchedSandbox {
  readonly told: Set<string>;
}

/** Looks at all sandboxes, one after the other, for as long as there are any. */
export function createLimitWatch(): LimitWatch {
  const watched = new Set<Watched>();
  let isRunning = false;

  const end = (sandbox: Watched, breach: LimitBreach | undefined): void => {
    if (breach !== undefined && watched.delete(sandbox)) sandbox.onBreach(breach);
  };

  /** @returns those that may be over their memory. */
  const lookAtAll = async (): Promise<readonly Watched[]> => {
    const suspects: Watched[] = [];
    for (const sandbox of watched) {
      const { isSuspect = false, breach } = sandbox.cgroup === undefined ? await lookAtUse(sandbox) : lookAtCounts(sandbox, sandbox.cgroup);
      if (isSuspect) suspects.push(sandbox);
      end(sandbox, breach ?? (await lookAtDisk(sandbox)));
    }
    return suspects;
  };

  /** @returns milliseconds of work. */
  const lookCloser = async (suspects: readonly Watched[]): Promise<number> => {
    let workMs = 0;
    let left = suspects.map((sandbox) => ({ sandbox, memoryBytes: 0 }));
    for (const pauseMs of closerLooksMs) {
      if (left.length === 0) return workMs;
      await sleep(pauseMs, undefined, { ref: false });
      const [tookMs, found] = await timed(() => stillOver(left.map(({ sandbox }) => sandbox).filter((sandbox) => watched.has(sandbox))));
      workMs += tookMs;
      left = found;
    }
    for (const { sandbox, memoryBytes } of left) end(sandbox, memoryBreach(sandbox.connector, sandbox.limits, memoryBytes));
    return workMs;
  };

  const run = async (): Promise<void> => {
    while (watched.size > 0) {
      const [tookMs, suspects] = await timed(lookAtAll);
      const workMs = tookMs + (await lookCloser(suspects));
      await sleep(Math.max(watchIntervalMs, pausePerWork * workMs), undefined, { ref: false });
    }
    isRunning = false;
  };

  return {
    add(sandbox) {
      const entry = { ...sandbox, told: new Set<string>() };
      watched.add(entry);
      if (!isRunning) {
        isRunning = true;
        void run();
      }
      return () => watched.delete(entry);
    },
  };
}

async function timed<Result>(work: () => Promise<Result>): Promise<readonly [ms: number, result: Result]> {
  const start = performance.now();
  const result = await work();
  return [performance.now() - start, result];
}

interface MemoryLook {
  readonly breach: LimitBreach | undefined;
  /** It may be one; a closer look tells. */
  readonly isSuspect?: boolean;
}

function lookAtCounts(sandbox: Watched, cgroup: Pick<Cgroup, 'events'>): MemoryLook {
  const { oomKills, memoryPeakBytes, forksRefused } = cgroup.events();
  if (forksRefused > 0) noticeForks(sandbox);
  return { breach: oomKills > 0 ? memoryBreach(sandbox.connector, sandbox.limits, memoryPeakBytes) : undefined };
}

async function lookAtUse(sandbox: Watched): Promise<MemoryLook> {
  const { connector, limits, pid } = sandbox;
  const { tasks, memoryBytes, memoryBytesMin } = await measureSandbox(pid, { isPrecise: false });
  // At the limit the next one is refused, which nothing counts here.
  if (tasks >= limits.pidsMax) noticeForks(sandbox);
  const isOver = memoryBytesMin > limits.memoryBytesMax;
  return { breach: isOver ? memoryBreach(connector, limits, memoryBytes) : undefined, isSuspect: memoryBytes > limits.memoryBytesMax };
}

interface Suspect {
  readonly sandbox: Watched;
  readonly memoryBytes: number;
}

async function stillOver(sandboxes: readonly Watched[]): Promise<Suspect[]> {
  const found: Suspect[] = [];
  for (const sandbox of sandboxes) {
    const { memoryBytes } = await measureSandbox(sandbox.pid, { isPrecise: true });
    if (memoryBytes > sandbox.limits.memoryBytesMax) found.push({ sandbox, memoryBytes });
  }
  return found;
}

function noticeForks(sandbox: Watched): void {
  const { connector, limits } = sandbox;
  tell(sandbox, {
    code: 'process_limit',
    message: `Connector ${connector} wanted more than its ${limits.pidsMax} processes and threads and was refused; raise limits.pids, or start fewer.`,
  });
}

/** Full, they refuse more by themselves; files without content take memory that their size does not count. */
async function lookAtDisk(sandbox: Watched): Promise<LimitBreach | undefined> {
  const { connector, limits, pid } = sandbox;
  const look = (path: string) => statfs(`/proc/${pid}/root${path}`).catch(() => undefined);
  const [tmp, sharedMemory] = await Promise.all([look('/tmp'), look('/dev/shm')]);
  if (tmp !== undefined && tmp.blocks > 0 && tmp.bfree === 0) {
    const size = describeBytes(limits.tmpBytesMax);
    tell(sandbox, {
      code: 'disk_exceeded',
      message: `Connector ${connector} filled its /tmp of ${size}; raise limits.tmp, or write less.`,
    });
  }
  return inodesBreach(connector, limits, '/tmp', tmp) ?? inodesBreach(connector, limits, '/dev/shm', sharedMemory);
}

function inodesBreach(connector: string, limits: ResourceLimits, path: string, folder: StatsFs | undefined): LimitBreach | undefined {
  const inodes = folder === undefined ? 0 : folder.files - folder.ffree;
  if (inodes <= limits.tmpInodesMax) return undefined;
  return {
    code: 'disk_exceeded',
    message: `Connector ${connector} made ${inodes} files in ${path}, over its limit of ${limits.tmpInodesMax}; raise limits.tmpInodes, or make fewer.`,
  };
}

function tell({ told, onNotice }: Watched, notice: ProcessNotice): void {
  if (told.has(notice.code)) return;
  told.add(notice.code);
  onNotice(notice);
}
