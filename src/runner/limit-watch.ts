import type { StatsFs } from 'node:fs';
import { readdir, readFile, statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cgroup } from '../sandbox/cgroup.ts';
import type { ResourceLimits } from '../sandbox/policy.ts';
import { describeBytes, type LimitBreach, memoryBreach } from './limit-breach.ts';
import type { ProcessNotice } from './runner.ts';

/** Shortest time between two looks at one sandbox; with many, longer: looking takes at most a tenth of the time. */
export const watchIntervalMs = 100;
const pausePerWork = 9;

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

  const run = async (): Promise<void> => {
    while (watched.size > 0) {
      const start = performance.now();
      for (const sandbox of watched) await look(sandbox, (breach) => watched.delete(sandbox) && sandbox.onBreach(breach));
      await sleep(Math.max(watchIntervalMs, pausePerWork * (performance.now() - start)), undefined, { ref: false });
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

async function look(sandbox: Watched, breach: (breach: LimitBreach) => void): Promise<void> {
  const found = (await lookAtMemory(sandbox)) ?? (await lookAtDisk(sandbox));
  if (found !== undefined) breach(found);
}

async function lookAtMemory(sandbox: Watched): Promise<LimitBreach | undefined> {
  const { cgroup, limits, connector } = sandbox;
  if (cgroup !== undefined) {
    const { oomKills, memoryPeakBytes, forksRefused } = cgroup.events();
    if (forksRefused > 0) noticeForks(sandbox);
    return oomKills > 0 ? memoryBreach(connector, limits, memoryPeakBytes) : undefined;
  }
  const use = await measureTree(sandbox.pid);
  // At the limit the next one is refused, which nothing counts here.
  if (use.tasks >= limits.pidsMax) noticeForks(sandbox);
  return use.memoryBytes > limits.memoryBytesMax ? memoryBreach(connector, limits, use.memoryBytes) : undefined;
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

/** Memory as its share of shared pages (Pss), so that forks are not counted twice, and tasks, of a process and all below it. */
export async function measureTree(pid: number): Promise<{ readonly memoryBytes: number; readonly tasks: number }> {
  const [rollup, tasks] = await Promise.all([
    readFile(`/proc/${pid}/smaps_rollup`, 'latin1').catch(() => ''),
    readdir(`/proc/${pid}/task`).catch(() => []),
  ]);
  const own = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'latin1').catch(() => '')));
  const below = await Promise.all(lists.flatMap((list) => list.split(' ').filter(Boolean)).map((child) => measureTree(Number(child))));
  return below.reduce((sum, use) => ({ memoryBytes: sum.memoryBytes + use.memoryBytes, tasks: sum.tasks + use.tasks }), {
    memoryBytes: own,
    tasks: tasks.length,
  });
}
