import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runCliProcess, temporaryFolder } from '../../helpers/cli-process.ts';
import { copyOfProject } from '../../helpers/project-copy.ts';

const run = promisify(execFile);

test('the packed tarball, installed into an empty folder, runs a sandboxed connector', async () => {
  await using project = await temporaryFolder();
  await copyOfProject(project.path);
  await using place = await temporaryFolder({ 'package.json': '{ "private": true }' });
  await run('npm', ['pack', '--pack-destination', place.path], { cwd: project.path, maxBuffer: 64 * 1024 * 1024 });
  const [tarball = ''] = (await readdir(place.path)).filter((name) => name.endsWith('.tgz'));
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', `./${tarball}`];
  await run('npm', install, { cwd: place.path, maxBuffer: 64 * 1024 * 1024 });

  const bin = join(place.path, 'node_modules/.bin/bulkhead');
  expect(await readFile(bin, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const shipped = await readdir(join(place.path, 'node_modules/bulkhead'), { recursive: true });
  expect(shipped).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'docs/api.md', 'dist/main.js', 'connector-images/sdk/bulkhead.py']),
  );
  expect(shipped.filter((path) => /\.test\.ts$|__pycache__|(^|\/)test(\/|$)/.test(path))).toEqual([]);

  const { exitCode, stdout, stderr } = await runCliProcess(['call', 'example/CombineStrings', 'arg1=a', 'arg2=b'], { program: [bin] });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain('"arg1":"a"');
}, 180_000);
