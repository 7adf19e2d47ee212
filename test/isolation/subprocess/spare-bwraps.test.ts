import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeFiles, spawnBwrap, tellArguments } from '../../../src/runner/bwrap-process.ts';
import { findMachineLayout } from '../../../src/runner/machine-layout.ts';
import { streamOf, untilEnded } from '../../../src/runner/outer-process.ts';
import { processStat } from '../../../src/runner/process-tree.ts';
import type { Runner } from '../../../src/runner/runner.ts';
import { inside } from '../../../src/runner/sandbox-plan.ts';
import { findSandboxUser, sandboxUserDefault } from '../../../src/runner/sandbox-user.ts';
import { sparesMax } from '../../../src/runner/spare-bwraps.ts';
import { keepSpawner } from '../../../src/runner/spawner-keeper.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { seccompFilter } from '../../../src/sandbox/seccomp.ts';
import type { FilterArchitecture } from '../../../src/sandbox/syscalls.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';
import { childCommands, makeSpare, waitForSpares, waitingBwraps } from './waiting-bwraps.ts';

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

it.runIf(process.getuid?.() === 0)('of each kind of limits one waits, of not too many kinds, and each is taken for its own', async () => {
  const limitsOf = (kind: number) => ({ descriptorsMax: 200 + kind });
  const spares: number[] = [];
  for (let kind = 0; kind <= sparesMax; kind += 1) {
    const first = await startHostile({ runner, folder: folder.path, limits: limitsOf(kind) });
    const waiting = await waitForSpares(Math.min(kind + 1, sparesMax));
    spares.push(waiting.find((pid) => !spares.includes(pid)) ?? 0);
    first.process.kill();
    await first.process.exited;
  }
  expect(waitingBwraps()).not.toContain(spares[0]);
  const last = await startHostile({ runner, folder: folder.path, limits: limitsOf(sparesMax) });
  expect(await outerPid(last.process.label)).toBe(spares[sparesMax]);
  const limits = readFileSync(`/proc/${last.process.label.split(' ')[1]}/limits`, 'latin1');
  expect(limits).toMatch(new RegExp(`^Max open files +${200 + sparesMax} +${200 + sparesMax} `, 'm'));
  const oldest = await startHostile({ runner, folder: folder.path, limits: limitsOf(0) });
  expect(spares).not.toContain(await outerPid(oldest.process.label));
});

it('one that was told of another /tmp is not taken', async () => {
  const start = (mib: number) => startHostile({ runner, folder: folder.path, limits: { tmpBytesMax: mib * 2 ** 20 } });
  const tmpOf = (label: string) => / \/tmp .*[ ,]size=(\d+)k/.exec(readFileSync(`/proc/${label.split(' ')[1]}/mountinfo`, 'latin1'))?.[1];
  const spare = await makeSpare({ runner, folder: folder.path, limits: { tmpBytesMax: 3 * 2 ** 20 } });
  const other = await start(5);
  expect(await outerPid(other.process.label)).not.toBe(spare);
  expect(tmpOf(other.process.label)).toBe('5120');
  const own = await start(3);
  expect(await outerPid(own.process.label)).toBe(spare);
  expect(tmpOf(own.process.label)).toBe('3072');
});

it('one whose arguments end with those of its kind starts no program', async () => {
  const machine = findMachineLayout(process.execPath);
  const architecture = process.arch as FilterArchitecture;
  const nullDescriptor = openSync('/dev/null', 'r+');
  const spawners = keepSpawner({ architecture, nullDescriptor }, { isWanted: false });
  const user = findSandboxUser(sandboxUserDefault, process.getuid?.());
  const host = { bwrapPath: '/usr/bin/bwrap', user, cgroups: undefined, spawners, inherited: [], nullDescriptor };
  const kind = { machine, filter: seccompFilter(architecture), isHostShared: false, capabilities: [], tmpBytesMax: 2 ** 20 };
  const firstProgram = ['/bin/sh', inside.connectorScript];
  const bwrap = await spawnBwrap(host, { kind, firstProgram, files: 2, usesIpc: false, limits: [], carried: [] });
  const said = text(streamOf(bwrap.child, 2));
  tellArguments(bwrap, []);
  closeFiles(bwrap);
  await untilEnded(bwrap.child);
  expect(bwrap.child.exitCode).toBeGreaterThan(0);
  expect(await said).toContain(inside.connectorScript);
  await spawners.close();
  closeSync(nullDescriptor);
});

// By the time of the start its end may be: not yet there, seen on its pipes only, or known.
it.each([0, 1, 2, 4, 50])('one that was killed %d ms before a start is not missed', async (ms) => {
  const spare = await makeSpare({ runner, folder: folder.path });
  process.kill(spare, 'SIGKILL');
  await sleep(ms);
  const hostile = await startHostile({ runner, folder: folder.path });
  expect(await outerPid(hostile.process.label)).not.toBe(spare);
});

describe('one that has closed its pipes', () => {
  const path = () => join(folder.path, 'maybe-deaf-bwrap');
  const mark = () => `${path()}.deaf`;
  const deafBwrap = ['sleep', '61', ''].join('\0');
  const makeDeafSpare = async (start: () => Promise<unknown>) => {
    await start().catch(() => {});
    writeFileSync(mark(), '');
    await expect.poll(childCommands, { timeout: 5000 }).toContain(deafBwrap);
    await sleep(50);
  };
  beforeEach(() => {
    const script = `#!/bin/sh
if [ -e ${mark()} ]; then exec 0<&- 1>&- 2>&- 4>&- 5>&- 6>&- 7>&-; exec sleep 61; fi
exec /usr/bin/bwrap "$@"
`;
    writeFileSync(path(), script, { mode: 0o755 });
  });
  afterEach(() => rmSync(mark(), { force: true }));

  it.each([
    ['a new one does', false],
    ['it is told when a new one does not either', true],
  ])('is not waited for: %s', async (_, isNewDeaf) => {
    const other = createSubprocessRunner({ bwrapPath: path() });
    const start = () => startHostile({ runner: other, folder: folder.path });
    await makeDeafSpare(start);
    if (isNewDeaf) await expect(start()).rejects.toMatchObject({ code: 'sandbox_unavailable' });
    else {
      rmSync(mark());
      expect((await start()).process.label).toMatch(/^pid /);
    }
    await other.close();
    expect(childCommands()).not.toContain(deafBwrap);
  });
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
