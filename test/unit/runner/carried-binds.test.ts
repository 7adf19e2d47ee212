import { expect, it } from 'vitest';
import { carryCommand, createCarriedBinds } from '../../../src/runner/carried-binds.ts';

const near = { source: '/srv/x', isFolder: true, isBehindClosedFolder: false };
const folder = { source: '/root/it\'s "mine"', isFolder: true, isBehindClosedFolder: true };
const file = { source: '/root/node', isFolder: false, isBehindClosedFolder: true };

it('mounts what can be reached from where it is, and gives the rest a place', () => {
  const carried = createCarriedBinds();
  expect([near, folder, file].map((bind) => carried.place(bind))).toEqual(['/srv/x', '/run/0', '/run/1']);
  expect(carried.sources).toEqual([folder, file]);
});

it('mounts as root in a namespace of its own, then becomes the user, with paths as arguments and no environment', () => {
  expect(carryCommand([folder, file], { name: 'bulkhead', uid: 997, gid: 996 }, ['/usr/bin/bwrap', '--args', '4'])).toEqual([
    ...['/usr/bin/unshare', '--mount', '--propagation', 'private', '--', '/bin/sh', '-c'],
    '/usr/bin/mount -t tmpfs -o mode=0755,size=64k bulkhead /run && /usr/bin/mkdir /run/0 && /usr/bin/mount --bind "$1" /run/0 && ' +
      ': >/run/1 && /usr/bin/mount --bind "$2" /run/1 && shift 2 && exec "$@"',
    ...['sh', folder.source, file.source, '/usr/bin/setpriv', '--reuid=997', '--regid=996', '--clear-groups', '--', '/usr/bin/env', '-i'],
    ...['/usr/bin/bwrap', '--args', '4'],
  ]);
});
