import { execFile } from 'node:child_process';
import { appendFile, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postJson, runCliProcess, type TemporaryFolder } from '../../helpers/cli-process.ts';
import { nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';
import { serveBulkhead } from '../../helpers/served-bulkhead.ts';
import { discover, spiffFolder } from '../../helpers/spiff-packages.ts';
import { readFixtures } from '../fixtures.ts';
import { jsonDifference } from '../lossless.ts';

async function getJson(url: string): Promise<unknown> {
  return await (await fetch(url)).json();
}

async function invoke(url: string, id: string, body: unknown = {}): Promise<{ readonly status: number; readonly answer: string }> {
  const response = await postJson(`${url}/v1/do/${id}`, body);
  return { status: response.status, answer: await response.text() };
}

const edge = { packages: ['packages/connector_edge'] };

/** Discovered once, for all tests that only read it. */
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await spiffFolder(edge);
  await discover(folder);
});
afterAll(() => folder[Symbol.asyncDispose]());

const engineData = { spiff__task_data: { k: 'v' }, spiff__callback_url: 'http://127.0.0.1:9/cb' };

describe('lists', () => {
  test('commands and auths are the reference’s, quirks of its types included', async () => {
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  edge: { path: ${folder.path} }` });
    const commands = (await getJson(`${bulkhead.url}/v1/commands`)) as readonly { readonly id: string; readonly parameters: unknown }[];
    expect(commands).toHaveLength(24);
    expect(commands.find(({ id }) => id === 'edge/Stars')).toEqual({
      id: 'edge/Stars',
      parameters: [
        { id: 'first', type: 'str', required: true },
        { id: 'args', type: 'any', required: true },
        { id: 'flag', type: 'bool', required: false },
        { id: 'must', type: 'int', required: true },
      ],
    });
    expect(await getJson(`${bulkhead.url}/v1/auths`)).toEqual([
      { id: 'edge/BadAuth', parameters: [{ id: 'needed', type: 'str', required: true }] },
      { id: 'edge/LocalOAuth', parameters: [] },
    ]);
  });

  test('xero_auths is as recorded, and a key sees the auths of its connectors only', async () => {
    const recorded = readFixtures().find(({ name }) => name === 'xero_auths')?.response.body;
    await using folder = await spiffFolder({ packages: ['xero/connector_xero'] });
    await discover(folder);
    const config = `
server:
  apiKeys:
    - { name: all, key: { env: KEY_ALL } }
    - { name: other, key: { env: KEY_OTHER }, connectors: [example] }
connectors:
  example: { path: PROJECT/connector-images/example, sandbox: none }
  xero: { path: ${folder.path} }`;
    await using bulkhead = await serveBulkhead({ config, environment: { KEY_ALL: 'a', KEY_OTHER: 'o' } });
    const auths = async (key: string): Promise<string> =>
      await (await fetch(`${bulkhead.url}/v1/auths`, { headers: { 'Spiff-Connector-Proxy-Api-Key': key } })).text();
    expect(jsonDifference(await auths('a'), recorded ?? '')).toBeUndefined();
    expect(await auths('o')).toBe('[]');
  });
});

describe('a broken module hides only itself', () => {
  const example = 'example: { path: PROJECT/connector-images/example, sandbox: none }';
  const half = ({ path }: TemporaryFolder): string => `half: { path: ${path}, settings: { KEY: k }, secrets: { TOKEN: { env: TOKEN } } }`;
  const environment = { TOKEN: 't' };

  test('when the packages are discovered', async () => {
    await using folder = await spiffFolder({ packages: ['broken/connector_half'] });
    expect(await discover(folder)).toContain('connector_half.commands.lacking cannot be imported');
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  ${example}\n  ${half(folder)}`, environment });
    const commands = (await getJson(`${bulkhead.url}/v1/commands`)) as readonly { readonly id: string }[];
    expect(commands.map(({ id }) => id)).toEqual(['example/AsyncBodyStatus', 'example/CombineStrings', 'example/Example', 'half/Count']);
    expect((await invoke(bulkhead.url, 'example/CombineStrings', { arg1: 'a', arg2: 'b' })).status).toBe(200);
    expect((await invoke(bulkhead.url, 'half/Count')).status).toBe(200);
  });

  test('when it broke later: its commands say why, the others run', async () => {
    await using folder = await spiffFolder({ packages: ['broken/connector_half'] });
    const lacking = join(folder.path, 'connector_half/commands/lacking.py');
    const broken = await readFile(lacking, 'utf8');
    await writeFile(lacking, 'class Lacking:\n    def execute(self, config, task_data):\n        return None\n');
    await discover(folder);
    await writeFile(lacking, broken);
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  ${half(folder)}`, environment });
    const { status, answer } = await invoke(bulkhead.url, 'half/Lacking');
    expect(status).toBe(500);
    expect(JSON.parse(answer).error).toMatchObject({
      error_code: 'ModuleNotFoundError',
      message: expect.stringContaining("lacking (ModuleNotFoundError: No module named 'a_module_that_is_not_installed')"),
    });
    expect((await invoke(bulkhead.url, 'half/Count')).status).toBe(200);
  });
});

describe('engine data', () => {
  test('is handed over by default, and held back by connectors.X.context', async () => {
    const bodyWith = async (more: string): Promise<unknown> => {
      await using bulkhead = await serveBulkhead({ config: `connectors:\n  edge: { path: ${folder.path}${more} }` });
      const { answer } = await invoke(bulkhead.url, 'edge/EchoContext', engineData);
      const { status } = await invoke(bulkhead.url, 'edge/AsyncV1', engineData);
      return { taskData: JSON.parse(answer).command_response.body.task_data, status };
    };
    expect(await bodyWith('')).toEqual({ taskData: { k: 'v' }, status: 202 });
    expect(await bodyWith(', context: [callback_url]')).toEqual({ taskData: '{}', status: 202 });
    expect(await bodyWith(', context: []')).toEqual({ taskData: '{}', status: 200 });
  });

  test('an accepted command calls back through the network that it was granted', async () => {
    const { promise: called, resolve } = Promise.withResolvers<unknown>();
    const backend = createServer(async (request, response) => {
      resolve({ method: request.method, url: request.url, body: JSON.parse(await text(request)) });
      response.end();
    });
    await new Promise<void>((listening) => backend.listen(0, '127.0.0.1', listening));
    const { port } = backend.address() as AddressInfo;
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  edge: { path: ${folder.path}, network: ["127.0.0.1:${port}"] }` });
    const callback = { command_response: { body: '{}', mimetype: 'application/json' }, error: null };
    const { status } = await invoke(bulkhead.url, 'edge/AsyncAccept', {
      callback,
      spiff__callback_url: `http://127.0.0.1:${port}/v1.0/tasks/1/t/callback`,
    });
    expect(status).toBe(202);
    expect(await called).toEqual({ method: 'PUT', url: '/v1.0/tasks/1/t/callback', body: callback });
    backend.closeAllConnections();
    backend.close();
  });
});

describe('packages', () => {
  test('find Flask’s current_app with the settings and secrets as its config, however late they import it', async () => {
    await using folder = await spiffFolder({
      packages: ['flask/connector_current', 'flask/site-packages'],
      files: { 'connector.yaml': 'name: current\nprotocol: spiff-python\nrun: { packages: [./connector_current, ./site-packages] }\n' },
    });
    await discover(folder);
    const config = `connectors:\n  current: { path: ${folder.path}, secrets: { REGION: { env: REGION } } }`;
    await using bulkhead = await serveBulkhead({ config, environment: { REGION: 'eu' } });
    expect(await invoke(bulkhead.url, 'current/Region')).toEqual({ status: 200, answer: '{"made_in": "eu", "run_in": "eu"}' });
    expect(await invoke(bulkhead.url, 'current/LateRegion')).toEqual({ status: 200, answer: '{"run_in": "eu"}' });
  });

  test('may have a virtual environment of their own, whose Python runs them', async () => {
    await using folder = await spiffFolder({
      packages: ['more/connector_more'],
      files: {
        'connector.yaml': 'name: more\nprotocol: spiff-python\nrun: { packages: [./connector_more], command: [.venv/bin/python] }\n',
        'connector_more/commands/needs.py':
          'import dependency\n\n\nclass Needs:\n    def execute(self, config, task_data):\n        return {"response": dependency.WORD, "mimetype": "text/plain"}\n',
      },
    });
    const { stdout } = await promisify(execFile)('/usr/bin/python3', [
      '-c',
      'import sys, sysconfig, venv; venv.create(sys.argv[1], symlinks=True); print(sysconfig.get_path("purelib", "venv", {"base": sys.argv[1]}))',
      join(folder.path, '.venv'),
    ]);
    await writeFile(join(stdout.trim(), 'dependency.py'), 'WORD = "from the environment"\n');
    await discover(folder);
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  more: { path: ${folder.path} }` });
    expect(await invoke(bulkhead.url, 'more/Needs')).toEqual({ status: 200, answer: 'from the environment' });
  });

  test('that block past the deadline are stopped, and the engine is told so', async () => {
    const config = `connectors:\n  edge: { path: ${folder.path}, limits: { start: 60s, invocation: 4s, cancelGrace: 100ms } }`;
    await using bulkhead = await serveBulkhead({ config });
    // A worker may take longer to start than one invocation may.
    const isBack = async (): Promise<void> =>
      await expect.poll(async () => (await invoke(bulkhead.url, 'edge/NoInit')).status, { timeout: 50_000 }).toBe(200);
    await isBack();
    const { status, answer } = await invoke(bulkhead.url, 'edge/Sleep', { seconds: 60 });
    expect({ status, code: JSON.parse(answer).error.error_code }).toEqual({ status: 504, code: 'deadline_exceeded' });
    await isBack();
  });

  test('of one connector are served together; a name that two have is the first one’s', async () => {
    await using folder = await spiffFolder({ packages: ['packages/connector_edge', 'more/connector_more'] });
    await writeFile(
      join(folder.path, 'connector.yaml'),
      'name: both\nprotocol: spiff-python\nrun: { packages: [connector_more, ./connector_edge] }\n',
    );
    await discover(folder);
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  both: { path: ${folder.path}, sandbox: none }` });
    expect(await invoke(bulkhead.url, 'both/ReturnRaw')).toEqual({ status: 200, answer: 'more' });
    expect(await invoke(bulkhead.url, 'both/NoInit')).toEqual({ status: 200, answer: 'no init' });
  });

  test('that lead out of the folder, or are not there, make the connector unavailable', async () => {
    await using folder = await spiffFolder({
      packages: [],
      files: {
        'connector.yaml': 'name: out\nprotocol: spiff-python\nrun: { packages: [./connector_out] }\ncommands: [{ name: A }]\n',
      },
    });
    const reason = async (): Promise<string> => {
      await using bulkhead = await serveBulkhead({ config: `connectors:\n  out: { path: ${folder.path} }` });
      const connector = [...bulkhead.catalog().connectors.values()][0];
      return connector?.state === 'unavailable' ? connector.reason.message : 'available';
    };
    expect(await reason()).toContain('has no package ./connector_out');
    await symlink('/usr/lib/python3', join(folder.path, 'connector_out'));
    expect(await reason()).toContain('is a link to elsewhere');
    await rm(join(folder.path, 'connector_out'));
    await writeFile(join(folder.path, 'connector_out'), '');
    expect(await reason()).toContain('is no folder');
  });

  test('without discovered commands make the connector unavailable, with the very repair', async () => {
    await using folder = await spiffFolder({
      ...edge,
      files: { 'connector.yaml': 'name: edge\nprotocol: spiff-python\nrun: { packages: [./connector_edge] }\n' },
    });
    await using bulkhead = await serveBulkhead({ config: `connectors:\n  edge: { path: ${folder.path} }` });
    const { status, answer } = await invoke(bulkhead.url, 'edge/ReturnRaw');
    expect(status).toBe(503);
    expect(JSON.parse(answer).error).toMatchObject({
      error_code: 'connector_unavailable',
      message: expect.stringContaining(`run \`bulkhead discover ${folder.path} --write\``),
    });
  });

  test('leave no process behind', async () => {
    const left = watchLeftovers();
    {
      await using bulkhead = await serveBulkhead({ config: `connectors:\n  edge: { path: ${folder.path} }` });
      expect((await invoke(bulkhead.url, 'edge/NoInit')).status).toBe(200);
    }
    expect(await left()).toEqual(nothingLeft);
  });
});

describe('bulkhead discover', () => {
  test('prints a manifest for a folder that has none, and writes nothing', async () => {
    await using folder = await spiffFolder(edge);
    const { exitCode, stdout } = await runCliProcess(['discover', folder.path]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^name: edge\nversion: 1\.0\.0\nprotocol: spiff-python\n/);
    await expect(readFile(join(folder.path, 'connector.yaml'))).rejects.toThrow('ENOENT');
  });

  test('keeps what its author wrote, and tells what is new and gone', async () => {
    await using folder = await spiffFolder({ packages: ['more/connector_more'] });
    await discover(folder);
    const file = join(folder.path, 'connector.yaml');
    const first = await readFile(file, 'utf8');
    const edited = first
      .replace('version: 1.0.0', 'version: 2.1.0 # the package’s own')
      .replace('  - name: More\n', '  - name: More\n    description: Asks for more\n')
      .replace('context: [ task_data, callback_url ]', 'context: []')
      .replace('args: { ', 'args: { writeOnly: true, ');
    await writeFile(file, `${edited}requests: { network: ["api.example.com:443"] }\n`);
    await appendFile(
      join(folder.path, 'connector_more/commands/more.py'),
      '\n\nclass Most(More):\n    def __init__(self, much: int = 3):\n        pass\n\n\ndel ReturnRaw\n',
    );
    expect(await discover(folder)).toContain('2 commands, 0 auths; new: Most; gone: ReturnRaw');
    const second = await readFile(file, 'utf8');
    expect(second).toContain('version: 2.1.0 # the package’s own');
    expect(second).toContain('requests: { network: [ "api.example.com:443" ] }');
    expect(second).toContain('description: Asks for more');
    expect(second).toContain('args: { writeOnly: true, x-spiff-type: any, x-spiff-required: true }');
    expect(second).toContain('context: []');
    expect(second).toContain('much: { x-spiff-type: int, x-spiff-required: false }');
  });

  test('gives the packages no network and no file but their own', async () => {
    await using folder = await spiffFolder({ packages: ['more/connector_more'], files: { 'secret.txt': 'beside the packages' } });
    const curious = [
      'import os, socket, sys',
      'assert sorted(os.listdir("/app")) == ["connector_more", "secret.txt"], os.listdir("/app")',
      'assert not os.path.exists("/etc/shadow") and not os.access("/app", os.W_OK) and os.getuid() != 0',
      'assert [name for _, name in socket.if_nameindex()] == ["lo"], socket.if_nameindex()',
      'print("looked around", file=sys.stderr)',
    ];
    await appendFile(join(folder.path, 'connector_more/commands/more.py'), `\n\n${curious.join('\n')}\n`);
    expect(await discover(folder)).toMatch(/2 commands[\s\S]*looked around/);
  });

  test.each([
    ['there is no folder', [], {}, 2, /there is no folder/],
    ['there is nothing to discover', [], { 'notes.txt': '' }, 2, /has neither connector\.yaml nor a package/],
    [
      'the connector is of another kind',
      [],
      { 'connector.yaml': 'name: a\nrun: { command: [x] }\n' },
      2,
      /is not one of protocol: spiff-python with run\.packages/,
    ],
    [
      'the manifest has faults elsewhere',
      [],
      { 'connector.yaml': 'name: A\nprotocol: spiff-python\nrun: { packages: [../x] }\n' },
      1,
      /name: is not a connector name[\s\S]*run\.packages\[0\]: is not a path inside/,
    ],
    ['no package has a command', [], { 'connector_none/__init__.py': '' }, 1, /have no command/],
    [
      'Python is not there',
      ['more/connector_more'],
      { 'connector.yaml': 'name: more\nprotocol: spiff-python\nrun: { packages: [./connector_more], command: [python0] }\n' },
      1,
      /connector_start_failed: the host of connector more ended with exit code 127/,
    ],
  ])('fails by name when %s', async (_, packages, files, exitCode, message) => {
    await using folder = await spiffFolder({ packages, files });
    const path = Object.keys(files).length === 0 ? join(folder.path, 'nowhere') : folder.path;
    const result = await runCliProcess(['discover', path, '--write']);
    expect(result).toMatchObject({ exitCode, stdout: '', stderr: expect.stringMatching(message) });
  });
});
