import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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

test('the folder of an instance in another network namespace is kept: its lock cannot be seen', async () => {
  const other = await startInstance('unshare', '--map-root-user', '--net');
  const instance = await lockInstance({ stateFolder });
  await instance.removeLeftFolders();
  expect(existsSync(other.folder)).toBe(true);
  await instance.close();
  await other.kill();
});
