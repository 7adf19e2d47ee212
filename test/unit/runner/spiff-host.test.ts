import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { CommandName } from '../../../src/manifest/names.ts';
import { declaredCommands, spiffHostSource } from '../../../src/runner/spiff-host.ts';

const request = { folder: '/srv/edge', packages: ['./connector_edge', '-x'], interpreter: undefined, more: ['--more'] } as const;

it('runs the host from its place in the sandbox, which is a folder of this package', () => {
  const source = spiffHostSource({ ...request, sandbox: 'enforced' });
  expect(source).toEqual({
    type: 'folder',
    folder: '/srv/edge',
    command: ['python3', '/opt/bulkhead/spiff-python/main.py', '--package=./connector_edge', '--package=-x', '--more'],
    support: { source: expect.any(String), target: '/opt/bulkhead/spiff-python' },
  });
  const support = source.type === 'folder' ? source.support?.source : undefined;
  expect(['main.py', 'bulkhead.py'].map((file) => existsSync(join(support ?? '', file)))).toEqual([true, true]);
});

it('runs it where it is without a sandbox, by the Python that the manifest names', () => {
  const source = spiffHostSource({ ...request, sandbox: 'none', interpreter: ['.venv/bin/python', '-X', 'utf8'] });
  const [python, ...rest] = source.type === 'folder' ? source.command : [];
  expect(python).toBe('.venv/bin/python');
  expect(existsSync(rest[2] ?? '')).toBe(true);
});

it('tells the commands of the manifest in one word', () => {
  expect(declaredCommands({ commands: ['A', 'B'].map((name) => ({ name: name as CommandName })) as never })).toBe('--commands=A,B');
});
