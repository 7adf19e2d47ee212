import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { describeConnector } from '../../../src/catalog/describe.ts';
import { loadCatalog } from '../../../src/catalog/load-catalog.ts';
import { diffConfigs } from '../../../src/config/diff-configs.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { faultText } from '../../../src/lib/faults.ts';
import { manifestLimits } from '../../../src/manifest/manifest.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';

let root = '';
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'catalog-')));
});
afterAll(() => rm(root, { recursive: true }));

const manifestOf = (name: string, commands = '[{ name: Run }]'): string =>
  `name: ${name}\nrun: { command: [node, main.ts] }\ncommands: ${commands}\n`;

/** Writes a folder a connector, and a config that names them in this order. */
async function config(manifests: Record<string, string | undefined>, more: Record<string, string> = {}) {
  const base = await mkdtemp(join(root, 'case-'));
  const lines = ['connectors:'];
  for (const [name, text] of Object.entries(manifests)) {
    await mkdir(join(base, name));
    if (text !== undefined) await writeFile(join(base, name, 'connector.yaml'), text);
    lines.push(`  ${name}: { path: ${name}, ${more[name] ?? ''} }`);
  }
  await writeFile(join(base, 'bulkhead.yaml'), `${lines.join('\n')}\n`);
  const result = await loadConfig(join(base, 'bulkhead.yaml'), { environment: {} });
  return { base, config: result.ok ? result.config : expect.fail(result.faults.map(faultText).join('\n')) };
}

function reasonOf(catalog: Catalog, name: string): string {
  const connector = catalog.connectors.get(name as ConnectorName);
  if (connector?.state !== 'unavailable') return expect.fail(`${name} is ${connector?.state}`);
  expect(connector.reason.code).toBe('connector_unavailable');
  return connector.reason.message;
}

describe('loadCatalog', () => {
  it('finds commands, and lists them in Spiff’s form, in the order of config and manifest', async () => {
    const parameters = '{ type: object, required: [arg1], properties: { arg1: { type: string }, arg2: { type: [integer, "null"] } } }';
    const { config: loaded, base } = await config({
      zeta: manifestOf('zeta', `[{ name: B, parameters: ${parameters} }, { name: A }]`),
      alpha: manifestOf('alpha'),
    });
    const catalog = await loadCatalog(loaded);
    expect(catalog.spiffCommands()).toEqual([
      {
        id: 'zeta/B',
        parameters: [
          { id: 'arg1', type: 'str', required: true },
          { id: 'arg2', type: 'int', required: false },
        ],
      },
      { id: 'zeta/A', parameters: [] },
      { id: 'alpha/Run', parameters: [] },
    ]);
    expect(catalog.spiffCommands((name) => name === 'alpha').map(({ id }) => id)).toEqual(['alpha/Run']);
    expect(catalog.spiffCommands()).toBe(catalog.spiffCommands());
    const found = catalog.command('zeta', 'B');
    expect(found).toMatchObject({ connector: { name: 'zeta', folder: join(base, 'zeta') }, manifest: { name: 'B' } });
    expect(
      found?.check.check(
        ['arg2'],
        () => 'number',
        () => ({ arg2: 1 }),
      ),
    ).toEqual(['parameter "arg1" is missing']);
    expect(catalog.command('zeta', 'B')).toBe(found);
    for (const [connector, command] of [
      ['zeta', 'b'],
      ['zeta', 'toString'],
      ['constructor', 'name'],
      ['none', 'B'],
    ] as const)
      expect(catalog.command(connector, command)).toBeUndefined();
  });

  it('makes only the broken connector unavailable, with its reason and repair', async () => {
    const { config: loaded, base } = await config({
      good: manifestOf('good'),
      missing: undefined,
      syntax: 'name: [',
      faulty: `nmae: faulty\ncommands: ${'x'}\n`,
      renamed: manifestOf('other'),
      imageonly: 'name: imageonly\ncommands: [{ name: Run }]\n',
      linked: undefined,
      inside: undefined,
      piped: undefined,
      large: `${manifestOf('large')}#${'x'.repeat(manifestLimits.fileBytesMax)}`,
      folder: undefined,
      latin: undefined,
    });
    await writeFile(join(base, 'latin', 'connector.yaml'), Buffer.from(`${manifestOf('latin')}# für\n`, 'latin1'));
    await writeFile(join(base, 'elsewhere.yaml'), manifestOf('linked'));
    await symlink(join(base, 'elsewhere.yaml'), join(base, 'linked', 'connector.yaml'));
    await writeFile(join(base, 'inside', 'real.yaml'), manifestOf('inside'));
    await symlink('real.yaml', join(base, 'inside', 'connector.yaml'));
    await execa('mkfifo', [join(base, 'piped', 'connector.yaml')]);
    await mkdir(join(base, 'folder', 'connector.yaml'));
    const catalog = await loadCatalog(loaded);
    expect(catalog.spiffCommands().map(({ id }) => id)).toEqual(['good/Run', 'inside/Run']);
    expect(catalog.command('faulty', 'Run')).toBeUndefined();
    const expected: readonly (readonly [string, RegExp])[] = [
      ['missing', /connector missing has no manifest: .*connector\.yaml is not there; write one/],
      ['syntax', /connector syntax has a broken manifest: .*connector\.yaml:\d+:\d+: is not YAML/],
      ['faulty', /nmae: is not known here; did you mean name\?.* \| .*commands: is not a list/],
      ['renamed', /connector renamed is named other in its manifest .*; use that name/],
      ['imageonly', /has no run; add run/],
      ['linked', /leads out of its folder: .* is a link to elsewhere/],
      ['piped', /is no file/],
      ['large', /more than 262144 bytes/],
      ['folder', /is no file/],
      ['latin', /is not UTF-8 in line \d: .*connector\.yaml; save it in the encoding UTF-8/],
    ];
    for (const [name, reason] of expected) expect(reasonOf(catalog, name)).toMatch(reason);
    const faulty = catalog.connectors.get('faulty' as ConnectorName);
    expect(faulty?.state === 'unavailable' && faulty.faults?.length).toBe(3);
  });

  it('takes the real folder of a link to a folder', async () => {
    const { config: loaded, base } = await config({ a: manifestOf('a') });
    await symlink(join(base, 'a'), join(base, 'b'));
    const a = loaded.connectors.get('a' as ConnectorName) ?? expect.fail();
    const catalog = await loadCatalog({ connectors: new Map([[a.name, { ...a, source: { type: 'folder', path: join(base, 'b') } }]]) });
    expect(catalog.command('a', 'Run')?.connector.folder).toBe(join(base, 'a'));
  });

  it('reads an image’s manifest through whoever can inspect images', async () => {
    const { config: loaded } = await config({ a: manifestOf('a') });
    const a = loaded.connectors.get('a' as ConnectorName) ?? expect.fail();
    const connectors = new Map([[a.name, { ...a, source: { type: 'image', image: 'img:1', engine: 'unix:///x' } } as const]]);
    expect(reasonOf(await loadCatalog({ connectors }), 'a')).toMatch(/is an image, and no container engine is used here/);
    const seen: unknown[] = [];
    const readImageManifest = async (...input: unknown[]) => {
      seen.push(...input);
      return '{"name":"a","commands":[{"name":"X"}]}';
    };
    const catalog = await loadCatalog({ connectors }, { readImageManifest });
    expect(catalog.command('a', 'X')?.connector).not.toHaveProperty('folder');
    expect(seen).toEqual(['img:1', 'unix:///x', undefined]);
  });

  it('is unchanged by a second read of the same files, and changed by a manifest', async () => {
    const { config: loaded, base } = await config({ a: manifestOf('a'), b: manifestOf('b') });
    const before = await loadCatalog(loaded);
    expect(diffConfigs(before.connectors, (await loadCatalog(loaded)).connectors)).toMatchObject({ unchanged: ['a', 'b'], changed: [] });
    await writeFile(join(base, 'b', 'connector.yaml'), manifestOf('b', '[{ name: Run, description: other }]'));
    expect(diffConfigs(before.connectors, (await loadCatalog(loaded)).connectors)).toMatchObject({ unchanged: ['a'], changed: ['b'] });
  });

  it('loads 300 manifests in seconds on a busy machine', async () => {
    const commands = Array.from(
      { length: 4 },
      (_, index) =>
        `\n  - name: C${index}\n    parameters: { type: object, required: [url], properties: { url: { type: string }, headers: {}, attempts: { type: integer, minimum: 1 } } }`,
    ).join('');
    const names = Array.from({ length: 300 }, (_, index) => `c${index}`);
    const { config: loaded } = await config(Object.fromEntries(names.map((name) => [name, manifestOf(name, commands)])));
    const startedAt = performance.now();
    const catalog = await loadCatalog(loaded);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(catalog.spiffCommands()).toHaveLength(1200);
  });
});

describe('describeConnector', () => {
  it('tells everything but secrets and settings', async () => {
    const text = `${manifestOf('a', '[{ name: Run, description: d, context: [task_id], parameters: { type: object, properties: { p: { type: string } } } }]')}requests: { network: ["a.example:443", "b.example:1"], secrets: [S, T] }\n`;
    const grants =
      'network: ["a.example:443"], secrets: { S: { command: [echo, hidden-value] } }, settings: { x: hidden-setting }, environment: { E: hidden-environment }';
    const { config: loaded } = await config({ a: text, broken: 'x' }, { a: grants });
    const catalog = await loadCatalog(loaded);
    const [available, unavailable] = [...catalog.connectors.values()].map(describeConnector);
    expect(available).toMatchObject({
      name: 'a',
      state: 'available',
      source: { type: 'folder' },
      sandbox: 'enforced',
      grants: { network: 'rules', rules: ['a.example:443'], secrets: ['S'], hasDataFolder: false },
      requests: { network: { granted: ['a.example:443'], missing: ['b.example:1'] }, secrets: { granted: ['S'], missing: ['T'] } },
      commands: [
        {
          id: 'a/Run',
          description: 'd',
          parameters: [{ id: 'p', type: 'str', required: false }],
          schema: { type: 'object' },
          context: ['task_id'],
        },
      ],
    });
    expect(unavailable).toMatchObject({ name: 'broken', state: 'unavailable', reason: { code: 'connector_unavailable' }, commands: [] });
    expect(JSON.stringify([available, unavailable])).not.toMatch(/hidden-/);
  });
});
