import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** A user that owns nothing; another than the one that sandboxes run as. */
const user = '65534';
const root = join(import.meta.dirname, '../../..');

/**
 * Shows the project at a path that every user can walk, whatever folder the checkout is in, and goes on there as the user: each entry
 * is mounted on its own, since the checkout's own folder may be closed as well.
 */
const openRoot = `
place=/mnt
mount -t tmpfs -o mode=755 tmpfs "$place"
for entry in * .[!.]*; do
  if [ -d "$entry" ]; then mkdir "$place/$entry"; else : > "$place/$entry"; fi
  mount --rbind "$(realpath "$entry")" "$place/$entry"
done
cd "$place"
export PATH="$place/node_modules/node/bin:$PATH"
exec /usr/bin/setpriv --reuid ${user} --regid ${user} --clear-groups "$@"
`;

/** The same attacks, with a proxy that is not root: no cgroups, no other user to run as. */
const files = ['attacks', 'rules', 'limits', 'lifetime', 'descriptors', 'spare-bwraps', 'spawner'].map(
  (name) => `test/isolation/subprocess/${name}.test.ts`,
);

it.skipIf(process.getuid?.() !== 0)(
  'as an ordinary user the tests of attacks, rules, limits, lifetimes, descriptors, spares and the spawner hold too',
  () => {
    const vitest = ['./node_modules/vitest/vitest.mjs', 'run', '--project', 'isolation', '--configLoader', 'runner', ...files];
    const { status, stdout, stderr } = spawnSync('/usr/bin/unshare', ['--mount', '/bin/sh', '-euc', openRoot, 'sh', 'node', ...vitest], {
      cwd: root,
      env: { PATH: '/usr/bin:/bin', HOME: '/tmp', NO_COLOR: '1' },
      encoding: 'utf8',
    });
    expect(status, `${stdout.slice(-6000)}\n${stderr.slice(-2000)}`).toBe(0);
    expect(stdout).toMatch(new RegExp(`Test Files +${files.length} passed`));
  },
  600_000,
);
