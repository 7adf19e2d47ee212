import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** A user that owns nothing; another than the one that sandboxes run as. */
const user = '65534';
const root = join(import.meta.dirname, '../../..');

/** The same attacks, with a proxy that is not root: no cgroups, no other user to run as. */
describe.skipIf(process.getuid?.() !== 0)('as an ordinary user', () => {
  it.each(['attacks', 'rules', 'limits', 'lifetime', 'descriptors'])(
    'the tests of %s hold too',
    (name) => {
      const vitest = [
        join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        '--project',
        'isolation',
        '--configLoader',
        'runner',
        `test/isolation/subprocess/${name}.test.ts`,
      ];
      const { status, stdout, stderr } = spawnSync(
        '/usr/bin/setpriv',
        ['--reuid', user, '--regid', user, '--clear-groups', process.execPath, ...vitest],
        {
          cwd: root,
          env: { PATH: '/usr/bin:/bin', HOME: '/tmp', NO_COLOR: '1' },
          encoding: 'utf8',
        },
      );
      expect(status, `${stdout.slice(-3000)}\n${stderr.slice(-2000)}`).toBe(0);
      expect(stdout).toMatch(/Tests +\d+ passed/);
    },
    600_000,
  );
});
