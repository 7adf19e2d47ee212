import { execFile } from 'node:child_process';
import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectFolder } from './cli-process.ts';

const run = promisify(execFile);

/** What git knows of the project, copied: packing builds, and a build in the work tree would race with other tests. */
export async function copyOfProject(path: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: projectFolder });
  const needed = /^(src|scripts|docs|examples|connector-images)\/|^[^/]+$/;
  for (const file of stdout.split('\0').filter((name) => needed.test(name))) {
    // A file that was deleted and not yet committed is listed, but not there.
    await cp(join(projectFolder, file), join(path, file)).catch(() => undefined);
  }
  await symlink(join(projectFolder, 'node_modules'), join(path, 'node_modules'));
}
