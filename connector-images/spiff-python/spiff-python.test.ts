import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeParameters } from '../../src/manifest/parameters.ts';
import { readManifest } from '../../src/manifest/read-manifest.ts';
import { folderOf, type StartedConnector, startConnector } from '../start-connector.ts';

const folder = folderOf('spiff-python');
const packages = (name: string) => ({ PYTHONPATH: `${folder}test/${name}` });

function print(option: string, name = 'packages') {
  const { stdout, status } = spawnSync('python3', ['main.py', option], {
    cwd: folder,
    env: { ...process.env, ...packages(name), PYTHONDONTWRITEBYTECODE: '1' },
  });
  expect(status).toBe(0);
  return stdout.toString();
}

let edge: StartedConnector;
beforeAll(async () => {
  edge = await startConnector({ folder, command: ['python3', 'main.py'], env: packages('packages'), config: { REGION: 'x' } });
});
afterAll(() => edge[Symbol.asyncDispose]());

/** The answer's own text, after `"result":` or `"error":`. */
async function run(command: string, input: string, context: object = {}): Promise<string> {
  await edge.invoke(command, input, { ...context });
  return /^\{"jsonrpc":"2\.0","id":"request-\d+",("(?:result|error)":.*)\}$/.exec(edge.lines.at(-1) ?? '')?.[1] ?? '';
}

const raw = (result: string) => run('ReturnRaw', `{"result": ${result}}`);
const spiff = (text: string) => `"result":{"spiff":${text}}`;

describe('results of version 2 are passed on byte for byte', () => {
  it.each([
    '{"command_response_version": 2, "command_response": {"body": {"a": 1}, "mimetype": "application/json"}, "error": null}',
    '{"command_response_version": 2, "command_response": {"body": {"10": 1.0, "9": 123456789012345678901234567890}}, "spiff__logs": ["l"], "anything": [1]}',
    '{"command_response_version": 2}',
    '{"command_response_version": 3, "x": 1}',
    '{"command_response_version": 1.5, "x": "\\ud800"}',
  ])('%s', async (result) => {
    expect(await raw(result)).toBe(spiff(result));
  });

  it('in ASCII, as Python writes it, non-text keys included', async () => {
    expect(await run('ReturnNonAscii', '{}')).toContain('"body": "na\\u00efve \\u2603 \\ud83d\\ude00 \\u2028 </script>"');
    expect(await run('ReturnIntKeys', '{}')).toContain('"body": {"10": "ten", "9": "nine", "null": "n", "true": "t"}');
  });

  it('with numbers as Python reads and writes them', async () => {
    expect(await raw('{"command_response_version": 2, "n": [1E2, -0, -0.0, 1.10]}')).toBe(
      spiff('{"command_response_version": 2, "n": [100.0, 0, -0.0, 1.1]}'),
    );
  });
});

describe('results of version 1', () => {
  it.each([
    [
      '{"response": {"a": 1}, "status": 201, "mimetype": "application/json"}',
      '{"response": {"a": 1}, "mimetype": "application/json", "status": 201}',
    ],
    ['{"response": "x", "mimetype": "text/plain"}', '{"response": "x", "mimetype": "text/plain", "status": 200}'],
    ['{"response": "x", "status": "404", "mimetype": null}', '{"response": "x", "mimetype": null, "status": 404}'],
    ['{"response": null, "mimetype": ""}', '{"response": null, "mimetype": "", "status": 200}'],
    ['{"response": ["a", "b"], "mimetype": "text/plain"}', '{"response": "ab", "mimetype": "text/plain", "status": 200}'],
    [
      '{"response": "x", "status": 999, "mimetype": "text/plain", "headers": {"X-A": "1"}}',
      '{"response": "x", "mimetype": "text/plain", "status": 999}',
    ],
    ['{"command_response_version": true, "response": "x", "mimetype": "a/b"}', '{"response": "x", "mimetype": "a/b", "status": 200}'],
  ])('%s', async (result, passed) => {
    expect(await raw(result)).toBe(spiff(passed));
  });
});

describe('what the reference answers with HTML 500 is an invalid_result', () => {
  it.each([
    '[1]',
    '"text"',
    'null',
    '{}',
    '{"response": "x"}',
    '{"status": 200, "mimetype": "text/plain"}',
    '{"response": "x", "status": "OK", "mimetype": "text/plain"}',
    '{"response": "x", "status": null, "mimetype": "text/plain"}',
    '{"response": "x", "status": 0, "mimetype": "text/plain"}',
    '{"response": 5, "mimetype": "application/json"}',
    '{"response": [{"a": 1}], "mimetype": "application/json"}',
    '{"command_response_version": "2", "x": 1}',
    '{"command_response_version": null, "x": 1}',
    '{"command_response_version": true, "x": 1}',
  ])('%s', async (result) => {
    const { error } = await edge.invoke('ReturnRaw', `{"result": ${result}}`);
    expect(error?.data).toEqual({ errorCode: 'invalid_result', httpStatus: 502 });
  });

  it.each(['ReturnUnserialisableV2', 'ReturnDecimalV1', 'ReturnNaN', 'ReturnBytesV1'])('%s', async (command) => {
    const { error } = await edge.invoke(command, '{}');
    expect(error?.data?.['errorCode']).toBe('invalid_result');
  });
});

describe('exceptions keep the names that Python gave them', () => {
  it.each([
    ['RaiseError', '{"kind": "EdgeError", "message": "the message"}', 'EdgeError', 'the message'],
    ['RaiseError', '{"kind": "KeyError", "message": "x"}', 'KeyError', "'x'"],
    ['RaiseError', '{"kind": "ValueError", "message": "m", "in_init": true}', 'ValueError', 'm'],
    ['RaiseError', '{"kind": "SystemExit", "message": "bye"}', 'SystemExit', 'bye'],
    ['RaiseError', '{"kind": "KeyboardInterrupt", "message": "bye"}', 'KeyboardInterrupt', 'bye'],
    ['NoExecute', '{}', 'AttributeError', "'NoExecute' object has no attribute 'execute'"],
    ['_Private', '{"x": 1}', 'AttributeError', "'_Private' object has no attribute 'execute'"],
    ['NoInit', '{"args": 1}', 'TypeError', 'NoInit() takes no arguments'],
    ['RaiseError', '{}', 'TypeError', "missing 1 required positional argument: 'kind'"],
    ['Sleep', '{"seconds": 0, "self": 1}', 'TypeError', "got multiple values for argument 'self'"],
    ['Sleep', '{"seconds": 0, "not an id!": 1}', 'TypeError', "got an unexpected keyword argument 'not an id!'"],
  ])('%s %s: %s', async (command, input, errorCode, message) => {
    const { error } = await edge.invoke(command, input);
    expect(error?.data).toEqual({ errorCode, httpStatus: 500 });
    expect(error?.message).toContain(message);
  });

  it('and the process goes on', async () => {
    expect(await run('NoInit', '{}')).toBe(spiff('{"response": "no init", "mimetype": "text/plain", "status": 200}'));
  });
});

describe('context', () => {
  it('is the task data as sent, and settings as config', async () => {
    expect(await run('EchoContext', '{"note": "n", "other": 1}', { taskData: { k: 'v' } })).toContain(
      '"body": {"note": "n", "extra": {"other": 1}, "task_data": {"k": "v"}, "task_data_type": "dict", "config_is_mapping": true}',
    );
  });

  it('is the text {} where no task data was sent', async () => {
    expect(await run('EchoContext', '{"note": "n"}')).toContain('"task_data": "{}", "task_data_type": "str"');
  });
});

describe('asynchronous commands', () => {
  it('run execute_async when there is a callback url, an empty one included', async () => {
    expect(await run('AsyncAccept', '{}', { callbackUrl: 'http://127.0.0.1:9/cb' })).toBe(
      '"result":{"spiff":{"command_response_version": 2, "command_response": {"body": {"started": true, "callback_url": "http://127.0.0.1:9/cb"}, "mimetype": "application/json", "http_status": 202}, "error": null, "spiff__logs": ["edge: accepted"]},"accepted":true}',
    );
    expect(await run('AsyncV1', '{}', { callbackUrl: '' })).toBe(
      '"result":{"spiff":{"response": "async", "status": 418, "mimetype": "text/plain"},"accepted":true}',
    );
    expect((await edge.invoke('AsyncRaises', '{}', { callbackUrl: 'x' })).error).toMatchObject({
      message: 'async refused',
      data: { errorCode: 'ValueError' },
    });
  });

  it('run execute otherwise', async () => {
    expect(await run('AsyncV1', '{}')).toBe(spiff('{"response": "sync", "mimetype": "text/plain", "status": 200}'));
    expect(await run('AsyncV1', '{}', { callbackUrl: null })).toBe(spiff('{"response": "sync", "mimetype": "text/plain", "status": 200}'));
  });
});

describe('commands run side by side', () => {
  it('a slow one delays no other, and noise on stdout harms none', async () => {
    const slow = edge.invoke('Sleep', '{"seconds": 1}', { invocationId: 'slow' });
    expect(await run('PrintNoise', '{}')).toContain('"body": "ok"');
    expect((await slow).result).toMatchObject({ spiff: { command_response: { body: 'slept' } } });
    await expect.poll(edge.stderr).toContain('is noise on stdout');
  });
});

describe('the manifest', () => {
  it('describes parameters as the reference does, quirks included', () => {
    const result = readManifest({ file: 'connector.yaml', text: print('--manifest') });
    expect('faults' in result ? result.faults : []).toEqual([]);
    if (!result.ok) return;
    const shown = Object.fromEntries(
      result.manifest.commands.map((command) => [
        command.name,
        describeParameters(command).map(({ id, type, required }) => `${id} ${type}${required ? '' : '?'}`),
      ]),
    );
    expect(Object.keys(shown)).toEqual(
      ['AsyncAccept', 'EchoContext', 'EdgeError', 'PrintNoise', 'RaiseError', 'ReturnRaw', 'Sleep'].concat(
        [
          'AsyncRaises',
          'AsyncV1',
          'NoExecute',
          'NoInit',
          'ReturnBytesV1',
          'ReturnDecimalV1',
          'ReturnIntKeys',
          'ReturnNaN',
          'ReturnNonAscii',
          'ReturnUnserialisableV2',
        ],
        ['FutureAnnotations', 'NestedPackageClass', 'InheritsInit', 'OddKw', 'Stars', 'Types', '_Private'],
      ),
    );
    expect(shown['Types']).toEqual(
      `untyped any, a_str str, an_int int, a_bool bool, a_float any, a_none any, an_any any, a_dict any, a_list any, dict_str_str str, dict_str_any any,
      dict_str_int any, list_str str, list_int int, opt_str str?, str_or_none str?, int_or_none int?, bool_or_none bool?, float_or_none any?, str_or_int any,
      str_or_int_or_none any?, dict_str_str_or_none any?, lit any, annotated any, quoted any, quoted_opt any, type_str str, untyped_default any?, str_default str?,
      str_default_none str?, opt_default str?, float_default any?`.split(/,\s+/),
    );
    expect(shown).toMatchObject({
      FutureAnnotations: ['a any', 'b any', 'c any?'],
      Stars: ['first str', 'args any', 'flag bool?', 'must int'],
      OddKw: ['rest int', 'options str'],
      NoInit: ['args any'],
      EchoContext: ['note str?'],
    });
  });

  it('lists the auths that the reference lists', () => {
    expect(JSON.parse(print('--auths'))).toEqual([
      { id: 'edge/BadAuth', parameters: [{ id: 'needed', type: 'str', required: true }] },
      { id: 'edge/LocalOAuth', parameters: [] },
    ]);
    expect(JSON.parse(edge.lines[0] ?? '').result.auths).toHaveLength(2);
  });
});

describe('a package with a broken module', () => {
  const start = (at: string) =>
    startConnector({ folder: at, command: ['python3', 'main.py'], env: packages('broken'), config: { KEY: 'k' }, secrets: { TOKEN: 't' } });

  it('is served without the commands of that module alone, and keeps no state between calls', async () => {
    await using half = await start(folder);
    expect(JSON.parse(half.lines[0] ?? '').result.commands).toEqual([{ name: 'Count' }]);
    expect(half.stderr()).toContain("No module named 'a_module_that_is_not_installed'");
    for (let call = 0; call < 2; call += 1) {
      expect((await half.invoke('Count', '{}')).result).toEqual({
        spiff: { response: { count: 1, key: 'k', token: 't' }, mimetype: 'application/json', status: 200 },
      });
    }
  });

  it('still declares what its manifest promised, so that the proxy goes on with the rest', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'bulkhead-spiff-'));
    try {
      for (const file of ['main.py', 'bulkhead.py']) cpSync(`${folder}${file}`, join(copy, file));
      writeFileSync(join(copy, 'connector.yaml'), JSON.stringify({ name: 'half', commands: [{ name: 'Count' }, { name: 'Lacking' }] }));
      await using half = await start(copy);
      expect(JSON.parse(half.lines[0] ?? '').result.commands).toEqual([{ name: 'Count' }, { name: 'Lacking' }]);
      expect((await half.invoke('Lacking', '{}')).error).toMatchObject({
        message: expect.stringContaining("lacking (ModuleNotFoundError: No module named 'a_module_that_is_not_installed')"),
        data: { errorCode: 'ModuleNotFoundError', httpStatus: 500 },
      });
      expect((await half.invoke('Count', '{}')).error).toBeUndefined();
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

describe('packages that are named', () => {
  const start = (options: readonly string[]) => startConnector({ folder: `${folder}test`, command: ['python3', '../main.py', ...options] });

  it('are served in their order, with the commands that the manifest promised', async () => {
    await using both = await start(['--package=./more/connector_more', '--package=packages/connector_edge', '--commands=More,NoInit,Gone']);
    expect(JSON.parse(both.lines[0] ?? '').result).toMatchObject({
      commands: [{ name: 'More' }, { name: 'NoInit' }, { name: 'Gone' }],
      auths: [{ id: 'test/BadAuth' }, { id: 'test/LocalOAuth' }],
    });
    expect((await both.invoke('More', '{}')).result).toMatchObject({ spiff: { response: 'more' } });
    expect((await both.invoke('NoInit', '{}')).result).toMatchObject({ spiff: { response: 'no init' } });
    expect((await both.invoke('Gone', '{}')).error).toMatchObject({
      message: 'There is no command Gone in connector_more and connector_edge any more; let `bulkhead discover` write the manifest anew.',
      data: { errorCode: 'command_not_found', httpStatus: 404 },
    });
  });

  it('may lie in a folder of packages, where the one of the connector’s name is taken, or the only one', async () => {
    await using only = await start(['--package=packages']);
    expect((await only.invoke('NoInit', '{}')).result).toMatchObject({ spiff: { response: 'no init' } });
    const { status, stdout } = spawnSync('python3', ['../main.py', '--package=packages', '--package=more', '--manifest', 'more'], {
      cwd: `${folder}test`,
    });
    expect(status).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({
      name: 'more',
      run: { packages: ['packages', 'more'] },
      commands: [{ name: 'More' }, {}],
    });
  });

  it('hide no other one when they cannot be imported as a whole', async () => {
    const broken = mkdtempSync(join(tmpdir(), 'bulkhead-spiff-'));
    try {
      cpSync(`${folder}test/more`, broken, { recursive: true });
      cpSync(`${folder}test/more/connector_more`, join(broken, 'connector_bad'), { recursive: true });
      writeFileSync(join(broken, 'connector_bad/__init__.py'), 'import a_module_that_is_not_installed\n');
      await using half = await start([`--package=${broken}/connector_bad`, `--package=${broken}/connector_more`]);
      expect(JSON.parse(half.lines[0] ?? '').result.commands).toEqual([{ name: 'More' }, { name: 'ReturnRaw' }]);
      expect(half.stderr()).toContain('connector_bad cannot be imported');
      expect(existsSync(join(broken, 'connector_more/__pycache__'))).toBe(false);
    } finally {
      rmSync(broken, { recursive: true });
    }
  });
});

it.each(['main.py', 'bulkhead.py'])('%s is Python 3.9', (file) => {
  const check = `import ast; ast.parse(open(${JSON.stringify(file)}, encoding="utf-8").read(), feature_version=(3, 9))`;
  const { status, stderr } = spawnSync('python3', ['-c', check], { cwd: folder });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
});

it('says which packages there are when it cannot tell which is meant', async () => {
  const both = { PYTHONPATH: `${folder}test/packages:${folder}test/broken` };
  await using unclear = await startConnector({ folder, command: ['python3', 'main.py'], env: both });
  expect(JSON.parse(unclear.lines[0] ?? '').error.message).toBe(
    'There is no package connector_test; found: connector_edge, connector_half. Name one by --plugin.',
  );
  await using named = await startConnector({ folder, command: ['python3', 'main.py', '--plugin', 'half'], env: both });
  expect(JSON.parse(named.lines[0] ?? '').result.commands).toEqual([{ name: 'Count' }]);
});
