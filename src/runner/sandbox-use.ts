import { closeSync, openSync, read, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readCounts } from '../sandbox/cgroup-folder.ts';
import { type FilterArchitecture, syscallNumber } from '../sandbox/syscalls.ts';

export interface SandboxUse {
  /** In memory and swap, each page once; see `sumMemory`. */
  readonly memoryBytes: number;
  /** Of that, what is held even if every child that might have its parent’s memory has. */
  readonly memoryBytesMin: number;
  /** Processes and threads. */
  readonly tasks: number;
}

/** How many processes are open at once, each with a descriptor. */
const batchMax = 64;

/**
 * What all processes of a sandbox hold, which its own /proc lists: `firstPid` is the number that its first one has outside. Nothing is held by
 * what is gone. `isPrecise`: also looks at every thread, so that what a child of vfork has of its parent counts once. Never rejects.
 */
export async function measureSandbox(firstPid: number, { isPrecise }: { readonly isPrecise: boolean }): Promise<SandboxUse> {
  const proc = `/proc/${firstPid}/root/proc`;
  const processes: ProcessUse[] = [];
  const lending = new Map<number, number>();
  // Before and after: one that begins to lend meanwhile is found then, one that ends to before.
  const noteLending = () => {
    if (isPrecise) for (const [pid, count] of countLending(proc)) lending.set(pid, Math.max(count, lending.get(pid) ?? 0));
  };
  noteLending();
  const pids = newestFirst(proc);
  for (let at = 0; at < pids.length; at += batchMax) {
    // Opened at once after they were listed: what forks and ends all the time would be gone.
    const opened = pids.slice(at, at + batchMax).flatMap((pid) => openProcess(proc, pid) ?? []);
    noteLending();
    processes.push(...(await Promise.all(opened.map(readUse))));
  }
  return {
    memoryBytes: sumMemory(processes, (pid) => lending.get(pid) ?? 0),
    memoryBytesMin: sumMemory(processes, () => Number.POSITIVE_INFINITY),
    tasks: sum(processes.map(({ tasks }) => tasks)),
  };
}

interface ProcessFacts {
  readonly pid: number;
  /** Its number inside, too. */
  readonly parent: number;
  readonly tasks: number;
}

export interface ProcessUse extends ProcessFacts {
  /** From where to where its addresses go: as its parent’s, until it runs a program. */
  readonly addresses: string;
  /** In memory and swap; of what several processes hold, its share. */
  readonly bytes: number;
}

/**
 * Pure. The sum of all, without what is counted twice: a child of vfork or posix_spawn has its parent’s own memory until it runs a program,
 * which nothing tells from a copy, but its parent has a thread that waits for it, and is `lending` as often as it has such threads. Of as many
 * children with its addresses, the smallest, no more goes off than they can have of the parent: no copy is hidden behind them.
 */
export function sumMemory(processes: readonly ProcessUse[], lending: (pid: number) => number): number {
  const likeParents = Map.groupBy(processes, ({ parent, addresses }) => `${parent} ${addresses}`);
  const twice = processes.map(({ pid, addresses, bytes }) => {
    const children = likeParents.get(`${pid} ${addresses}`) ?? [];
    const shared = children.map((child) => Math.min(child.bytes, bytes)).sort((one, other) => one - other);
    return sum(shared.slice(0, lending(pid)));
  });
  return sum(processes.map(({ bytes }) => bytes)) - sum(twice);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Threads that are looked at for what they wait for; those beyond count as if they waited for nothing. */
const threadsMax = 1024;

/** How many threads of a process wait for a child that has their memory. */
function countLending(proc: string): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  let left = threadsMax;
  for (const pid of newestFirst(proc)) {
    const tasks = join(proc, String(pid), 'task');
    const threads = newestFirst(tasks).slice(0, left);
    left -= threads.length;
    const count = threads.filter((thread) => isLending(readCounts(join(tasks, String(thread)), 'syscall'))).length;
    if (count > 0) found.set(pid, count);
  }
  return found;
}

/** CLONE_VM and CLONE_VFORK of <linux/sched.h>. */
const vforkFlags = 0x4100;

/** Pure: of the call in which a thread waits, see proc_pid_syscall(5). No clone3: the filter does not know it. */
export function isLending(call: string, architecture = process.arch as FilterArchitecture): boolean {
  const [number = '', flags] = call.split(' ');
  if (number === '') return false;
  if (Number(number) === syscallNumber('vfork', architecture)) return true;
  return Number(number) === syscallNumber('clone', architecture) && (Number(flags) & vforkFlags) === vforkFlags;
}

interface OpenProcess extends ProcessFacts {
  readonly folder: string;
  readonly rollup: number | undefined;
}

function openProcess(proc: string, pid: number): OpenProcess | undefined {
  const folder = join(proc, String(pid));
  const stat = readCounts(folder, 'stat');
  if (stat === '') return undefined;
  // The name, in parentheses, may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, parent: Number(fields[1]), tasks: Number(fields[17]), folder, rollup: tryOpen(join(folder, rollupFile)) };
}

/** See proc_pid_smaps(5): what its mappings come to. */
const rollupFile = 'smaps_rollup';

async function readUse({ folder, rollup, ...facts }: OpenProcess): Promise<ProcessUse> {
  const own = await readAndClose(rollup);
  return { ...facts, ...usageOf(own === '' && facts.tasks > 1 ? await rollupOfThreads(folder) : own) };
}

const threadsTriedMax = 8;

/** When its first thread has ended, a process shows nothing, and the others hold its memory all the same. Each may be about to end, too. */
async function rollupOfThreads(folder: string): Promise<string> {
  const tasks = join(folder, 'task');
  const opened = newestFirst(tasks)
    .slice(0, threadsTriedMax)
    .map((tid) => tryOpen(join(tasks, String(tid), rollupFile)));
  let found = '';
  for (const rollup of opened) {
    if (found === '') found = await readAndClose(rollup);
    else if (rollup !== undefined) closeSync(rollup);
  }
  return found;
}

/** Pure: of the text of smaps_rollup; nothing of an empty one. */
export function usageOf(rollup: string): Pick<ProcessUse, 'addresses' | 'bytes'> {
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0);
  return { addresses: rollup.slice(0, rollup.indexOf(' ')), bytes: 1024 * (kibibytes('Pss') + kibibytes('SwapPss')) };
}

function newestFirst(folder: string): readonly number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((one, other) => other - one);
  } catch {
    return [];
  }
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

const readFrom = promisify(read);
/** Larger than the file, which is given at once. */
const rollupBytesMax = 4096;

/** Not on this thread: the kernel walks through all its pages. Empty when it has ended. */
async function readAndClose(descriptor: number | undefined): Promise<string> {
  if (descriptor === undefined) return '';
  try {
    const { bytesRead, buffer } = await readFrom(descriptor, Buffer.allocUnsafe(rollupBytesMax), 0, rollupBytesMax, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } catch {
    return '';
  } finally {
    closeSync(descriptor);
  }
}
