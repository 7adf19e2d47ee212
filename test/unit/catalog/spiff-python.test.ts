import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPackages } from '../../../src/catalog/check-packages.ts';
import { describeConnector } from '../../../src/catalog/describe.ts';
import { loadCatalog } from '../../../src/catalog/load-catalog.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { faultText } from '../../../src/lib/faults.ts';

let folder = '';
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'catalog-spiff-')));
  await mkdir(join(folder, 'connector_a'));
  await mkdir(join(folder, 'vendor/connector_b'), { recursive: true });
  await writeFile(join(folder, 'file'), '');
  await symlink('vendor/connector_b', join(folder, 'inside'));
  await symlink('/usr/lib', join(folder, 'outside'));
  await symlink('.', join(folder, 'itself'));
});
afterAll(() => rm(folder, { recursive: true }));

async function catalogOf(more: string) {
  const manifest = `
name: a
protocol: spiff-python
run: { packages: [./connector_a] }
commands: [{ name: Run, context: [task_data, callback_url] }, { name: Plain }]
auths: [{ name: OAuth, parameters: { type: object, properties: { scope: { type: string } }, required: [scope] } }]
`;
  await writeFile(join(folder, 'connector.yaml'), manifest);
  const file = join(folder, 'bulkhead.yaml');
  await writeFile(file, `connectors:\n  a: { path: ., ${more} }\n`);
  const read = await loadConfig(file, { environment: {} });
  return await loadCatalog(read.ok ? read.config : expect.fail(read.faults.map(faultText).join('\n')));
}

describe('engine data of a command', () => {
  it.each([
    ['', ['task_data', 'callback_url']],
    ['context: [callback_url, task_id]', ['callback_url']],
    ['context: []', []],
  ])('is what its manifest asks for, as far as the config says: %s', async (more, expected) => {
    const catalog = await catalogOf(more);
    expect(catalog.command('a', 'Run')?.context).toEqual(expected);
    expect(catalog.command('a', 'Plain')?.context).toEqual([]);
    const [connector] = catalog.connectors.values();
    expect(connector && describeConnector(connector).commands.map(({ context }) => context)).toEqual([expected, []]);
  });

  it('has known names only', async () => {
    await expect(catalogOf('context: [tasks]')).rejects.toThrow('connectors.a.context[0]: is not one of task_data');
  });
});

it('auths are listed in Spiff’s form, for those who may see the connector', async () => {
  const catalog = await catalogOf('');
  expect(catalog.spiffAuths()).toEqual([{ id: 'a/OAuth', parameters: [{ id: 'scope', type: 'str', required: true }] }]);
  expect(catalog.spiffAuths(() => false)).toEqual([]);
});

describe('a package', () => {
  it.each(['connector_a', './vendor/connector_b', 'vendor', 'inside'])('may be %s', async (path) => {
    await expect(checkPackages('a', folder, [path])).resolves.toBeUndefined();
  });

  it.each([
    ['gone', 'has no package gone'],
    ['outside', 'is a link to elsewhere'],
    ['itself', 'is a link to elsewhere'],
    ['file', 'has a package that is no folder'],
  ])('may not be %s', async (path, reason) => {
    await expect(checkPackages('a', folder, ['connector_a', path])).rejects.toMatchObject({
      code: 'connector_unavailable',
      message: expect.stringContaining(reason),
    });
  });
});
