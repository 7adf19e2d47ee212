import { execFile } from 'node:child_process';
import { cp, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { projectFolder, runCliProcess, temporaryFolder } from '../../helpers/cli-process.ts';

const run = promisify(execFile);

/** What git knows of the project, copied: packing builds, and a build in the work tree would race with other tests. */
async function copyOfProject(path: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: projectFolder });
  const needed = /^(src|scripts|docs|examples|connector-images)\/|^[^/]+$/;
  for (const file of stdout.split('\0').filter((name) => needed.test(name))) {
    // A file that was deleted and not yet committed is listed, but not there.
    await cp(join(projectFolder, file), join(path, file)).catch(() => undefined);
  }
  await symlink(join(projectFolder, 'node_modules'), join(path, 'node_modules'));
}

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
  const { exitCode, stdout, stderr } = await runCliProcess(['call', 'example/CombineStrings', 'arg1=a', 'arg2=b'], { program: [bin] });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain('"arg1":"a"');
}, 180_000);
