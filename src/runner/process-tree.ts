import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Sends a signal; a process that is gone already, or that is not ours, is no error. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The processes whose environment holds this entry: children that left their group and lost their parent still carry it. */
export async function processesWithEnvironment(entry: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const matches = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      return environment.split('\0').includes(entry) && (await isRunning(Number(pid)));
    }),
  );
  return pids.filter((_, index) => matches[index]).map(Number);
}

const sweepsMax = 50;

/** Kills every process that carries the entry, again and again until none is left: a fork may slip between two looks. */
export async function killByEnvironment(entry: string): Promise<void> {
  for (let sweep = 0; sweep < sweepsMax; sweep++) {
    const pids = await processesWithEnvironment(entry);
    if (pids.length === 0) return;
    for (const pid of pids) signalIfAlive(pid, 'SIGKILL');
    await sleep(10);
  }
}

/** Whether the process exists and is not a zombie: a killed orphan may wait long for whoever reaps it. */
export async function isRunning(pid: number): Promise<boolean> {
  const state = await processStat(pid);
  return state !== undefined && state.state !== 'Z' && state.state !== 'X';
}

/** State letter, parent and start time (clock ticks since boot: with the pid it names one process for ever). */
export async function processStat(pid: number): Promise<{ state: string; parent: number; startTicks: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // The name, in parentheses, may hold spaces and parentheses.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields && { state: fields[0] ?? 'X', parent: Number(fields[1]), startTicks: fields[19] ?? '' };
}

/** Its words, each with a NUL at its end; empty when it is gone. */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ESRCH' || code === 'EPERM';
}
