import { existsSync, lstatSync, readlinkSync } from 'node:fs';

/**
 * bubblewrap as hardened as Bulkhead’s, by hand and with nothing around it: the same namespaces, mounts, user and empty environment.
 * What is missing (seccomp filter, files of its own in /etc, resource limits) makes it only faster.
 */
export function bareSandbox(folder: string, command: readonly string[]): readonly string[] {
  const scratch = (path: string, bytes: number) => ['--perms', '1777', '--size', String(bytes), '--tmpfs', path];
  return [
    ...['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--disable-userns'],
    ...['--uid', '65534', '--gid', '65534', '--hostname', 'connector', '--ro-bind', '/usr', '/usr'],
    ...rootEntries.flatMap(mountOf),
    ...[
      '--size',
      '65536',
      '--tmpfs',
      '/dev',
      '--proc',
      '/proc',
      ...devices.flatMap((name) => ['--dev-bind', `/dev/${name}`, `/dev/${name}`]),
    ],
    ...scratch('/tmp', 64 * 2 ** 20),
    ...scratch('/dev/shm', 2 ** 20),
    ...['--ro-bind', folder, '/app', '--ro-bind', process.execPath, '/opt/bulkhead/bin/node'],
    ...[
      '--remount-ro',
      '/dev',
      '--remount-ro',
      '/',
      '--chdir',
      '/app',
      '--clearenv',
      '--setenv',
      'PATH',
      '/opt/bulkhead/bin:/usr/bin:/bin',
    ],
    ...command,
  ];
}

const devices = ['null', 'zero', 'full', 'random', 'urandom'] as const;
const rootEntries = ['/bin', '/sbin', '/lib', '/lib32', '/lib64'].filter((path) => existsSync(path));

function mountOf(path: string): readonly string[] {
  return lstatSync(path).isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
}
