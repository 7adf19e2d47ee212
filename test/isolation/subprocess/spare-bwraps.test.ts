import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { processStat } from '../../../src/runner/process-tree.ts';
import type { Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';
import { makeSpare, waitForSpares, waitingBwraps } from './waiting-bwraps.ts';

const folder = hostileFolder();
let runner: Runner;
beforeEach(() => {
  runner = createSubprocessRunner();
});
afterEach(() => runner.close());
afterAll(() => folder[Symbol.dispose]());

const outerPid = async (label: string) => (await processStat(Number(label.split(' ')[1])))?.parent;

it('a start takes the bwrap that waits, and another one waits afterwards', async () => {
  const spare = await makeSpare({ runner, folder: folder.path });
  const hostile = await startHostile({ runner, folder: folder.path });
  expect(await outerPid(hostile.process.label)).toBe(spare);
  expect(await waitForSpares()).not.toContain(spare);
});

it.runIf(process.getuid?.() === 0)('its cgroup has the limits of the connector that it is started for', async () => {
  const spare = await makeSpare({ runner, folder: folder.path, limits: { memoryBytesMax: 200 * 2 ** 20 } });
  const path = /^\d+:memory:(.*)$/m.exec(readFileSync(`/proc/${spare}/cgroup`, 'latin1'))?.[1];
  if (path === undefined) return;
  const limit = () => Number(readFileSync(`/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`, 'latin1'));
  expect(limit()).toBeGreaterThan(2 ** 40);
  const hostile = await startHostile({ runner, folder: folder.path, limits: { memoryBytesMax: 96 * 2 ** 20 } });
  expect(await outerPid(hostile.process.label)).toBe(spare);
  expect(limit()).toBe(96 * 2 ** 20);
});

it('one that was killed while it waited is not missed', async () => {
  const spare = await makeSpare({ runner, folder: folder.path });
  process.kill(spare, 'SIGKILL');
  const hostile = await startHostile({ runner, folder: folder.path });
  expect(await outerPid(hostile.process.label)).not.toBe(spare);
});

it('starts at the same time take one each, and leave one', async () => {
  await makeSpare({ runner, folder: folder.path });
  const hostiles = await Promise.all(Array.from({ length: 8 }, () => startHostile({ runner, folder: folder.path })));
  const outer = await Promise.all(hostiles.map(({ process: { label } }) => outerPid(label)));
  expect(new Set(outer).size).toBe(8);
  await waitForSpares();
});

it('closing leaves none, and no descriptor', async () => {
  await runner.close();
  const before = readdirSync('/proc/self/fd').length;
  const other = createSubprocessRunner();
  await makeSpare({ runner: other, folder: folder.path });
  expect(readdirSync('/proc/self/fd').length).toBeGreaterThan(before);
  await other.close();
  expect(waitingBwraps()).toEqual([]);
  await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBeLessThanOrEqual(before);
});
