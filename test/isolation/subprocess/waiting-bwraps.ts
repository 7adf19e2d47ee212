import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLineOf } from '../../../src/runner/process-tree.ts';
import type { Runner } from '../../../src/runner/runner.ts';
import { startHostile } from './hostile-folder.ts';

/** The bwraps that this process, or its spawner, has spawned and that have started nothing yet. */
export function waitingBwraps(): readonly number[] {
  return spawned().filter((pid) => commandLineOf(pid).includes('bwrap\0--args') && childrenOf(pid).length === 0);
}

/** The command lines of what this process, or its spawner, has spawned. */
export function childCommands(): readonly string[] {
  return spawned().map(commandLineOf);
}

/** Spawners of the runners in this process. */
export function spawnersOf(pid = process.pid): readonly number[] {
  return childrenOf(pid).filter((child) => commandLineOf(child).includes('/spawner.pl'));
}

function spawned(): readonly number[] {
  return [...childrenOf(process.pid), ...spawnersOf().flatMap(childrenOf)];
}

/** Waits until the runner, of which one sandbox has started, has as many spares. */
export async function waitForSpares(count = 1): Promise<readonly number[]> {
  const end = performance.now() + 10_000;
  while (waitingBwraps().length !== count) {
    if (performance.now() > end) throw new Error(`There are ${waitingBwraps().length} bwraps that wait, not ${count}.`);
    await sleep(20);
  }
  await untilDescriptorsRest();
  return waitingBwraps();
}

/** A process of the spawner is there before our ends of its sockets are: whoever counts descriptors must not count amid them. */
async function untilDescriptorsRest(): Promise<void> {
  const count = () => readdirSync('/proc/self/fd').length;
  for (let [before, same] = [count(), 0]; same < 3; ) {
    await sleep(20);
    same = count() === before ? same + 1 : 0;
    before = count();
  }
}

/** Has the runner make a spare of the shape that these options need. */
export async function makeSpare(options: Parameters<typeof startHostile>[0] & { readonly runner: Runner }): Promise<number> {
  const before = waitingBwraps().length;
  const first = await startHostile(options);
  const spares = await waitForSpares(before + 1);
  first.process.kill();
  await first.process.exited;
  return spares.at(-1) ?? 0;
}

function childrenOf(pid: number): readonly number[] {
  return readText(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
