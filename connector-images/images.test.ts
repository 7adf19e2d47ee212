import { expect, it } from 'vitest';
import { buildArguments } from '../scripts/images.ts';
import { readManifest } from '../src/manifest/read-manifest.ts';

const valueAfter = (list: readonly string[], flag: string) => list[list.indexOf(flag) + 1];

it('labels an image with its manifest as JSON, which reads without faults', () => {
  const given = buildArguments({ connector: 'http', bases: {} });
  const [name, ...json] = valueAfter(given, '--label')?.split('=') ?? [];
  expect(name).toBe('dev.bulkhead.connector');
  const result = readManifest({ file: 'label', text: json.join('=') });
  expect(result.ok && result.manifest.commands.map((command) => command.name)).toContain('GetRequestV2');
  expect(valueAfter(given, '--tag')).toBe('bulkhead/http:1.0.0');
  expect(given).not.toContain('--build-arg');
});

it.each([
  ['http', 'BASE=my/node'],
  ['example-python', 'BASE=my/python'],
  ['example-shell', 'BASE=my/shell'],
])('builds %s from the base of its language', (connector, argument) => {
  const bases = { node: 'my/node', python: 'my/python', shell: 'my/shell' };
  expect(valueAfter(buildArguments({ connector, bases }), '--build-arg')).toBe(argument);
});
