import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { processStat } from '../../../src/runner/process-tree.ts';
import { type Cgroup, createCgroup, leftBytesMax } from '../../../src/sandbox/cgroup.ts';
import { removeFolder } from '../../../src/sandbox/cgroup-folder.ts';
import { type CgroupPool, createCgroupPool, keptCgroupsMax, keptCgroupsMs } from '../../../src/sandbox/cgroup-pool.ts';
import { type CgroupTree, findCgroupTree, handOn, removeCgroups } from '../../../src/sandbox/cgroup-tree.ts';
import type { ResourceLimits } from '../../../src/sandbox/policy.ts';

const mebibyte = 2 ** 20;
const limits: ResourceLimits = {
  memoryBytesMax: 64 * mebibyte,
  cpusMax: 1,
  pidsMax: 4,
  descriptorsMax: 64,
  fileBytesMax: mebibyte,
  tmpBytesMax: mebibyte,
  tmpInodesMax: 64,
};
/** True, or another proxy that starts on this machine would take it for dead and remove its cgroups. */
const owner = { pid: process.pid, startTicks: (await processStat(process.pid))?.startTicks ?? '', runner: 'pooltest' };

// The kernel’s own cgroups, where this machine lets them be made.
describe.runIf(process.getuid?.() === 0)('cgroups of a runner', () => {
  let tree: CgroupTree;
  let pool: CgroupPool;
  beforeEach(() => {
    tree = findCgroupTree(owner) as CgroupTree;
    pool = createCgroupPool(tree);
  });
  afterEach(async () => {
    await pool.close();
    await removeCgroups(tree, ({ runner }) => runner === owner.runner);
    for (const folder of tree.folders.values()) expect(existsSync(folder)).toBe(false);
  });

  /** A shell in this cgroup, which then does as it is told. */
  async function runIn(cgroup: Cgroup, script: string): Promise<ChildProcess> {
    const child = spawn('/bin/sh', ['-c', `read -r go; ${script}`], { stdio: ['pipe', 'pipe', 'ignore'] });
    await cgroup.add(child.pid as number);
    child.stdin?.end('\n');
    return child;
  }

  function memoryFolderOf({ pid }: Pick<ChildProcess, 'pid'>): string {
    const lines = readFileSync(`/proc/${pid}/cgroup`, 'latin1');
    const path = (tree.version === 1 ? /^\d+:memory:(.*)$/m : /^0::(.*)$/m).exec(lines)?.[1] ?? '';
    return join(tree.folders.get('memory') ?? '', path.split('/').at(-1) ?? '');
  }

  /** What one sandbox is to the pool, by its folder. */
  async function useOnce(script: string, given: ResourceLimits = limits): Promise<string> {
    const cgroup = pool.take();
    cgroup.limit(given);
    const child = await runIn(cgroup, script);
    const folder = memoryFolderOf(child);
    await once(child, 'exit');
    await cgroup.remove();
    return folder;
  }

  it('one in which nothing happened serves again, with the limits of the next', async () => {
    const first = await useOnce('sleep 0.2');
    for (const memoryBytesMax of [96 * mebibyte, 32 * mebibyte]) {
      const cgroup = pool.take();
      cgroup.limit({ ...limits, memoryBytesMax, pidsMax: 7 });
      const child = await runIn(cgroup, 'exec sleep 61');
      expect(memoryFolderOf(child)).toBe(first);
      const file = tree.version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
      expect(Number(readFileSync(join(first, file), 'latin1'))).toBe(memoryBytesMax);
      cgroup.kill();
      await once(child, 'exit');
      await cgroup.remove();
    }
  });

  it('one that could not be limited is not taken for one with its limits of before', async () => {
    const first = await useOnce('sleep 0.2');
    const refused = pool.take();
    expect(() => refused.limit({ ...limits, memoryBytesMax: 96 * mebibyte, pidsMax: -9 })).toThrow('EINVAL');
    await refused.remove();
    const cgroup = pool.take();
    cgroup.limit(limits);
    const child = await runIn(cgroup, 'exec sleep 61');
    expect(memoryFolderOf(child)).toBe(first);
    const files = tree.version === 1 ? ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'] : ['memory.max'];
    for (const path of files.map((file) => join(first, file)).filter((path) => existsSync(path)))
      expect(Number(readFileSync(path, 'latin1'))).toBe(limits.memoryBytesMax);
    cgroup.kill();
    await once(child, 'exit');
    await cgroup.remove();
  });

  it('one with a larger share of the CPU than a cgroup around it has that one’s', async () => {
    const cpu = tree.folders.get('cpu') as string;
    const quotaFile = tree.version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max';
    writeFileSync(join(cpu, quotaFile), tree.version === 1 ? '50000' : '50000 100000');
    const inside = createCgroup(tree, 'inside');
    const read = () => readFileSync(join(cpu, 'inside', quotaFile), 'latin1').trim();
    inside.limit({ ...limits, cpusMax: 4 });
    expect(read()).toBe(tree.version === 1 ? '-1' : '400000 100000');
    inside.limit({ ...limits, cpusMax: 0.25 });
    expect(read()).toMatch(/^25000\b/);
    inside.limit({ ...limits, cpusMax: 2 });
    expect(read()).toBe(tree.version === 1 ? '-1' : '200000 100000');
    await inside.remove();
  });

  it('what a dead proxy left is removed by two at the same time', async () => {
    const dead = findCgroupTree({ ...owner, runner: 'deadtest' }) as CgroupTree;
    for (const name of ['one', 'two', 'three']) createCgroup(dead, name);
    // The second finds them, and asks about them until they are gone.
    const remove = (asked: Promise<unknown>) => removeCgroups(tree, ({ runner }) => asked.then(() => runner === 'deadtest'));
    const removed = remove(Promise.resolve());
    await Promise.all([removed, remove(removed)]);
    for (const folder of dead.folders.values()) expect(existsSync(folder)).toBe(false);
  });

  it('one whose memory ran out does not, and is not told of the next', async () => {
    const first = await useOnce('sleep 0.2; exec python3 -c "bytearray(200 << 20)"', { ...limits, memoryBytesMax: 16 * mebibyte });
    const cgroup = pool.take();
    cgroup.limit(limits);
    const child = await runIn(cgroup, 'exec sleep 61');
    expect(memoryFolderOf(child)).not.toBe(first);
    expect(cgroup.events()).toMatchObject({ oomKills: 0, forksRefused: 0 });
    cgroup.kill();
    await once(child, 'exit');
    await cgroup.remove();
  });

  it('one that was refused a process does not either', async () => {
    const first = await useOnce('sleep 0.2; for n in 1 2 3 4 5 6 7 8; do sleep 0.3 & done; wait');
    const cgroup = pool.take();
    cgroup.limit(limits);
    const child = await runIn(cgroup, 'exec sleep 61');
    expect(memoryFolderOf(child)).not.toBe(first);
    expect(cgroup.events()).toMatchObject({ oomKills: 0, forksRefused: 0 });
    cgroup.kill();
    await once(child, 'exit');
    await cgroup.remove();
  });

  it('one to which too much is charged still does not either', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'bulkhead-left-')), 'pages');
    onTestFinished(() => rmSync(dirname(file), { recursive: true }));
    const write = (bytes: number) => `sleep 0.2; head -c ${bytes} /dev/zero >${file}`;
    const little = await useOnce(write(mebibyte));
    const much = await useOnce(write(leftBytesMax + mebibyte));
    expect(much).toBe(little);
    expect(await useOnce('sleep 0.2')).not.toBe(much);
  });

  it('one in which a process ended that nobody waited for does not', async () => {
    const cgroup = pool.take();
    cgroup.limit(limits);
    const program = '$| = 1; if (my $pid = fork) { print $pid } sleep 61';
    const parent = spawn('/usr/bin/perl', ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(async () => {
      parent.kill('SIGKILL');
      await once(parent, 'exit');
    });
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(said);
    await cgroup.add(pid);
    const folder = memoryFolderOf({ pid });
    process.kill(pid, 'SIGKILL');
    await cgroup.remove();
    expect(await useOnce('sleep 0.2')).not.toBe(folder);
  });

  it('whoever had one before neither sees nor kills what is in it now', async () => {
    const before = pool.take();
    before.limit(limits);
    const gone = await runIn(before, 'sleep 0.2');
    const folder = memoryFolderOf(gone);
    await once(gone, 'exit');
    await Promise.all([before.remove(), before.remove()]);
    const after = pool.take();
    after.limit(limits);
    const child = await runIn(after, 'sleep 1; echo done');
    expect(memoryFolderOf(child)).toBe(folder);
    before.kill();
    await before.remove();
    expect(before.events()).toEqual({ oomKills: 0, memoryPeakBytes: 0, forksRefused: 0 });
    expect(await text(child.stdout as NodeJS.ReadableStream)).toBe('done\n');
    await after.remove();
  });

  it('what is left in one is killed before it serves again', async () => {
    const cgroup = pool.take();
    cgroup.limit(limits);
    const child = await runIn(cgroup, 'sleep 61 & echo $!');
    const [said] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    await once(child, 'exit');
    await cgroup.remove();
    await vi.waitFor(() => expect(readFileSync(`/proc/${Number(said)}/stat`, 'latin1')).toMatch(/ [ZX] |^$/));
  });

  it('no more than so many wait, and none for long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const all = Array.from({ length: keptCgroupsMax + 2 }, () => pool.take());
    const count = () =>
      readdirSync(tree.folders.get('memory') ?? '', { withFileTypes: true }).filter((entry) => entry.isDirectory()).length;
    expect(count()).toBe(keptCgroupsMax + 2);
    await Promise.all(all.map((cgroup) => cgroup.remove()));
    expect(count()).toBe(keptCgroupsMax);
    await vi.advanceTimersByTimeAsync(keptCgroupsMs - 1);
    expect(count()).toBe(keptCgroupsMax);
    await vi.advanceTimersByTimeAsync(1);
    vi.useRealTimers();
    await vi.waitFor(() => expect(count()).toBe(0));
  });
});

/** Where version 2 is mounted, whatever controllers are left for it. */
const unified = /^(?:\S+ ){4}(\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'latin1'))?.[1];

describe.runIf(process.getuid?.() === 0 && unified !== undefined)('a delegated cgroup of version 2', () => {
  it('is emptied into a leaf and hands on its controllers, while processes in it fork and end', async () => {
    const root = join(unified as string, `bulkhead-test-${process.pid}`);
    const leaf = join(root, 'bulkhead-proxy');
    mkdirSync(root);
    onTestFinished(async () => {
      for (const folder of [leaf, root]) await removeFolder(folder);
    });
    const forking = spawn('/bin/sh', ['-c', 'read -r go; for n in 1 2 3 4 5 6; do while :; do true & wait; done & done; wait'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    writeFileSync(join(root, 'cgroup.procs'), String(forking.pid));
    forking.stdin.end('\n');
    const controllers = readFileSync(join(root, 'cgroup.controllers'), 'latin1').trim().split(' ').filter(Boolean);
    const enabled = controllers.map((controller) => `+${controller}`).join(' ');
    for (let round = 0; round < 50; round++) {
      handOn(root, enabled);
      expect(readFileSync(join(root, 'cgroup.subtree_control'), 'latin1').trim().split(' ').filter(Boolean)).toEqual(controllers);
      // And back: a cgroup that hands on controllers takes no processes.
      writeFileSync(join(root, 'cgroup.subtree_control'), enabled.replaceAll('+', '-'));
      spawnSync('/bin/sh', ['-c', `for pid in $(cat ${leaf}/cgroup.procs); do echo $pid >${root}/cgroup.procs; done`]);
    }
  });
});
