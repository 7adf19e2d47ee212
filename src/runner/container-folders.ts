import { checkBind } from './bind-source.ts';
import type { ProcessSpec } from './runner.ts';

/**
 * Looks whether what the policy shows of this machine is still there, as for subprocesses: it may be gone since the config was loaded, and
 * Podman would make a folder in its place, on the disk of the host.
 * @throws ProxyError `sandbox_unavailable` naming what is not there
 */
export async function checkFolders({ connector, policy }: Pick<ProcessSpec, 'connector' | 'policy'>): Promise<void> {
  const { dataFolder, readOnlyPaths = [] } = policy;
  const shared = [
    ...(dataFolder === undefined ? [] : [{ what: `The data folder of connector ${connector}`, path: dataFolder }]),
    ...readOnlyPaths.map((path) => ({ what: `A read-only path of connector ${connector}`, path })),
  ];
  // Whose rights count is the engine's business.
  await Promise.all(shared.map(({ what, path }) => checkBind({ what, path, access: 'read', user: undefined })));
}
