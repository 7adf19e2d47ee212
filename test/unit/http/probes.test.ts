import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { hashApiKey } from '../../../src/http/api-keys.ts';
import { serveApp } from './served-app.ts';

const keys = [{ name: 'engine', keyHash: hashApiKey('s3cret'), connectors: ['*'] }];
const withKey = { headers: { 'Spiff-Connector-Proxy-Api-Key': 's3cret' } };

describe('probes, which are answered without the router', () => {
  test.each(['/', '/liveness', '/healthz', '/readyz'])('%s is answered as the router does it', async (path) => {
    await using app = await serveApp({ keys });
    for (const options of [{}, withKey]) {
      const [direct, routed] = [await app.ask('GET', path, options), await app.ask('GET', `${path}?`, options)];
      expect({ ...direct, headers: withoutDate(direct.headers) }).toEqual({ ...routed, headers: withoutDate(routed.headers) });
    }
  });

  test('other methods are the router’s', async () => {
    await using app = await serveApp();
    expect(await app.ask('HEAD', '/readyz')).toMatchObject({ status: 200, body: '' });
    expect(await app.ask('OPTIONS', '/readyz')).toMatchObject({ status: 200, headers: { allow: 'GET, HEAD, OPTIONS' } });
    expect(await app.ask('POST', '/readyz', { body: '{}' })).toMatchObject({ status: 405 });
  });

  test('one by HTTP/1.0 without a Host, as load balancers send it, is answered', async () => {
    await using app = await serveApp();
    const socket = connect(app.port, '127.0.0.1');
    socket.end('GET /healthz HTTP/1.0\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n\{"ok": true\}$/s);
  });

  test('one that fails is told as the router tells it, and ends nothing', async () => {
    const readiness = () => {
      throw new Error('of this test');
    };
    await using app = await serveApp({ readiness });
    const [direct, routed] = [await app.ask('GET', '/readyz'), await app.ask('GET', '/readyz?')];
    expect(direct).toMatchObject({ status: routed.status, body: routed.body });
    expect(JSON.parse(direct.body)).toMatchObject({ error: { error_code: 'internal_error' } });
    expect(app.lines.map(({ message, code }) => [message, code])).toEqual(Array(2).fill(['a request failed', 'internal_error']));
    expect(await app.ask('GET', '/healthz')).toMatchObject({ status: 200 });
  });

  test('a start that waits for them does without Hono, and without Node’s client of fetch', async () => {
    const served = new URL('../../../src/cli/compose.ts', import.meta.url).href;
    const script = `
      import { registerHooks } from 'node:module';
      const urls = [];
      registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
      await import(${JSON.stringify(served)});
      console.log(JSON.stringify([...process.moduleLoadList, ...urls]));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    const loaded = JSON.parse(stdout) as string[];
    expect(loaded.some((name) => name.endsWith('_http_server'))).toBe(true);
    expect(loaded).toContain(served);
    expect(loaded.filter((name) => /undici|http2|hono/.test(name))).toEqual([]);
  });
});

function withoutDate(headers: Readonly<Record<string, unknown>>): object {
  const { date: _, ...rest } = headers;
  return rest;
}
