import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { projectFolder, runCliProcess, type TemporaryFolder, temporaryFolder } from './cli-process.ts';

const testFolder = join(projectFolder, 'connector-images/spiff-python/test');

export interface SpiffFolderOptions {
  /** Packages of connector-images/spiff-python/test, e.g. `packages/connector_edge`. */
  readonly packages: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

/** A connector's folder with copies of existing packages, as a deployer makes one; no manifest of it is complete yet. */
export async function spiffFolder({ packages, files = {} }: SpiffFolderOptions): Promise<TemporaryFolder> {
  const folder = await temporaryFolder(files);
  for (const path of packages) await cp(join(testFolder, path), join(folder.path, path.split('/').at(-1) ?? ''), { recursive: true });
  return folder;
}

/** `bulkhead discover FOLDER --write`; gives what it told beside. */
export async function discover({ path }: TemporaryFolder): Promise<string> {
  const { exitCode, stdout, stderr } = await runCliProcess(['discover', path, '--write']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.any(String) });
  return stdout + stderr;
}
