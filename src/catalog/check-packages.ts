import { realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { ProxyError } from '../errors.ts';

/**
 * Whether each package is a folder inside the connector’s folder, a real path. That folder is all that its author controls, also where no
 * sandbox holds.
 * @throws ProxyError `connector_unavailable`
 */
export async function checkPackages(name: string, folder: string, packages: readonly string[] = []): Promise<void> {
  for (const path of packages) {
    const real = await realpath(join(folder, path)).catch((error: unknown) => {
      throw unavailable(name, `has no package ${path}: it is not in ${folder}; put it there, or correct run.packages`, error);
    });
    if (!real.startsWith(folder + sep))
      throw unavailable(name, `has a package that leads out of its folder: ${path} is a link to elsewhere; put the package itself there`);
    if (!(await stat(real)).isDirectory()) throw unavailable(name, `has a package that is no folder: ${path}; name the package’s folder`);
  }
}

function unavailable(name: string, state: string, cause?: unknown): ProxyError {
  return new ProxyError('connector_unavailable', `connector ${name} ${state}`, { cause });
}
