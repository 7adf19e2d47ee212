import { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createCatalog } from '../../../src/catalog/catalog.ts';
import { ProxyError } from '../../../src/errors.ts';
import { hashApiKey } from '../../../src/http/api-keys.ts';
import { textBytesMax, utf8Of } from '../../../src/lib/pieces.ts';
import { company, companyMs } from '../../../src/lib/turn-share.ts';
import type { Invocation, Outcome } from '../../../src/worker/invocation.ts';
import { echo, phases, serveApp, spiff, testCatalog } from './served-app.ts';

const json = { 'Content-Type': 'application/json' };

function bodyOf(answer: { readonly body: string }): string {
  return /"body": (.*), "mimetype"/.exec(answer.body)?.[1] ?? answer.body;
}

describe('an invocation', () => {
  test('is answered before anything is told of those that end with it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const invoke = async (invocation: Invocation): Promise<Outcome> => {
      await promise;
      return echo(invocation);
    };
    await using app = await serveApp({ invoke });
    const answers = [1, 2, 3].map(() => app.invoke('{}'));
    await vi.waitFor(() => expect(app.invocations).toHaveLength(3));
    const { end } = ServerResponse.prototype;
    const toldBefore: number[] = [];
    const spy = vi.spyOn(ServerResponse.prototype, 'end').mockImplementation(function (this: ServerResponse, ...args) {
      toldBefore.push(app.lines.length);
      return end.apply(this, args);
    });
    resolve();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
    spy.mockRestore();
    expect(toldBefore).toEqual([0, 0, 0]);
    expect(app.lines).toHaveLength(3);
  });

  test('gets the caller’s text, the command, an id and a deadline', async () => {
    await using app = await serveApp();
    const before = Date.now();
    const answer = await app.invoke('{"b": 1.0, "a": 12345678901234567890}', {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(bodyOf(answer)).toBe('{"b": 1.0, "a": 12345678901234567890}');
    const [invocation] = app.invocations;
    expect(invocation).toMatchObject({
      id: answer.headers['invocation-id'],
      connector: 'test',
      command: 'Echo',
      engineData: {},
      attempt: 1,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(invocation?.deadline).toBeGreaterThanOrEqual(before + 29_990);
    expect(invocation?.deadline).toBeLessThanOrEqual(Date.now() + 30_000);
  });

  test.each(['not one', '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01', '00-0-0-0'])(
    'does not hand on the trace context %j',
    async (traceparent) => {
      await using app = await serveApp();
      await app.invoke('{}', { traceparent });
      expect(app.invocations[0]?.traceparent).toBeUndefined();
    },
  );

  test('every answer carries an id of its own, errors too, and the error names it', async () => {
    await using app = await serveApp({ keys: [{ name: 'k', keyHash: hashApiKey('k'), connectors: ['*'] }] });
    const refused = await app.invoke('{}');
    const failed = await app.invoke('{no', { 'Spiff-Connector-Proxy-Api-Key': 'k' });
    expect(refused.headers['invocation-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(failed.body).error.invocation_id).toBe(failed.headers['invocation-id']);
    expect(failed.headers['invocation-id']).not.toBe(refused.headers['invocation-id']);
  });

  test('is served under percent-encoded and doubled-slash paths', async () => {
    await using app = await serveApp();
    for (const path of ['/v1/do/te%73t/Echo', '//v1/do/test/Echo', '/v1/do/test%2FEcho', '/v1/do/test/Echo?a=b']) {
      expect((await app.ask('POST', path, { headers: json, body: '{"a": 1}' })).status).toBe(200);
    }
  });

  test('ids are case sensitive', async () => {
    await using app = await serveApp();
    expect((await app.ask('POST', '/v1/do/test/echo', { headers: json, body: '{}' })).status).toBe(404);
  });
});

describe('a call after another', () => {
  const named = (name: string, connectors: string[]) => ({ name, keyHash: hashApiKey(name), connectors });
  const withKey = (key: string) => ({ 'Spiff-Connector-Proxy-Api-Key': key });

  test('of another key finds only what that key may use', async () => {
    await using app = await serveApp({ keys: [named('all', ['*']), named('other', ['other'])] });
    for (const [key, status] of [
      ['all', 200],
      ['other', 404],
      ['all', 200],
      ['wrong', 401],
    ] as const)
      expect((await app.invoke('{"a": 1}', withKey(key))).status).toBe(status);
  });

  test('of another path finds that path’s command', async () => {
    await using app = await serveApp();
    for (const [path, status] of [
      ['/v1/do/test/Echo', 200],
      ['/v1/do/test/Nope', 404],
      ['/v1/do/test/Echo', 200],
      ['/v1/commands', 405],
      ['/v1/do/broken/Any', 503],
    ] as const)
      expect((await app.ask('POST', path, { headers: json, body: '{"a": 1}' })).status).toBe(status);
  });

  test('finds no command of a catalog that was replaced', async () => {
    let catalog = testCatalog();
    await using app = await serveApp({ catalog: () => catalog });
    expect((await app.invoke('{"a": 1}')).status).toBe(200);
    catalog = createCatalog([]);
    expect((await app.invoke('{"a": 1}')).status).toBe(404);
  });
});

describe('checks in order', () => {
  test('an unknown command is 404 before the body and its type are looked at', async () => {
    await using app = await serveApp();
    const answer = await app.ask('POST', '/v1/do/test/Nope', { body: '{not json' });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body).error).toMatchObject({ error_code: 'command_not_found', invocation_id: expect.any(String) });
  });

  test('a connector with a broken manifest is unavailable, with its reason', async () => {
    await using app = await serveApp();
    const answer = await app.ask('POST', '/v1/do/broken/Any', { headers: json, body: '{}' });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body).error).toMatchObject({
      error_code: 'connector_unavailable',
      message: expect.stringContaining('faults'),
    });
  });

  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/vnd.api+json'])(
    '%s is taken',
    async (type) => {
      await using app = await serveApp();
      expect((await app.invoke('{}', { 'Content-Type': type })).status).toBe(200);
    },
  );

  test.each(['text/json', 'application/x-www-form-urlencoded', 'application/jsonx', 'text/a+json', ''])('%j is 415', async (type) => {
    await using app = await serveApp();
    expect((await app.invoke('{}', { 'Content-Type': type })).status).toBe(415);
    expect(app.invocations).toEqual([]);
  });

  test('a compressed body is 415', async () => {
    await using app = await serveApp();
    expect((await app.invoke('{}', { 'Content-Encoding': 'gzip' })).status).toBe(415);
  });

  test('while draining nothing new is taken', async () => {
    await using app = await serveApp({ readiness: () => ({ state: 'draining', controls: [] }) });
    const answer = await app.invoke('{}');
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(JSON.parse(answer.body).error.error_code).toBe('shutting_down');
  });

  test('over server.invocationsMax the answer is 429, and a free place is used again', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const invoke = async (invocation: Invocation): Promise<Outcome> => {
      await promise;
      return echo(invocation);
    };
    await using app = await serveApp({ invoke, server: { invocationsMax: 2 } });
    const first = [app.invoke('{}'), app.invoke('{}')];
    await vi.waitFor(() => expect(app.invocations).toHaveLength(2));
    // A while later, when only what is still under way counts.
    const later = performance.now() + companyMs;
    expect(company.turnBytes(later)).toBeLessThan(Number.POSITIVE_INFINITY);
    const answer = await app.invoke('{}');
    expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(JSON.parse(answer.body).error.error_code).toBe('queue_full');
    resolve();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    expect(company.turnBytes(later)).toBe(Number.POSITIVE_INFINITY);
    expect((await app.invoke('{}')).status).toBe(200);
  });

  test('is judged by the last value of a parameter that is given twice, and by none of the engine’s', async () => {
    await using app = await serveApp();
    const strict = (body: string) => app.ask('POST', '/v1/do/test/Strict', { headers: json, body });
    expect((await strict('{"spiff__text": 1, "text": 1, "text": "é", "count": "1", "count": 1}')).status).toBe(200);
    expect(await strict('{"spiff__text": "a", "text": "a", "text": 1}')).toMatchObject({
      status: 400,
      body: expect.stringContaining('parameter \\"text\\" is not of type string'),
    });
  });
});

describe('the body', () => {
  test.each([
    [
      'the engine’s members are cut',
      '{"a": 1, "spiff__task_id": "x", "b": {"spiff__n": 2}, "spiff__": 1, "spiff__anything": {"x": [1]}}',
      '{"a": 1, "b": {"spiff__n": 2}}',
    ],
    ['however their keys are written', '{"spiff\\u005f_task_data": {"x": 1}, "a": 1}', '{"a": 1}'],
    ['other prefixes stay', '{"spiff_x": 1, "SPIFF__x": 2}', '{"spiff_x": 1, "SPIFF__x": 2}'],
    ['the last of a repeated key wins', '{"a": "1", "b": 2, "a": "3"}', '{"a": "3", "b": 2}'],
    [
      'numbers, order and lone surrogates stay',
      '{"10": 1.0, "9": 1e400, "s": "\\ud800", "n": -0.0}',
      '{"10": 1.0, "9": 1e400, "s": "\\ud800", "n": -0.0}',
    ],
    ['line breaks become spaces', '{"a":\r\n1}\n', '{"a":  1}'],
    ['a byte order mark is dropped', '\ufeff{"a": 1}', '{"a": 1}'],
    ['null counts as {}', 'null', '{}'],
    ['false counts as {}', ' false ', '{}'],
    ['0 counts as {}', '0', '{}'],
    ['-0.0e9 counts as {}', '-0.0e9', '{}'],
    ['"" counts as {}', '""', '{}'],
    ['[] counts as {}', '[ ]', '{}'],
  ])('%s', async (_, body, input) => {
    await using app = await serveApp();
    const answer = await app.invoke(body);
    expect(answer.status).toBe(200);
    expect(utf8Of(app.invocations[0]?.input ?? '')).toBe(input);
    expect(bodyOf(answer)).toBe(input);
  });

  test('UTF-16 is read', async () => {
    await using app = await serveApp();
    expect(bodyOf(await app.invoke(Buffer.from('{"a": "☃"}', 'utf16le')))).toBe('{"a": "☃"}');
  });

  test.each([
    '',
    '{no',
    '{"a": NaN}',
    '{"a": Infinity}',
    '{"a": 1,}',
    '5',
    'true',
    '[1]',
    '"x"',
    '{"a": "\ud800"}x',
    `{"a": ${'['.repeat(65)}${']'.repeat(65)}}`,
  ])('%j is invalid_request', async (body) => {
    await using app = await serveApp();
    const answer = await app.invoke(body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body).error.error_code).toBe('invalid_request');
    expect(app.invocations).toEqual([]);
  });

  test('invalid UTF-8 is refused and not repeated', async () => {
    await using app = await serveApp();
    const answer = await app.invoke(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    expect(answer.status).toBe(400);
  });

  test('parameters are checked by the manifest, and the faults name them without their values', async () => {
    await using app = await serveApp();
    const ask = (body: string) => app.ask('POST', '/v1/do/test/Strict', { headers: json, body });
    expect((await ask('{"text": "x", "anything": {"deep": [1]}, "spiff__task_id": 5}')).status).toBe(200);
    const answer = await ask('{"count": 1.5, "tetx": "hunter2"}');
    expect(answer.status).toBe(400);
    const { error } = JSON.parse(answer.body);
    expect(error.error_code).toBe('invalid_parameters');
    expect(error.message).toMatch(/"text".*missing.*"tetx"/);
    expect((await ask('{"text": 5}')).body).toContain('\\"text\\"');
    expect((await ask('null')).status).toBe(400);
    expect(answer.body).not.toContain('hunter2');
    expect(app.invocations).toHaveLength(1);
  });

  test('engine data is handed over as text, and only what the context names', async () => {
    await using app = await serveApp();
    const engine =
      '"spiff__task_data": {"n": 1.0,\n "k": 12345678901234567890}, "spiff__process_instance_id": 7, "spiff__process_model_identifier": "a/b", "spiff__task_id": "t", "spiff__callback_url": "http://x/"';
    await app.ask('POST', '/v1/do/test/Context', { headers: json, body: `{${engine}}` });
    await app.ask('POST', '/v1/do/test/Context', {
      headers: json,
      body: '{"spiff__callback_url": null, "spiff__task_id": 1, "spiff__task_id": null}',
    });
    await app.invoke(`{${engine}}`);
    const texts = app.invocations.map(({ engineData }) =>
      Object.fromEntries(Object.entries(engineData).map(([name, text]) => [name, utf8Of(text)])),
    );
    expect(texts).toEqual([
      {
        taskData: '{"n": 1.0,  "k": 12345678901234567890}',
        processInstanceId: '7',
        processModelIdentifier: '"a/b"',
        taskId: '"t"',
        callbackUrl: '"http://x/"',
      },
      { taskId: 'null' },
      {},
    ]);
  });

  test('what is larger than the connector takes is 413', async () => {
    await using app = await serveApp();
    const answer = await app.invoke(`{"a": "${'x'.repeat(600_000)}"}`);
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body).error.message).toContain('limits.message');
    // The engine's data is not sent to this command and does not count.
    expect((await app.invoke(`{"spiff__task_data": "${'x'.repeat(600_000)}"}`)).status).toBe(200);
  });

  test('over server.bodyMax it is 413, announced or not, and the client sees the answer', async () => {
    await using app = await serveApp();
    const body = `{"a": "${'x'.repeat(3_000_000)}"}`;
    expect((await app.invoke(body)).status).toBe(413);
    const chunked = await app.ask('POST', '/v1/do/test/Echo', {
      headers: { ...json, 'Transfer-Encoding': 'chunked' },
      body,
    });
    expect(chunked.status).toBe(413);
    expect(JSON.parse(chunked.body).error.error_code).toBe('payload_too_large');
    expect(app.invocations).toEqual([]);
  });

  test('a large body in many pieces arrives whole', async () => {
    await using app = await serveApp();
    const body = `{"a": "${'x☃'.repeat(100_000)}"}`;
    expect(bodyOf(await app.invoke(body))).toBe(body);
    expect(bodyOf(await app.ask('POST', '/v1/do/test/Echo', { headers: { ...json, 'Transfer-Encoding': 'chunked' }, body }))).toBe(body);
  });

  test.each([
    ['{"a": 1}', 200],
    ['{"a": ', 400],
  ])('%s that comes with its headers is answered, and the connection goes on', async (body, status) => {
    await using app = await serveApp();
    const head = 'POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const request = `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
    const last = `${head}Connection: close\r\nContent-Length: 2\r\n\r\n{}`;
    // Two in one packet, and one behind them.
    const answers = await sendRaw(app.port, request + request, last);
    const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => Number(code));
    expect(statuses).toEqual([status, status, 200]);
  });

  test('that does not arrive in time is 408, and the connection is ended', async () => {
    await using app = await serveApp({ server: { bodyTimeoutMs: 100 } });
    const answer = await sendRaw(
      app.port,
      'POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a"',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('request_timeout');
  });

  test('that waits to be asked for is asked for only when it is wanted', async () => {
    await using app = await serveApp();
    const headers = `Host: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\n`;
    const wanted = await sendRaw(app.port, `POST /v1/do/test/Echo HTTP/1.1\r\n${headers}Content-Length: 2\r\n\r\n`, '{}');
    expect(wanted).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    const refused = await sendRaw(app.port, `POST /v1/do/test/Echo HTTP/1.1\r\n${headers}Content-Length: 2000000\r\n\r\n`);
    expect(refused).toMatch(/^HTTP\/1\.1 413 /);
  });
});

describe('the answer', () => {
  test('a large reply arrives whole', async () => {
    const text = JSON.stringify({ command_response_version: 2, command_response: { body: 'x☃'.repeat(200_000) }, error: null });
    await using app = await serveApp({ invoke: spiff(text) });
    const answer = await app.invoke('{}');
    expect(answer.body).toBe(text);
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(text)));
  });

  test('a result of version 1 decides status and type', async () => {
    await using app = await serveApp({ invoke: spiff('{"response": "naïve", "status": 201, "mimetype": "text/plain"}') });
    expect(await app.invoke('{}')).toMatchObject({ status: 201, body: 'naïve', headers: { 'content-type': 'text/plain; charset=utf-8' } });
  });

  test.each([
    ['204', 204, ''],
    ['999', 999, 'x'],
  ])('status %s of version 1 goes out', async (given, status, body) => {
    await using app = await serveApp({ invoke: spiff(`{"response": "x", "status": ${given}, "mimetype": "text/plain"}`) });
    expect(await app.invoke('{}')).toMatchObject({ status, body });
  });

  test('a thrown error is internal_error, told without its message, and logged with it', async () => {
    const invoke = () => {
      throw new Error('secret detail');
    };
    await using app = await serveApp({ invoke });
    const answer = await app.invoke('{}');
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.body).error.error_code).toBe('internal_error');
    expect(answer.body).not.toContain('secret detail');
    expect(app.lines[0]).toMatchObject({ level: 'error', code: 'internal_error', cause: expect.stringContaining('secret detail') });
  });
});

describe('a client that goes away', () => {
  test('aborts its invocation, and the next one on another connection is not touched', async () => {
    const signals: Invocation['signal'][] = [];
    const invoke = async ({ signal }: Invocation): Promise<Outcome> => {
      signals.push(signal);
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener('abort', { handleEvent: () => resolve() });
      await promise;
      const error = new ProxyError('cancelled', 'The caller went away.');
      return { type: 'failure', failure: { origin: 'proxy', error, logs: [] }, phases };
    };
    await using app = await serveApp({ invoke });
    const client = connect(app.port, '127.0.0.1');
    client.write('POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
    await vi.waitFor(() => expect(signals).toHaveLength(1));
    client.destroy();
    await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true));
    await vi.waitFor(() => expect(app.lines).toHaveLength(1));
    expect(app.lines[0]).toMatchObject({ code: 'cancelled', outcome: 'failure' });
  });

  test('while its body is read leaves nothing running', async () => {
    await using app = await serveApp({ server: { invocationsMax: 1 } });
    const client = connect(app.port, '127.0.0.1');
    client.write('POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}');
    await sleep(50);
    client.destroy();
    await vi.waitFor(() => expect(app.lines[0]).toMatchObject({ code: 'cancelled' }));
    expect((await app.invoke('{}')).status).toBe(200);
  });

  test('a connection that is kept has one signal that stays quiet between invocations', async () => {
    await using app = await serveApp();
    const request = 'POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';
    const client = connect(app.port, '127.0.0.1');
    client.write(request);
    await vi.waitFor(() => expect(app.lines).toHaveLength(1));
    client.write(request);
    await vi.waitFor(() => expect(app.lines).toHaveLength(2));
    client.destroy();
    await sleep(50);
    expect(app.invocations.map(({ signal }) => signal.aborted)).toEqual([false, false]);
  });
});

test.each([
  ['a text', textBytesMax],
  ['a text', textBytesMax + 1],
  ['bytes', textBytesMax + '"spiff__task_id":1,'.length + 1],
])('a body is held as %s when it has %d bytes, of which some are the engine’s, and is the same', async (held, bytes) => {
  await using app = await serveApp();
  const body = (filling: string) => `{"a":"é${filling}","spiff__task_id":1,"b":2}`;
  const whole = body('x'.repeat(bytes - Buffer.byteLength(body(''))));
  expect((await app.invoke(whole)).status).toBe(200);
  const input = app.invocations[0]!.input;
  expect(utf8Of(input)).toBe(whole.replace('"spiff__task_id":1,', ''));
  expect(typeof input === 'string' ? 'a text' : 'bytes').toBe(held);
});

describe('the log', () => {
  test('has one line an invocation, with sizes and phases and no values', async () => {
    await using app = await serveApp({ keys: [{ name: 'arena', keyHash: hashApiKey('k'), connectors: ['*'] }] });
    const answer = await app.invoke('{"password": "hunter2"}', { 'Spiff-Connector-Proxy-Api-Key': 'k' });
    expect(app.lines).toEqual([
      {
        level: 'info',
        time: expect.any(String),
        message: 'invocation',
        invocation: answer.headers['invocation-id'],
        connector: 'test',
        command: 'Echo',
        key: 'arena',
        outcome: 'success',
        code: 'ok',
        status: 200,
        queueMs: 0,
        startMs: 0,
        runMs: 1,
        totalMs: expect.any(Number),
        requestBytes: 23,
        replyBytes: Buffer.byteLength(answer.body),
      },
    ]);
    expect(JSON.stringify(app.lines)).not.toContain('hunter2');
  });

  test('a connector’s message is not logged, its code is', async () => {
    const failure = { origin: 'connector', errorCode: 'Bad', message: 'hunter2', logs: [] } as const;
    await using app = await serveApp({ invoke: () => ({ type: 'failure', failure, phases }) });
    await app.invoke('{}');
    expect(app.lines[0]).toMatchObject({ level: 'warn', code: 'Bad', outcome: 'failure', status: 500 });
    expect(JSON.stringify(app.lines)).not.toContain('hunter2');
  });
});

/** Sends bytes as they are and gives all that comes back until the server ends the connection; `more` follows the first answer. */
async function sendRaw(port: number, bytes: string, more?: string): Promise<string> {
  const client = connect(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = '';
  let rest = more;
  client.on('data', (chunk) => {
    answer += chunk.toString();
    if (rest !== undefined) client.write(rest);
    rest = undefined;
  });
  client.on('error', () => {});
  client.on('close', () => resolve(answer));
  client.write(bytes);
  return promise;
}
