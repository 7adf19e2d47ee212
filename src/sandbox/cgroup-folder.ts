import { closeSync, openSync, readFileSync, readSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Larger than any of these files. Node’s own reading of a file without a size takes 64 KB each time, which was a third of what an idle worker cost. */
const countsBuffer = Buffer.allocUnsafeSlow(4096);

export function readCounts(folder: string | undefined, file: string): string {
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

const removeTriesMax = 55;
const removePauseMaxMs = 20;

/**
 * A cgroup can go once the kernel has done away with its last process, which takes it a millisecond or two after the exit. One that does not
 * end is an orphan: the child of a bwrap that was killed before it had let go of it waits for that for ever.
 */
export async function removeFolder(folder: string): Promise<void> {
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

export function killProcesses(folder: string): void {
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

export function processesOf(folder: string): readonly string[] {
  return readFileSync(join(folder, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean);
}

/** False also where it is gone. */
export function isEmpty(folder: string): boolean {
  try {
    return processesOf(folder).length === 0;
  } catch {
    return false;
  }
}
