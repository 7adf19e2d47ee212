import type { CheckedBind } from './bind-source.ts';
import type { SandboxUser } from './sandbox-user.ts';

/**
 * bwrap mounts as the sandbox's user, who cannot walk through a closed folder like /root to what the deployer has named behind it. So
 * root first mounts those paths, and nothing else of the folder, below /run in a mount namespace of their own, and only then becomes
 * that user. Nothing of it shows on the host, and nothing is left when the last process ends.
 */
export interface CarriedBinds {
  /** The place to mount from: the path itself, or where it is carried to. */
  place(bind: CheckedBind): string;
  readonly sources: readonly CheckedBind[];
}

/** Hidden by a tmpfs in that namespace; no connector gets anything of /run, so that no source is. */
const carryFolder = '/run';

export function createCarriedBinds(): CarriedBinds {
  const sources: CheckedBind[] = [];
  return {
    sources,
    place: (bind) => (bind.isBehindClosedFolder ? `${carryFolder}/${sources.push(bind) - 1}` : bind.source),
  };
}

/** The command that carries, then becomes the user, then the program. */
export function carryCommand(
  sources: readonly CheckedBind[],
  user: SandboxUser,
  program: readonly string[],
): readonly [string, ...string[]] {
  const lines = sources.flatMap(({ isFolder }, index) => {
    const place = `${carryFolder}/${index}`;
    return [isFolder ? `/usr/bin/mkdir ${place}` : `: >${place}`, `/usr/bin/mount --bind "$${index + 1}" ${place}`];
  });
  const script = [
    `/usr/bin/mount -t tmpfs -o mode=0755,size=64k bulkhead ${carryFolder}`,
    ...lines,
    `shift ${sources.length}`,
    'exec "$@"',
  ].join(' && ');
  const drop = ['/usr/bin/setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--'];
  // A shell leaves PWD behind, and /proc/1/environ inside would show it.
  const clean = ['/usr/bin/env', '-i'];
  const paths = sources.map(({ source }) => source);
  return [
    '/usr/bin/unshare',
    '--mount',
    '--propagation',
    'private',
    '--',
    '/bin/sh',
    '-c',
    script,
    'sh',
    ...paths,
    ...drop,
    ...clean,
    ...program,
  ];
}
