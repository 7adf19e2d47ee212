import { type ExecFileException, execFile } from 'node:child_process';
import { chmod, chown, cp, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postJson, projectFolder, startServeProcess, type TemporaryFolder, temporaryFolder } from '../../helpers/cli-process.ts';
import { requireEngine } from '../../helpers/docker-runner.ts';

const engine = await requireEngine(['node', 'python', 'java', 'npm', 'gcc']);
const run = promisify(execFile);
const local = (name: string): string => `bulkhead-base/${name}:local`;

async function buildConnector(folder: string, ...args: readonly string[]): Promise<void> {
  await run(process.execPath, [join(projectFolder, 'scripts/images.ts'), folder, '--network', 'none', ...args], {
    cwd: projectFolder,
    maxBuffer: 64 * 1024 * 1024,
  });
}

async function answerOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { readonly command_response: { readonly body?: unknown } }).command_response.body;
}

describe.skipIf(engine === undefined)('examples as images', () => {
  it('the Java connector and the proprietary library answer over HTTP, in one run', { timeout: 400_000 }, async () => {
    await buildConnector(
      'examples/java-connector/connectors/prices',
      '--build-arg',
      `JDK=${local('java')}`,
      '--build-arg',
      `BASE=${local('java')}`,
    );
    const rating = 'examples/proprietary-library/connectors/rating';
    await buildConnector(rating, '--base-python', local('python'), '--build-arg', `VENDOR=${local('gcc')}`);
    const [first = '', second = ''] = await Promise.all(
      ['java-connector/bulkhead.image.yaml', 'proprietary-library/bulkhead.yaml'].map((file) =>
        readFile(join(projectFolder, 'examples', file), 'utf8'),
      ),
    );
    const config = `${first}${second.slice(second.indexOf('\nconnectors:') + '\nconnectors:'.length)}`;
    // A busy machine takes its time to make containers.
    const patient = config
      .replace('limits: { start: 30s }', 'limits: { start: 39s }')
      .replace('rating:1.0.0', 'rating:1.0.0\n    limits: { start: 39s }');
    await using folder = await temporaryFolder({ 'bulkhead.yaml': patient });
    await using served = await startServeProcess(['--config', join(folder.path, 'bulkhead.yaml')]);
    const prices = await postJson(`${served.url}/v1/do/prices/AddTax`, { net: 19.9, rate_percent: 19 });
    expect(await answerOf(prices)).toEqual({ tax: 3.78, gross: 23.68, java: expect.any(Number) });
    const rated = await postJson(`${served.url}/v1/do/rating/Rate`, { turnover_cents: 100_000, debt_cents: 50_000 });
    expect(await answerOf(rated)).toEqual({ score: 750, library: 'ACME Rating 4.2' });
    served.child.kill('SIGTERM');
    expect(await served.exited).toBe(0);
  });

  it('the library is in its image and its source is not', async () => {
    const list = [
      'run',
      '--rm',
      '--network',
      'none',
      '--entrypoint',
      'find',
      'bulkhead/rating:1.0.0',
      '/',
      '-xdev',
      '-name',
      '*acme_rating*',
    ];
    expect((await run('docker', list)).stdout.trim()).toBe('/opt/acme/libacme_rating.so');
    await expect(stat('/opt/acme')).rejects.toThrow('ENOENT');
  });
});

const composeProgram = await firstThatRuns([['docker', 'compose'], ['docker-compose']]);
if (composeProgram === undefined) {
  const message = 'NO COMPOSE: compose.yaml cannot be tried here (Debian: apt-get install docker-compose)';
  if (process.env['CI']) throw new Error(message);
  console.error(`\n!!! ${message}\n`);
}

async function firstThatRuns(programs: readonly (readonly string[])[]): Promise<readonly string[] | undefined> {
  for (const program of programs) {
    const [file = '', ...args] = program;
    if (
      await run(file, [...args, 'version']).then(
        () => true,
        () => false,
      )
    )
      return program;
  }
  return undefined;
}

describe.skipIf(engine === undefined || composeProgram === undefined)('compose.yaml', () => {
  const project = `bulkhead-test-${process.pid}`;
  const apiKey = 'key-in-a-file';
  const port = 20_000 + (process.pid % 10_000);
  const url = `http://127.0.0.1:${port}`;
  const key = { 'spiff-connector-proxy-api-key': apiKey };
  let folder: TemporaryFolder;

  const compose = async (...args: readonly string[]): Promise<string> => {
    const [file = '', ...first] = composeProgram ?? [];
    const env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: project,
      BASE: local('npm'),
      BUILD_NETWORK: 'host',
      DOCKER_GID: String((await stat('/var/run/docker.sock')).gid),
      BULKHEAD_CONFIG: join(folder.path, 'config'),
      BULKHEAD_SECRETS: join(folder.path, 'secrets'),
      BULKHEAD_PORT: String(port),
      BULKHEAD_VERSION: 'test',
    };
    return (await run(file, [...first, ...args], { cwd: projectFolder, env, maxBuffer: 64 * 1024 * 1024 })).stdout;
  };

  const inProxy = async (program: string): Promise<string> => {
    const { stdout, stderr } = await run('docker', ['exec', await containerOf('proxy'), 'node', '-e', program]).catch(
      (error: ExecFileException) => error,
    );
    return `${stdout ?? ''}${stderr ?? ''}`;
  };

  const containerOf = async (service: string): Promise<string> => (await compose('ps', '-q', service)).trim();

  beforeAll(async () => {
    folder = await temporaryFolder({ 'secrets/api-key': `${apiKey}\n` });
    // As docs/deploy.md says: the file is the proxy's user's alone.
    await chown(join(folder.path, 'secrets/api-key'), 10_000, 10_000);
    await chmod(join(folder.path, 'secrets/api-key'), 0o400);
    await cp(join(projectFolder, 'examples/compose'), join(folder.path, 'config'), { recursive: true });
    const file = join(folder.path, 'config/bulkhead.yaml');
    // Reaches the proxy's own loopback, by a rule that names it: egress from a container, out of a container.
    const granted = (await readFile(file, 'utf8')).replace(/# network: .*/, 'network: ["127.0.0.1:7004"]').replaceAll('30s', '39s');
    await writeFile(file, granted.replace('example:1.0.0', 'example:1.0.0\n    limits: { start: 39s }'));
    for (const connector of ['example', 'http']) await buildConnector(connector, '--base-node', local('node'));
    await compose('up', '--build', '--detach');
  }, 600_000);

  afterAll(async () => {
    await compose('down', '--volumes', '--rmi', 'all').catch(() => {});
    await folder[Symbol.asyncDispose]();
  }, 120_000);

  it('serves on loopback, to who has the key in the file', async () => {
    await expect
      .poll(
        () =>
          fetch(`${url}/readyz`).then(
            ({ ok }) => ok,
            () => false,
          ),
        { timeout: 90_000, interval: 500 },
      )
      .toBe(true);
    expect((await fetch(`${url}/v1/commands`)).status).toBe(401);
    const answer = await postJson(`${url}/v1/do/example/Example`, { message: 'from a container' }, key);
    expect(await answerOf(answer)).toEqual({ example_response: 'whatever you want', message: 'from a container' });
  });

  it('carries egress by its rules, and refuses the rest by name', async () => {
    // The first start makes the sidecar's image, which can take longer than one invocation may.
    const ready = (): Promise<number> =>
      postJson(`${url}/v1/do/http/GetRequest`, { url: 'http://127.0.0.1:7004/readyz' }, key).then(({ status }) => status);
    await expect.poll(ready, { timeout: 300_000, interval: 1000 }).toBe(200);
    const denied = await postJson(`${url}/v1/do/http/GetRequestV2`, { url: 'http://10.1.2.3:7004/' }, key);
    expect(await denied.text()).toContain('10.1.2.3');
  }, 320_000);

  it('gives the proxy no socket of the engine, no capability, no writable root', async () => {
    expect(await inProxy("require('node:fs').statSync('/var/run/docker.sock')")).toContain('ENOENT');
    expect(await inProxy("require('node:fs').writeFileSync('/app/x', '')")).toContain('EROFS');
    expect(await inProxy("console.log(require('node:fs').readFileSync('/proc/self/status', 'utf8'))")).toMatch(
      /Uid:\s+10000[\s\S]*CapBnd:\s+0000000000000000[\s\S]*NoNewPrivs:\s+1/,
    );
  });

  it('has a guard that refuses the proxy what would make it root on the host', async () => {
    const ask = (method: string, path: string, body?: unknown): string =>
      `const r = require('node:http').request({ socketPath: '/run/guard/docker.sock', method: '${method}', path: '${path}', headers: { 'content-type': 'application/json' } }, (a) => { console.log(a.statusCode); a.resume(); }); r.end(${body === undefined ? '' : `'${JSON.stringify(body)}'`})`;
    const evil = {
      Image: 'bulkhead/example:1.0.0',
      Cmd: ['cat', '/host/etc/shadow'],
      HostConfig: { Binds: ['/:/host'], Privileged: true },
    };
    expect(await inProxy(ask('POST', '/containers/create', evil))).toBe('403\n');
    expect(await inProxy(ask('POST', `/containers/${await containerOf('engine-guard')}/exec`))).toBe('403\n');
    expect(await inProxy(ask('DELETE', `/containers/${await containerOf('engine-guard')}?force=true`))).toBe('403\n');
  });

  it('goes down in the time it has, and leaves no container of a connector', async () => {
    const hosts = (await containerOf('proxy')).slice(0, 12);
    const left = async (): Promise<string> =>
      (await run('docker', ['ps', '-aq', '--filter', `label=dev.bulkhead.host=${hosts}`])).stdout.trim();
    expect(await left()).not.toBe('');
    await compose('down', '--volumes');
    expect(await left()).toBe('');
  });
});
