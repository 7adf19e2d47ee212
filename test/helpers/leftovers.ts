import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesWithEnvironment } from '../../src/runner/process-tree.ts';

/** Environment of every connector that a test starts: with it a process is found wherever it has gone. */
export const leftoverMark = { name: 'LEFTOVER_MARK', value: `test-${process.pid}-${Math.random().toString(36).slice(2)}` };

const settleTimeoutMs = 10_000;

export interface Leftovers {
  readonly processes: readonly number[];
  readonly zombies: readonly number[];
  /** More than at the start. */
  readonly descriptors: number;
  /** Pipes and child processes that the event loop still has. */
  readonly handles: readonly string[];
}

/** Notes what is there now; the function that it returns waits until no more than that is left, and tells what is. */
export function watchLeftovers(): () => Promise<Leftovers> {
  const descriptorsBefore = openDescriptors();
  const handlesBefore = handles().length;
  return async () => {
    const until = Date.now() + settleTimeoutMs;
    for (;;) {
      const left = await lookAround(descriptorsBefore, handlesBefore);
      if (isNothing(left) || Date.now() > until) return left;
      await sleep(20);
    }
  };
}

export const nothingLeft: Leftovers = { processes: [], zombies: [], descriptors: 0, handles: [] };

async function lookAround(descriptorsBefore: number, handlesBefore: number): Promise<Leftovers> {
  const left = handles();
  return {
    processes: await processesWithEnvironment(`${leftoverMark.name}=${leftoverMark.value}`),
    zombies: zombieChildren(),
    descriptors: Math.max(0, openDescriptors() - descriptorsBefore),
    handles: left.length > handlesBefore ? left : [],
  };
}

function isNothing({ processes, zombies, descriptors, handles }: Leftovers): boolean {
  return processes.length + zombies.length + descriptors + handles.length === 0;
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function handles(): readonly string[] {
  return process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap' || name === 'ProcessWrap');
}

/** Children that ended and were not waited for. */
function zombieChildren(): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const fields = statFields(pid);
    return fields?.[0] === 'Z' && Number(fields[1]) === process.pid;
  });
}

/** State and what follows it in /proc/PID/stat; the name before may hold anything. */
function statFields(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
