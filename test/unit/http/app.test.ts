import { describe, expect, test } from 'vitest';
import { hashApiKey } from '../../../src/http/api-keys.ts';
import { serveApp } from './served-app.ts';

const keys = [
  { name: 'arena', keyHash: hashApiKey('s3cret'), connectors: ['*'] },
  { name: 'limited', keyHash: hashApiKey('only-other'), connectors: ['other'] },
];
const withKey = (key: string) => ({ headers: { 'Spiff-Connector-Proxy-Api-Key': key } });

describe('open routes', () => {
  test.each(['/', '/liveness', '/v1/liveness', '/healthz', '/readyz', '/docs', '/docs/page.js', '/docs/page.css'])(
    '%s needs no key',
    async (path) => {
      await using app = await serveApp({ keys });
      expect((await app.ask('GET', path)).status).toBe(200);
      const head = await app.ask('HEAD', path);
      expect(head).toMatchObject({ status: 200, body: '' });
    },
  );

  test('liveness says ok as the reference does', async () => {
    await using app = await serveApp();
    const answer = await app.ask('GET', '/v1/liveness');
    expect(answer).toMatchObject({ body: '{"ok": true}', headers: { 'content-type': 'application/json' } });
  });

  test('readyz tells no connector without the key', async () => {
    await using app = await serveApp({ keys });
    expect(JSON.parse((await app.ask('GET', '/readyz')).body)).toEqual({ ready: true, state: 'ready' });
    const detail = JSON.parse((await app.ask('GET', '/readyz', withKey('only-other'))).body);
    expect(detail.connectors).toEqual([{ name: 'other', state: 'available' }]);
    const all = JSON.parse((await app.ask('GET', '/readyz', withKey('s3cret'))).body);
    expect(all.connectors.find(({ name }: { name: string }) => name === 'broken')).toMatchObject({
      state: 'unavailable',
      reason: { code: 'connector_unavailable', message: expect.stringContaining('faults') },
    });
  });

  test.each(['starting', 'draining'] as const)('readyz is 503 while %s', async (state) => {
    await using app = await serveApp({ readiness: () => ({ state, controls: [] }) });
    expect(await app.ask('GET', '/readyz')).toMatchObject({ status: 503 });
    expect(await app.ask('GET', '/healthz')).toMatchObject({ status: 200 });
  });
});

describe('guarded routes', () => {
  const guarded = [
    '/v1/commands',
    '/v1/auths',
    '/v1/connectors',
    '/metrics',
    '/openapi.json',
    '/v1/do/test/Echo',
    '/v1/do/',
    '//v1/commands',
    '/v1/comm%61nds',
  ];

  test.each(guarded)('%s is 401 without the key, whatever the method, but for OPTIONS', async (path) => {
    await using app = await serveApp({ keys });
    for (const method of ['GET', 'PUT', 'POST']) {
      expect(await app.ask(method, path)).toMatchObject({
        status: 401,
        body: '{"error":"Unauthorized"}\n',
        headers: { 'content-type': 'application/json' },
      });
    }
    expect((await app.ask('GET', path, { headers: { Authorization: 'Bearer s3cret' } })).status).toBe(401);
    expect((await app.ask('GET', path, withKey('café'))).status).toBe(401);
    expect((await app.ask('OPTIONS', path)).status).not.toBe(401);
    expect((await app.ask('GET', path, withKey('s3cret'))).status).not.toBe(401);
  });

  test('a key sees its connectors only, in every list', async () => {
    await using app = await serveApp({ keys });
    for (const path of ['/v1/commands', '/v1/connectors', '/openapi.json', '/metrics']) {
      const { body } = await app.ask('GET', path, withKey('only-other'));
      expect(body).not.toMatch(/\btest\b|broken/);
      if (path !== '/metrics') expect(body).toContain('other');
      expect((await app.ask('GET', path, withKey('s3cret'))).body).toContain('test');
    }
  });

  test('a connector that the key may not use is not told apart from one that does not exist', async () => {
    await using app = await serveApp({ keys });
    const ask = (path: string) =>
      app.ask('POST', path, { headers: { ...withKey('only-other').headers, 'Content-Type': 'application/json' }, body: '{}' });
    const denied = await ask('/v1/do/test/Echo');
    const unknown = await ask('/v1/do/nope/Nope');
    const anonymous = (body: string) => body.replace(/"invocation_id":"[^"]*"/, '');
    expect(denied.status).toBe(404);
    expect(anonymous(denied.body)).toBe(anonymous(unknown.body));
    expect(app.invocations).toEqual([]);
  });
});

describe('routing', () => {
  test.each([
    ['GET', '/nope'],
    ['GET', '/v1/commands/'],
    ['POST', '/v1/nope'],
    ['POST', '/v1/do/test/Echo/'],
    ['POST', '/v1/do/test/Echo/x'],
    ['GET', '/v1/do/'],
    ['GET', '/nope//nope'],
    ['GET', '/v1/auth/x/Y?redirect_url=http://x/'],
  ])('%s %s is 404 in JSON', async (method, path) => {
    await using app = await serveApp();
    const answer = await app.ask(method, path, { headers: { 'Content-Type': 'application/json' } });
    expect(answer).toMatchObject({ status: 404, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.body)).toEqual({ command_response: {}, error: { message: expect.any(String), error_code: 'not_found' } });
  });

  test.each([
    ['GET', '/v1/do/test/Echo', 'POST, OPTIONS'],
    ['HEAD', '/v1/do/test/Echo', 'POST, OPTIONS'],
    ['DELETE', '/v1/do/nope/Nope', 'POST, OPTIONS'],
    ['POST', '/v1/commands', 'GET, HEAD, OPTIONS'],
    ['PUT', '/', 'GET, HEAD, OPTIONS'],
  ])('%s %s is 405 and says what is allowed', async (method, path, allow) => {
    await using app = await serveApp();
    expect(await app.ask(method, path)).toMatchObject({ status: 405, headers: { allow } });
    expect(await app.ask('OPTIONS', path)).toMatchObject({ status: 200, headers: { allow }, body: '' });
    expect(app.invocations).toEqual([]);
  });

  test.each([
    ['GET', '/v1//commands', '/v1/commands'],
    ['GET', '//v1///commands?a=b', '/v1/commands?a=b'],
    ['POST', '/v1/do//test/Echo', '/v1/do/test/Echo'],
    ['POST', '/v1/do/a%3Fb//%5Cc', '/v1/do/a%3Fb/%5Cc'],
  ])('%s %s is sent on to %s', async (method, path, location) => {
    await using app = await serveApp();
    expect(await app.ask(method, path)).toMatchObject({ status: 308, headers: { location } });
    expect(app.invocations).toEqual([]);
  });

  test('a request without a Host is told so', async () => {
    await using app = await serveApp();
    expect(await app.ask('GET', '/v1/commands', { headers: { Host: 'a b' } })).toMatchObject({ status: 400 });
  });
});

describe('lists', () => {
  test('commands are Spiff’s form of the manifests, and leave out what is unavailable', async () => {
    await using app = await serveApp();
    const answer = await app.ask('GET', '/v1/commands');
    expect(answer.headers['content-type']).toBe('application/json');
    const commands = JSON.parse(answer.body);
    expect(commands.map(({ id }: { id: string }) => id)).toEqual(
      ['test', 'other'].flatMap((name) => [`${name}/Echo`, `${name}/Strict`, `${name}/Context`]),
    );
    expect(commands[1]).toEqual({
      id: 'test/Strict',
      parameters: [
        { id: 'text', type: 'str', required: true },
        { id: 'count', type: 'int', required: false },
        { id: 'anything', type: 'any', required: false },
      ],
    });
    expect(await app.ask('GET', '/v1/auths')).toMatchObject({ status: 200, body: '[]' });
  });

  test('connectors tell grants and pools, and no value or source of a secret', async () => {
    await using app = await serveApp();
    const { body } = await app.ask('GET', '/v1/connectors');
    expect(body).not.toContain('hunter2');
    const { connectors } = JSON.parse(body);
    expect(connectors.map(({ name, state }: { name: string; state: string }) => [name, state])).toEqual([
      ['test', 'available'],
      ['other', 'available'],
      ['broken', 'unavailable'],
    ]);
    expect(connectors[0]).toMatchObject({ grants: { secrets: ['TOKEN'] }, pool: { queueLength: 3, running: 4, restarts: 5 } });
  });

  test('openapi has one operation for every command, with its schema', async () => {
    await using app = await serveApp();
    const document = JSON.parse((await app.ask('GET', '/openapi.json')).body);
    expect(document.openapi).toBe('3.1.0');
    const { schema } = document.paths['/v1/do/test/Strict'].post.requestBody.content['application/json'];
    expect(schema).toMatchObject({ required: ['text'], properties: { text: { type: 'string' } }, additionalProperties: false });
    expect(schema.patternProperties).toEqual({ '^spiff__': {} });
    expect(document.paths['/v1/do/test/Echo'].post.requestBody.content['application/json'].schema.additionalProperties).toBe(true);
  });

  test('a list follows the catalog when it is replaced', async () => {
    const { testCatalog } = await import('./served-app.ts');
    const { createCatalog } = await import('../../../src/catalog/catalog.ts');
    let catalog = testCatalog();
    await using app = await serveApp({ catalog: () => catalog });
    expect((await app.ask('GET', '/v1/commands')).body).toContain('test/Echo');
    expect((await app.invoke('{}')).status).toBe(200);
    catalog = createCatalog([]);
    expect((await app.ask('GET', '/v1/commands')).body).toBe('[]');
    expect((await app.invoke('{}')).status).toBe(404);
  });
});

describe('metrics', () => {
  test('count invocations by code and show the pools', async () => {
    await using app = await serveApp();
    await app.invoke('{}');
    await app.invoke('{}');
    await app.invoke('{no');
    await app.ask('POST', '/v1/do/nope/Nope', { headers: { 'Content-Type': 'application/json' }, body: '{}' });
    const { body, headers } = await app.ask('GET', '/metrics');
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(body).toContain('bulkhead_invocations_total{connector="test",command="Echo",code="ok"} 2\n');
    expect(body).toContain('bulkhead_invocations_total{connector="test",command="Echo",code="invalid_request"} 1\n');
    expect(body).toContain('bulkhead_requests_refused_total{code="command_not_found"} 1\n');
    expect(body).toContain('bulkhead_invocation_duration_seconds_count{connector="test",phase="run"} 2\n');
    expect(body).toContain('bulkhead_workers{connector="test",state="busy"} 2\n');
    expect(body).toContain('bulkhead_queue_depth{connector="test"} 3\n');
    expect(body).toContain('bulkhead_worker_restarts_total{connector="test"} 5\n');
    expect(body).toContain('# TYPE bulkhead_worker_restarts_total counter\n');
  });

  test('a connector that makes up codes cannot grow them without end', async () => {
    let count = 0;
    const invoke = () => {
      count += 1;
      const failure = { origin: 'connector', errorCode: `Code${count}`, message: 'm', logs: [] } as const;
      return { type: 'failure', failure, phases: { queueMs: 0, startMs: 0, runMs: 0, replyBytes: 0 } } as const;
    };
    await using app = await serveApp({ invoke });
    for (let call = 0; call < 70; call += 1) await app.invoke('{}');
    const { body } = await app.ask('GET', '/metrics');
    expect(body.match(/bulkhead_invocations_total\{/g)).toHaveLength(65);
    expect(body).toContain('code="other"} 6\n');
  });

  test('are not there when the config says so', async () => {
    await using app = await serveApp({ server: { metrics: false } });
    expect((await app.ask('GET', '/metrics')).status).toBe(404);
  });
});

describe('CORS', () => {
  const origin = 'https://arena.example.com';
  const cors = { corsOrigins: ['http://localhost:7001', origin] };

  test('is off without configured origins', async () => {
    await using app = await serveApp();
    const { headers } = await app.ask('GET', '/v1/commands', { headers: { Origin: origin } });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });

  test('an allowed origin is echoed, also on a 401, on errors and on answers of commands', async () => {
    await using app = await serveApp({ keys, server: cors });
    const expected = { 'access-control-allow-origin': origin, vary: 'Origin' };
    const key = withKey('s3cret').headers;
    expect((await app.ask('GET', '/v1/commands', { headers: { Origin: origin } })).headers).toMatchObject(expected);
    expect((await app.ask('GET', '/v1/commands', { headers: { Origin: origin, ...key } })).headers).toMatchObject(expected);
    expect((await app.ask('GET', '/v1/nope', { headers: { Origin: origin } })).headers).toMatchObject(expected);
    expect((await app.invoke('{}', { Origin: origin, ...key })).headers).toMatchObject(expected);
    expect((await app.invoke('{}', { Origin: origin })).headers).toMatchObject(expected);
  });

  test('another origin is answered without headers, no origin with the first', async () => {
    await using app = await serveApp({ server: cors });
    expect((await app.invoke('{}', { Origin: 'https://evil.example' })).headers['access-control-allow-origin']).toBeUndefined();
    expect((await app.invoke('{}')).headers['access-control-allow-origin']).toBe('http://localhost:7001');
    expect((await app.ask('GET', '/liveness', { headers: { Origin: origin } })).headers['access-control-allow-origin']).toBeUndefined();
  });

  test('a preflight is told what may be sent', async () => {
    await using app = await serveApp({ keys, server: cors });
    const headers = { Origin: origin, 'Access-Control-Request-Method': 'POST' };
    expect(await app.ask('OPTIONS', '/v1/do/test/Echo', { headers })).toMatchObject({
      status: 200,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-headers': 'Content-Type, Spiff-Connector-Proxy-Api-Key',
        'access-control-allow-methods': 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
      },
    });
  });
});
