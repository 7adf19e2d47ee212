import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockInstance } from '../../../src/runner/docker-instance.ts';

const fixture = join(import.meta.dirname, '../../fixtures/docker-instance.ts');
let stateFolder = '';

beforeEach(async () => {
  stateFolder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
});

afterEach(() => rm(stateFolder, { recursive: true, force: true }));

async function startInstance(...prefix: readonly string[]) {
  const [program = '', ...args] = [...prefix, process.execPath, fixture, stateFolder];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [folder] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return {
    folder: folder.trim(),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

test('a folder that was cleaned away is there again for the next container', async () => {
  const instance = await lockInstance({ stateFolder });
  const first = await instance.makeFolder();
  await rm(dirname(first), { recursive: true });
  const next = await instance.makeFolder();
  expect((await stat(next)).mode & 0o777).toBe(0o711);
  expect((await stat(dirname(next))).mode & 0o777).toBe(0o711);
  await instance.close();
  expect(existsSync(dirname(next))).toBe(false);
});

test('the folder of a live instance is kept, that of a dead one goes', async () => {
  const other = await startInstance();
  const instance = await lockInstance({ stateFolder });
  await instance.removeLeftFolders();
  expect(existsSync(other.folder)).toBe(true);
  await other.kill();
  await instance.removeLeftFolders();
  expect(existsSync(dirname(other.folder))).toBe(false);
  await instance.close();
});

describe.skipIf(process.getuid?.() !== 0)('a folder with the name of a dead instance', () => {
  test.each([
    { whose: 'of another user', make: async (folder: string) => chown(folder, 10_001, 10_001), isKept: true },
    { whose: 'that others may write to', make: async (folder: string) => chmod(folder, 0o777), isKept: true },
    { whose: 'of this user', make: async () => {}, isKept: false },
  ])('$whose is removed only if it cannot be led elsewhere', async ({ make, isKept }) => {
    const instance = await lockInstance({ stateFolder });
    const own = dirname(await instance.makeFolder());
    const left = `${own.slice(0, -instance.name.length)}dead`;
    await mkdir(join(left, 'below'), { recursive: true });
    await make(left);
    await instance.removeLeftFolders();
    expect(existsSync(join(left, 'below'))).toBe(isKept);
    await instance.close();
  });

  test('that is a link is neither used nor removed', async () => {
    const instance = await lockInstance({ stateFolder });
    const own = dirname(await instance.makeFolder());
    const elsewhere = join(stateFolder, 'elsewhere');
    await mkdir(elsewhere);
    await rm(own, { recursive: true });
    await symlink(elsewhere, own);
    await expect(instance.makeFolder()).rejects.toMatchObject({ code: 'sandbox_unavailable', message: expect.stringContaining(own) });
    await instance.close();
    expect((await lstat(own)).isSymbolicLink()).toBe(true);
  });

  test('that another user made in place of this one’s is left when the instance ends', async () => {
    const instance = await lockInstance({ stateFolder });
    const own = dirname(await instance.makeFolder());
    await rm(own, { recursive: true });
    await mkdir(join(own, 'below'), { recursive: true });
    await chown(own, 10_001, 10_001);
    await expect(instance.makeFolder()).rejects.toMatchObject({ code: 'sandbox_unavailable' });
    await instance.close();
    expect(existsSync(join(own, 'below'))).toBe(true);
  });
});

test('the folder of an instance in another network namespace is kept: its lock cannot be seen', async () => {
  const other = await startInstance('unshare', '--map-root-user', '--net');
  const instance = await lockInstance({ stateFolder });
  await instance.removeLeftFolders();
  expect(existsSync(other.folder)).toBe(true);
  await instance.close();
  await other.kill();
});
