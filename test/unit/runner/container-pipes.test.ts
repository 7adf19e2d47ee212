import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createPipeFolders, openPipes } from '../../../src/runner/container-pipes.ts';

const parents: string[] = [];

afterEach(async () => {
  for (const parent of parents.splice(0)) await rm(parent, { recursive: true, force: true });
});

async function pipeFolders() {
  const parent = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  parents.push(parent);
  return { folders: createPipeFolders(() => mkdtemp(join(parent, 'container-'))), list: async () => await readdir(parent), parent };
}

test('each who takes a folder has one of its own, with two named pipes', async () => {
  const { folders } = await pipeFolders();
  const taken = await Promise.all([folders.take(), folders.take()]);
  expect(new Set(taken).size).toBe(2);
  for (const folder of taken) {
    for (const name of ['stdin', 'stdout']) expect((await lstat(join(folder, name))).isFIFO()).toBe(true);
  }
  await folders.close();
});

test('one is made ahead when asked for, however often, and is the next that is taken', async () => {
  const { folders, list, parent } = await pipeFolders();
  for (let count = 0; count < 3; count += 1) folders.makeAhead();
  await vi.waitFor(async () => expect(await list()).toHaveLength(1));
  const [made = ''] = await list();
  expect(await folders.take()).toBe(join(parent, made));
  expect(await list()).toEqual([made]);
  expect(await folders.take()).not.toBe(join(parent, made));
  await folders.close();
});

test('what was made ahead, or is being made or about to be, is gone after the end', async () => {
  for (const wait of [
    async (_: () => Promise<unknown>) => {},
    async (list: () => Promise<unknown>) => vi.waitFor(async () => expect(await list()).toHaveLength(1)),
  ]) {
    const { folders, list } = await pipeFolders();
    folders.makeAhead();
    await wait(list);
    await folders.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await list()).toEqual([]);
  }
});

test('one that was made ahead and is gone since is made anew', async () => {
  const { folders, list, parent } = await pipeFolders();
  folders.makeAhead();
  await vi.waitFor(async () => expect(await list()).toHaveLength(1));
  const [made = ''] = await list();
  await vi.waitFor(async () => expect(await readdir(join(parent, made))).toHaveLength(2));
  await rm(join(parent, made, 'stdin'));
  const taken = await folders.take();
  expect(taken).not.toBe(join(parent, made));
  expect(await readdir(taken)).toHaveLength(2);
  await folders.close();
});

test('a folder that could not be made ahead is made when it is taken, with the reason when that fails', async () => {
  let failures = 1;
  const parent = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  parents.push(parent);
  const folders = createPipeFolders(async () => {
    failures -= 1;
    if (failures >= 0) throw new Error('no room');
    return await mkdtemp(join(parent, 'container-'));
  });
  folders.makeAhead();
  await vi.waitFor(() => expect(failures).toBe(0));
  expect(await folders.take()).toContain(parent);
  failures = 1;
  await expect(folders.take()).rejects.toThrow('no room');
  await folders.close();
});

test('pipes of which only one can be opened leave neither a descriptor nor the folder', async () => {
  const { folders, list } = await pipeFolders();
  const folder = await folders.take();
  await rm(join(folder, 'stdout'));
  await expect(openPipes(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  const open = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  expect((await Promise.all(open)).filter((path) => path.startsWith(folder))).toEqual([]);
  expect(await list()).toEqual([]);
  await folders.close();
});
