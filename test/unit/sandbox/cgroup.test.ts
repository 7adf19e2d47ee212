import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundsSwap, createCgroup } from '../../../src/sandbox/cgroup.ts';
import { findCgroupTree, removeCgroups } from '../../../src/sandbox/cgroup-tree.ts';
import type { ResourceLimits } from '../../../src/sandbox/policy.ts';

const limits: ResourceLimits = {
  memoryBytesMax: 1000,
  cpusMax: 0.5,
  pidsMax: 10,
  descriptorsMax: 1,
  fileBytesMax: 1,
  tmpBytesMax: 1,
  tmpInodesMax: 1,
};
const owner = { pid: 77, startTicks: '123', runner: 'a1' };

/** Files where the kernel would have them: what is written and where is what these tests are about. */
let root: string;
const write = (path: string, text: string) => {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
};
const read = (path: string) => readFileSync(join(root, path), 'utf8');

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bulkhead-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('version 2', () => {
  const find = () => findCgroupTree(owner, { self: join(root, 'self') });
  beforeEach(() => {
    write('self/cgroup', '0::/system.slice/bulkhead.service\n');
    write('self/mountinfo', `30 23 0:26 / ${root}/cg rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n`);
    write('cg/system.slice/bulkhead.service/cgroup.controllers', 'cpuset cpu io memory pids\n');
    write('cg/system.slice/bulkhead.service/cgroup.procs', '4711\n');
    write('cg/system.slice/bulkhead.service/cgroup.type', 'domain\n');
    write('cg/system.slice/bulkhead.service/cgroup.subtree_control', '');
  });

  it('moves the proxy into a leaf, hands controllers on, and makes a folder of the proxy’s own', () => {
    const folder = join(root, 'cg/system.slice/bulkhead.service/bulkhead.77.123.a1');
    expect(find()).toEqual({
      version: 2,
      folders: new Map([
        ['memory', folder],
        ['pids', folder],
        ['cpu', folder],
      ]),
    });
    expect(read('cg/system.slice/bulkhead.service/bulkhead-proxy/cgroup.procs')).toBe('4711');
    expect(read('cg/system.slice/bulkhead.service/cgroup.subtree_control')).toBe('+memory +pids +cpu');
  });

  it('finds the same place again from within the leaf', () => {
    write('self/cgroup', '0::/system.slice/bulkhead.service/bulkhead-proxy\n');
    expect(find()?.folders.get('memory')).toBe(join(root, 'cg/system.slice/bulkhead.service/bulkhead.77.123.a1'));
  });

  it('moves nothing out of the machine’s own root, which may have processes beside it', () => {
    write('self/cgroup', '0::/\n');
    write('cg/cgroup.controllers', 'cpu memory pids\n');
    write('cg/cgroup.procs', '1\n2\n');
    expect(find()?.folders.get('memory')).toBe(join(root, 'cg/bulkhead.77.123.a1'));
    expect(existsSync(join(root, 'cg/bulkhead-proxy'))).toBe(false);
    expect(read('cg/cgroup.subtree_control')).toBe('+memory +pids +cpu');
  });

  it('is not used when memory cannot be counted', () => {
    write('cg/system.slice/bulkhead.service/cgroup.controllers', 'hugetlb\n');
    expect(find()).toBeUndefined();
  });

  it('writes the limits that exist, and reads what was reached', async () => {
    const tree = find();
    const folder = 'cg/system.slice/bulkhead.service/bulkhead.77.123.a1/one';
    for (const file of ['memory.max', 'memory.swap.max', 'memory.oom.group', 'pids.max', 'cpu.max']) write(`${folder}/${file}`, '');
    const cgroup = createCgroup(tree!, 'one');
    await cgroup.add(99);
    expect(read(`${folder}/memory.max`)).toBe('');
    cgroup.limit(limits);
    expect(
      ['memory.max', 'memory.swap.max', 'memory.oom.group', 'pids.max', 'cpu.max', 'cgroup.procs'].map((file) => read(`${folder}/${file}`)),
    ).toEqual(['1000', '0', '1', '12', '50000 100000', '99']);
    write(`${folder}/memory.events`, 'low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 1\n');
    write(`${folder}/pids.events`, 'max 3\n');
    // Before Linux 5.19.
    expect(cgroup.events()).toEqual({ oomKills: 1, memoryPeakBytes: undefined, forksRefused: 3 });
    write(`${folder}/memory.peak`, '998\n');
    expect(cgroup.events()).toEqual({ oomKills: 1, memoryPeakBytes: 998, forksRefused: 3 });
  });
});

describe('version 1', () => {
  beforeEach(() => {
    write('self/cgroup', '8:pids:/\n6:memory:/outer/mine\n1:cpu,cpuacct:/\n0::/\n');
    const mount = (name: string, at = '/') =>
      `30 23 0:26 ${at} ${root}/${name} rw - cgroup cgroup rw,${name === 'cpu' ? 'cpu,cpuacct' : name}\n`;
    write('self/mountinfo', mount('memory', '/outer') + mount('pids') + mount('cpu'));
    for (const name of ['memory/mine', 'pids', 'cpu']) mkdirSync(join(root, name), { recursive: true });
  });

  it('makes a folder a controller, below the proxy’s own cgroup as its mount shows it', () => {
    const tree = findCgroupTree(owner, { self: join(root, 'self') });
    expect(tree).toEqual({
      version: 1,
      folders: new Map([
        ['memory', join(root, 'memory/mine/bulkhead.77.123.a1')],
        ['pids', join(root, 'pids/bulkhead.77.123.a1')],
        ['cpu', join(root, 'cpu/bulkhead.77.123.a1')],
      ]),
    });
  });

  it.each([
    [1, 'memory.memsw.limit_in_bytes'],
    [2, 'memory.swap.max'],
  ] as const)('of version %i bounds swap where the kernel accounts for it, or has none', (version, file) => {
    const tree = { version, folders: new Map([['memory', join(root, 'memory')]] as const) };
    write('swaps', '');
    expect(boundsSwap(tree, join(root, 'swaps'))).toBe(false);
    expect(boundsSwap(tree, join(root, 'nowhere'))).toBe(true);
    write(`memory/${file}`, '');
    expect(boundsSwap(tree, join(root, 'swaps'))).toBe(true);
    expect(boundsSwap({ version, folders: new Map() }, join(root, 'nowhere'))).toBe(false);
  });

  it('leaves to another proxy what that removes at the same time', async () => {
    const tree = findCgroupTree(owner, { self: join(root, 'self') });
    const left = ['memory/mine', 'pids', 'cpu'].map((name) => join(root, name, 'bulkhead.5.6.b2'));
    for (const folder of left) mkdirSync(join(folder, 'one'), { recursive: true });
    await removeCgroups(tree!, async ({ pid }) => {
      if (pid !== 5) return false;
      for (const folder of left) rmSync(folder, { recursive: true, force: true });
      return true;
    });
    expect(existsSync(tree!.folders.get('memory')!)).toBe(true);
  });

  it('removes what dead proxies left, and nothing else', async () => {
    const tree = findCgroupTree(owner, { self: join(root, 'self') });
    for (const name of ['memory/mine', 'pids', 'cpu']) {
      mkdirSync(join(root, name, 'bulkhead.5.6.b2/one'), { recursive: true });
      mkdirSync(join(root, name, 'somebody-else'), { recursive: true });
    }
    await removeCgroups(tree!, ({ pid }) => pid === 5);
    expect(
      ['memory/mine/bulkhead.5.6.b2', 'pids/bulkhead.5.6.b2', 'pids/somebody-else', 'pids/bulkhead.77.123.a1'].map((path) =>
        existsSync(join(root, path)),
      ),
    ).toEqual([false, false, true, true]);
  });
});
