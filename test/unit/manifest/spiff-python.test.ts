import { describe, expect, it } from 'vitest';
import { faultText } from '../../../src/lib/faults.ts';
import { manifestLimits } from '../../../src/manifest/manifest.ts';
import { readManifest } from '../../../src/manifest/read-manifest.ts';

function faultsOf(text: string): readonly string[] {
  const result = readManifest({ text, file: '/srv/edge/connector.yaml' });
  return result.ok ? [] : result.faults.map((fault) => faultText({ ...fault, file: 'f' }));
}

const head = 'name: edge\nprotocol: spiff-python\n';
const commands = 'commands: [{ name: A }]\n';

describe('a manifest of the spiff-python dialect', () => {
  it.each([
    ['packages', 'run: { packages: [./connector_edge, site-packages] }\n'],
    ['packages and the Python that runs them', 'run: { packages: [connector_edge], command: [python3.9, -X, utf8] }\n'],
    ['a command of its own', 'run: { command: [python3, main.py, --plugin, edge] }\n'],
  ])('has %s', (_, run) => {
    expect(faultsOf(head + run + commands)).toEqual([]);
  });

  it.each([
    [
      'without packages and command',
      `${head}run: {}\n${commands}`,
      'f:3:1: run.command: is missing; add packages: [folder, …], or command',
    ],
    ['with no package', `${head}run: { packages: [] }\n${commands}`, 'f:3:8: run.packages: is empty; write the folders'],
    ['of another dialect', `name: a\nrun: { packages: [x] }\n${commands}`, 'f:2:8: run.packages: means nothing with protocol: bulkhead/1'],
    ['without any command line', `name: a\nrun: { environment: { A: b } }\n${commands}`, 'f:2:1: run.command: is missing; add command'],
    ...['/connector_edge', '../connector_edge', 'a/../../b', '..', 'a\\b'].map((path) => [
      `with the package ${path}`,
      `${head}run: { packages: ['${path}'] }\n${commands}`,
      'f:3:19: run.packages[0]: is not a path inside',
    ]),
    [
      'with too many packages',
      `${head}run: { packages: [${new Array(manifestLimits.packagesMax + 1).fill('a').join(', ')}] }\n${commands}`,
      'f:3:8: run.packages: has more than 32 entries',
    ],
  ])('is refused %s', (_, text, fault) => {
    expect(faultsOf(text ?? '').join('\n')).toContain(fault);
  });

  it.each([
    ['commands that are missing', ''],
    ['commands that are empty', 'commands: []\n'],
  ])('says for %s what writes them', (_, given) => {
    const [fault, ...others] = faultsOf(`${head}run: { packages: [connector_edge] }\n${given}`);
    expect(others).toEqual([]);
    expect(fault).toContain('run `bulkhead discover /srv/edge --write`');
  });

  it('does not say so to others', () => {
    expect(faultsOf('name: a\nrun: { command: [b] }\n').join()).toContain('commands: is missing; add commands');
  });
});

describe('auths', () => {
  it('are described as commands are', () => {
    const text = `name: a\n${commands}auths: [{ name: OAuth, parameters: { type: object, properties: { scope: { type: string } } } }]`;
    expect(readManifest({ text, file: 'f' })).toMatchObject({ ok: true, manifest: { auths: [{ name: 'OAuth', description: '' }] } });
  });

  it.each([
    ['twice', '[{ name: A }, { name: A }]', 'auths[1].name: is there twice'],
    ['with a bad schema', '[{ name: A, parameters: { requird: [] } }]', 'auths[0].parameters.requird: is not a keyword'],
    ['too often', `[${Array.from({ length: manifestLimits.authsMax + 1 }, (_, index) => `{ name: A${index} }`).join()}]`, 'more than 64'],
  ])('are refused %s', (_, auths, fault) => {
    expect(faultsOf(`name: a\n${commands}auths: ${auths}`).join()).toContain(fault);
  });
});
