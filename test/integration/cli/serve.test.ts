import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import {
  postJson,
  projectFolder,
  runCliProcess,
  type ServeProcess,
  startServeProcess,
  temporaryFolder,
} from '../../helpers/cli-process.ts';

const manifest = (name: string, version = '1.0.0') => `name: ${name}
version: ${version}
description: Sleeps and says its version
protocol: oneshot
run: { command: [/bin/sh, main.sh] }
commands:
  - name: Sleep
    description: Sleeps for some seconds
    parameters: { type: object, properties: { seconds: { type: integer } } }
`;

/** One-shot: reads its document, sleeps for the seconds in it, answers. */
const program = (says: string) => `read -r document
seconds=$(printf %s "$document" | sed -n 's/.*"seconds":\\([0-9]*\\).*/\\1/p')
sleep "\${seconds:-0}"
printf '{"body":"${says}"}'
`;

function connector(name: string, says: string, version?: string): Record<string, string> {
  return { [`${name}/connector.yaml`]: manifest(name, version), [`${name}/main.sh`]: program(says) };
}

/** Its workers live on between invocations, with the program and the secrets that they were started with. */
const lasting = (answer: string) => ({
  'one/connector.yaml': manifest('one').replace('oneshot', 'bulkhead/1').replace('[/bin/sh, main.sh]', '[python3, main.py]'),
  'one/bulkhead.py': readFileSync(join(projectFolder, 'connector-images/sdk/bulkhead.py'), 'utf8'),
  'one/main.py': `import time
from bulkhead import command, serve

@command
def Sleep(input, ctx):
    time.sleep(input.get("seconds", 0))
    return ${answer}

serve()
`,
});
const keeper = lasting('len(ctx.secrets["TOKEN"])');

const config = (extra = '') => `server: { drain: 10s${extra} }
connectors:
  one: { path: ./one }
  two: { path: ./two }
`;

function tookConfig({ message }: Readonly<Record<string, unknown>>): boolean {
  return String(message).startsWith('took the new config');
}

async function answerOf(serve: ServeProcess, name: string, seconds = 0): Promise<unknown> {
  const response = await postJson(`${serve.url}/v1/do/${name}/Sleep`, { seconds });
  const { command_response } = (await response.json()) as { command_response: { body?: unknown } };
  return command_response.body;
}

/** Each over a connection of its own. */
async function answersOfConnections(port: number, count: number): Promise<readonly unknown[]> {
  const answers: unknown[] = [];
  const ask = async (): Promise<void> => {
    const options = { port, host: '127.0.0.1', method: 'POST', path: '/v1/do/one/Sleep', agent: false };
    const asking = request({ ...options, headers: { 'Content-Type': 'application/json' } });
    asking.end('{}');
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    answers.push(((await json(response)) as { command_response: { body: unknown } }).command_response.body);
  };
  for (let asked = 0; asked < count; asked += 10) await Promise.all(Array.from({ length: 10 }, ask));
  return answers;
}

describe('serve', () => {
  test('SIGTERM lets what runs end, refuses new connections, exits with 0 and leaves no process', async () => {
    await using folder = await temporaryFolder({ ...connector('one', 'a'), ...connector('two', 'b'), 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const running = answerOf(serve, 'one', 2);
    await until(() => descendants(serve.pid).length > 0);
    serve.child.kill('SIGTERM');
    await serve.logged((line) => line['signal'] === 'SIGTERM');
    await expect(fetch(`${serve.url}/healthz`)).rejects.toThrow();
    expect(await running).toBe('a');
    const below = descendants(serve.pid);
    expect(await serve.exited).toBe(0);
    await until(() => below.every(isGone));
  });

  test('two that share a port both answer, and one that goes leaves it to the other', async () => {
    const shared = config(', sharePort: true');
    const files = (says: string) => ({ ...connector('one', says), ...connector('two', says), 'bulkhead.yaml': shared });
    await using folder = await temporaryFolder(files('a'));
    await using other = await temporaryFolder(files('b'));
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const { port } = new URL(serve.url);
    await using beside = await startServeProcess(['--config', `${other.path}/bulkhead.yaml`, '--port', port]);
    expect(beside.url).toBe(serve.url);
    const answers = await answersOfConnections(Number(port), 40);
    expect(new Set(answers)).toEqual(new Set(['a', 'b']));
    serve.child.kill('SIGTERM');
    expect(await serve.exited).toBe(0);
    expect(new Set(await answersOfConnections(Number(port), 10))).toEqual(new Set(['b']));
  });

  test('what does not end by the drain time-out is ended, and its caller is told', async () => {
    const files = { ...connector('one', 'a'), ...connector('two', 'b'), 'bulkhead.yaml': config().replace('10s', '500ms') };
    await using folder = await temporaryFolder(files);
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const running = postJson(`${serve.url}/v1/do/one/Sleep`, { seconds: 30 });
    await until(() => descendants(serve.pid).length > 0);
    const below = descendants(serve.pid);
    serve.child.kill('SIGTERM');
    const response = await running;
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { error_code: 'shutting_down' } });
    expect(await serve.exited).toBe(0);
    await until(() => below.every(isGone));
  });

  test('SIGHUP replaces what changed and keeps the old config when the new one has faults', async () => {
    await using folder = await temporaryFolder({ ...connector('one', 'old'), ...connector('two', 'b'), 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('old');

    await folder.write({ 'bulkhead.yaml': `${config()}  three: { path: ./missing, netwrk: none }\n` });
    serve.child.kill('SIGHUP');
    const refused = await serve.logged((line) => line['code'] === 'invalid_config');
    expect(JSON.stringify(refused['faults'])).toContain('netwrk');
    expect(await answerOf(serve, 'one')).toBe('old');

    await folder.write({ ...connector('one', 'new', '2.0.0'), 'bulkhead.yaml': config().replace('  two: { path: ./two }\n', '') });
    serve.child.kill('SIGHUP');
    await serve.logged(tookConfig);
    expect(await answerOf(serve, 'one')).toBe('new');
    expect((await postJson(`${serve.url}/v1/do/two/Sleep`, {})).status).toBe(404);
  });

  test('--watch takes a changed connector without being told', async () => {
    await using folder = await temporaryFolder({ ...connector('one', 'old'), ...connector('two', 'b'), 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--watch', '--config', `${folder.path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('old');
    // Only the program: the manifest stays as it is, and so does the config.
    await folder.write({ 'one/main.sh': program('new') });
    await serve.logged(tookConfig);
    expect(await answerOf(serve, 'one')).toBe('new');
  });

  test('SIGHUP hands rotated secrets out, loses no invocation, and says that `server` takes a restart', async () => {
    const tokens = (extra = '') => config(extra).replace('{ path: ./one }', '{ path: ./one, secrets: { TOKEN: { file: ./token } } }');
    const files = { ...connector('two', 'b'), ...keeper };
    await using folder = await temporaryFolder({ ...files, token: 'short', 'bulkhead.yaml': tokens() });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('short'.length);
    const running = Array.from({ length: 4 }, () => answerOf(serve, 'one', 3));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await folder.write({ token: 'muchlonger', 'bulkhead.yaml': tokens(', logLevel: debug') });
    serve.child.kill('SIGHUP');
    await serve.logged(tookConfig);
    await serve.logged((line) => String(line['message']).includes('takes a restart'));
    expect(await Promise.all(running)).toEqual(Array(4).fill('short'.length));
    expect(await answerOf(serve, 'one')).toBe('muchlonger'.length);
  });

  test('SIGHUP replaces a worker with an old secret also where a newer one has read the new secret', async () => {
    const own = 'secrets: { TOKEN: { file: ./token } }, workers: { mode: pooled, max: 2, concurrency: 1 }';
    const yaml = `connectors: { one: { path: ./one, ${own} } }\n`;
    await using folder = await temporaryFolder({ ...keeper, token: 'short', 'bulkhead.yaml': yaml });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const both = (): Promise<unknown[]> => Promise.all([answerOf(serve, 'one', 2), answerOf(serve, 'one', 2)]);
    expect(await answerOf(serve, 'one')).toBe('short'.length);
    await folder.write({ token: 'muchlonger' });
    expect(new Set(await both())).toEqual(new Set(['short'.length, 'muchlonger'.length]));
    serve.child.kill('SIGHUP');
    await serve.logged(tookConfig);
    expect(await both()).toEqual(['muchlonger'.length, 'muchlonger'.length]);
  });

  test('SIGHUP while it starts does not end it, and counts as soon as it serves', async () => {
    await using folder = await temporaryFolder(connector('two', 'b'));
    const { path } = folder;
    // The first reading of the secret, at the start, hangs up on who reads it.
    const secret = `[ -e ${path}/asked ] || kill -HUP $PPID; : >${path}/asked; echo token`;
    const connectors = { one: { path: './one', secrets: { TOKEN: { command: ['/bin/sh', '-c', secret] } } } };
    await folder.write({ ...connector('one', 'a'), 'bulkhead.yaml': JSON.stringify({ connectors }) });
    await using serve = await startServeProcess(['--config', `${path}/bulkhead.yaml`]);
    await serve.logged(tookConfig);
    expect(await answerOf(serve, 'one')).toBe('a');
  });

  test('while a reload waits for a secret the whole old config is in force', async () => {
    await using folder = await temporaryFolder({ ...connector('one', 'a'), ...connector('two', 'b') });
    const { path } = folder;
    const secret = `until ! [ -e ${path}/wait ]; do : >${path}/asked; sleep 0.05; done; echo token`;
    const one = { path: './one', secrets: { TOKEN: { command: ['/bin/sh', '-c', secret] } } };
    await folder.write({ 'bulkhead.yaml': JSON.stringify({ connectors: { one, two: { path: './two' } } }) });
    await using serve = await startServeProcess(['--config', `${path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('a');
    await folder.write({ wait: '', 'bulkhead.yaml': JSON.stringify({ connectors: { one } }) });
    serve.child.kill('SIGHUP');
    await until(() => existsSync(`${path}/asked`));
    expect(await answerOf(serve, 'two')).toBe('b');
    rmSync(`${path}/wait`);
    await serve.logged(tookConfig);
    expect((await postJson(`${serve.url}/v1/do/two/Sleep`, {})).status).toBe(404);
  });

  test('a reload that needs a secret which cannot be read is refused; one that does not is taken', async () => {
    const tokens = (file: string) => config().replace('{ path: ./one }', `{ path: ./one, secrets: { TOKEN: { file: ${file} } } }`);
    await using folder = await temporaryFolder({ ...connector('two', 'b'), ...keeper, token: 'short', 'bulkhead.yaml': tokens('./token') });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('short'.length);
    await folder.write({ 'bulkhead.yaml': tokens('./tokne') });
    serve.child.kill('SIGHUP');
    const refused = await serve.logged(({ code }) => code === 'secret_missing');
    expect(refused['message']).toMatch(
      /old config stays in force: secret TOKEN of connector one.*tokne is not there; correct connectors\.one\.secrets/,
    );
    expect(await answerOf(serve, 'one')).toBe('short'.length);

    rmSync(`${folder.path}/token`);
    await folder.write({ 'bulkhead.yaml': tokens('./token').replace('  two: { path: ./two }\n', '') });
    serve.child.kill('SIGHUP');
    await serve.logged(({ message }) => String(message).includes('keep the secrets that they were started with'));
    await serve.logged(tookConfig);
    expect(await answerOf(serve, 'one')).toBe('short'.length);
  });

  test('--watch also watches connectors that came with a later config', async () => {
    const single = config().replace('  two: { path: ./two }\n', '');
    await using folder = await temporaryFolder({ ...connector('one', 'a'), ...connector('two', 'old'), 'bulkhead.yaml': single });
    await using serve = await startServeProcess(['--watch', '--config', `${folder.path}/bulkhead.yaml`]);
    const tookTimes = () => serve.log.filter(tookConfig).length;
    await folder.write({ 'bulkhead.yaml': config() });
    await until(() => tookTimes() > 0);
    expect(await answerOf(serve, 'two')).toBe('old');
    const before = tookTimes();
    await folder.write({ 'two/main.sh': program('new') });
    await until(() => tookTimes() > before);
    expect(await answerOf(serve, 'two')).toBe('new');
  });

  test('--watch replaces a connector that changed while the config had faults', async () => {
    await using folder = await temporaryFolder({ ...lasting('"old"'), ...connector('two', 'b'), 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--watch', '--config', `${folder.path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('old');
    await folder.write({ 'bulkhead.yaml': `${config()}  three: { netwrk: none }\n` });
    await serve.logged(({ code }) => code === 'invalid_config');
    const refusals = () => serve.log.filter(({ code }) => code === 'invalid_config').length;
    const before = refusals();
    await folder.write(lasting('"new"'));
    await until(() => refusals() > before);
    await folder.write({ 'bulkhead.yaml': config() });
    await serve.logged(tookConfig);
    await eventually(async () => (await answerOf(serve, 'one')) === 'new');
  });

  test('--watch follows a connector’s folder that is replaced, again and again', async () => {
    await using folder = await temporaryFolder({ ...lasting('"first"'), ...connector('two', 'b'), 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--watch', '--config', `${folder.path}/bulkhead.yaml`]);
    for (const says of ['second', 'third']) {
      rmSync(`${folder.path}/one`, { recursive: true });
      await folder.write(lasting(`"${says}"`));
      await eventually(async () => (await answerOf(serve, 'one')) === says);
      await folder.write({ 'one/main.py': lasting(`"${says}, edited"`)['one/main.py'] });
      await eventually(async () => (await answerOf(serve, 'one')) === `${says}, edited`);
    }
  });

  test('--watch follows links that are led elsewhere: the config’s, as Kubernetes does, and a connector’s', async () => {
    await using folder = await temporaryFolder({
      ...Object.fromEntries(
        ['v1', 'v2', 'v3'].flatMap((says) => Object.entries(connector('one', says)).map(([name, text]) => [`${says}/${name}`, text])),
      ),
    });
    const { path } = folder;
    const lead = (link: string, target: string): void => {
      symlinkSync(target, `${path}/${link}.new`);
      renameSync(`${path}/${link}.new`, `${path}/${link}`);
    };
    lead('current', 'v1/one');
    const yamlOf = (source: string): string => `connectors: { one: { path: ${path}/${source} } }\n`;
    await folder.write({ 'mount/..1/bulkhead.yaml': yamlOf('current') });
    lead('mount/..data', '..1');
    lead('mount/bulkhead.yaml', '..data/bulkhead.yaml');
    await using serve = await startServeProcess(['--watch', '--config', `${path}/mount/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('v1');
    lead('current', 'v2/one');
    await eventually(async () => (await answerOf(serve, 'one')) === 'v2');
    await folder.write({ 'mount/..2/bulkhead.yaml': yamlOf('v3/one') });
    lead('mount/..data', '..2');
    await eventually(async () => (await answerOf(serve, 'one')) === 'v3');
    await folder.write({ 'v3/one/main.sh': program('edited') });
    await eventually(async () => (await answerOf(serve, 'one')) === 'edited');
  });

  test('one broken manifest disables that connector only, and says why in the log, in /readyz and in the answer', async () => {
    const broken = { 'two/connector.yaml': 'name: two\nversion: 1\ncommands: none\n' };
    await using folder = await temporaryFolder({ ...connector('one', 'a'), ...broken, 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    expect(await answerOf(serve, 'one')).toBe('a');
    const line = await serve.logged((entry) => entry['connector'] === 'two');
    expect(line).toMatchObject({ level: 'error', code: 'connector_unavailable' });
    expect(await (await fetch(`${serve.url}/readyz`)).text()).toContain('broken manifest');
    const answer = await postJson(`${serve.url}/v1/do/two/Sleep`, {});
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { error_code: 'connector_unavailable' } }]);
  });

  test('a port that is taken is a named failure with exit code 1', async () => {
    await using folder = await temporaryFolder({ ...connector('one', 'a'), ...connector('two', 'b'), 'bulkhead.yaml': config() });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const second = startServeProcess(['--config', `${folder.path}/bulkhead.yaml`, '--port', new URL(serve.url).port]);
    await expect(second).rejects.toThrow(/exit code 1[\s\S]*is taken/);
  });
});

function descendants(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === pid);
  return children.flatMap((name) => [Number(name), ...descendants(Number(name))]);
}

function parentOf(pid: number): number | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : Number(stat[1]);
}

/** Also true of a zombie: its parent may be a container’s first process that never reaps. */
function isGone(pid: number): boolean {
  const stat = statOf(pid);
  return stat === undefined || stat[0] === 'Z';
}

function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 15_000; !(await isSo()); await new Promise((resolve) => setTimeout(resolve, 50))) {
    if (Date.now() > end) throw new Error('it did not become so within 15 s');
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !isSo(); await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (Date.now() > end) throw new Error('it did not become so within 15 s');
  }
}

test('every invocation is in the audit log, whose chain is whole', async () => {
  const audited = config().replace('drain: 10s', 'drain: 10s, audit: { folder: ./audit }');
  await using folder = await temporaryFolder({ ...connector('one', 'a'), ...connector('two', 'b'), 'bulkhead.yaml': audited });
  const configFile = `${folder.path}/bulkhead.yaml`;
  await using serve = await startServeProcess(['--config', configFile]);
  expect(await answerOf(serve, 'one')).toBe('a');
  serve.child.kill('SIGTERM');
  expect(await serve.exited).toBe(0);
  const records = readFileSync(`${folder.path}/audit/audit.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(records).toContainEqual(expect.objectContaining({ type: 'invocation', connector: 'one', command: 'Sleep', outcome: 'success' }));
  const { exitCode, stdout } = await runCliProcess(['audit', 'verify', '--config', configFile]);
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('whole:')]);
});
