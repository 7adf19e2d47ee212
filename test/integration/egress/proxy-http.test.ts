import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { echo, eventually, type Harness, listen, readAll, readUntil, startHarness, startServer } from './harness.ts';

interface SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function startHttp(answer: RequestListener = (_request, response) => response.end('ok')) {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
      answer(request, response);
    });
  });
  const port = await listen(server);
  return {
    port,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

const rulesFor = (port: number): string[] => [`*.ok.example:${port}`, `127.0.0.1:${port}`];
const names = { 'a.ok.example': ['127.0.0.1'], 'b.ok.example': ['127.0.0.1'], 'evil.example': ['127.0.0.1'] };

async function ask(harness: Harness, text: string): Promise<string> {
  const client = await harness.dialProxy();
  client.write(text);
  return (await readAll(client)).text;
}

describe('the HTTP front, forwarding', () => {
  it('sends the request on in origin form, with the Host that was decided on', async () => {
    await using server = await startHttp((_request, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.setHeader('keep-alive', 'timeout=9');
      response.statusCode = 201;
      response.end('made');
    });
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const head = [
      `POST http://A.ok.example:${server.port}/path?q=1 HTTP/1.1`,
      'Host: evil.example',
      'Proxy-Authorization: Basic c2VjcmV0',
      'Proxy-Connection: keep-alive',
      'Connection: close, X-Private, Content-Length',
      'X-Private: 1',
      'X-Kept: 2',
      'Upgrade: websocket',
      'TE: trailers',
      'Content-Length: 4',
    ];
    const answer = await ask(harness, `${head.join('\r\n')}\r\n\r\nbody`);
    expect(answer).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    expect(answer).toContain('set-cookie: a=1\r\nset-cookie: b=2\r\n');
    expect(answer).not.toContain('timeout=9');
    expect(answer).toContain('made');
    const [request] = server.seen;
    expect(request).toMatchObject({ method: 'POST', url: '/path?q=1', body: 'body' });
    expect(request?.headers).toEqual({ host: `a.ok.example:${server.port}`, 'x-kept': '2', 'content-length': '4', connection: 'close' });
    await eventually(async () => {
      const [decision, end] = await harness.records();
      expect(decision).toMatchObject({ via: 'http', host: 'a.ok.example', verdict: 'allow' });
      expect(end).toMatchObject({ end: 'closed', address: '127.0.0.1' });
    });
  });

  it('passes a chunked body and expectation, and an empty path with a query', async () => {
    await using server = await startHttp();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const client = await harness.dialProxy();
    client.write(
      `PUT http://a.ok.example:${server.port}?q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
    );
    await readUntil(client, '100 Continue');
    client.write('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
    expect((await readAll(client)).text).toContain('200 OK');
    expect(server.seen).toMatchObject([{ url: '/?q', body: 'abcde' }]);
  });

  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PROPFIND'])('keeps a chunked body of %s a body', async (method) => {
    await using server = await startHttp();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const body = 'GET /smuggled HTTP/1.1\r\nHost: other.tenant\r\n\r\n';
    const head = `${method} http://a.ok.example:${server.port}/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nConnection: close`;
    await ask(harness, `${head}\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    expect(server.seen).toMatchObject([{ method, url: '/a', body, headers: { 'transfer-encoding': 'chunked' } }]);
  });

  it('adds no body, and no framing of one, to a request without', async () => {
    await using server = await startHttp();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    await ask(harness, `DELETE http://a.ok.example:${server.port}/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(server.seen.map(({ headers }) => headers)).toEqual([{ host: `a.ok.example:${server.port}`, connection: 'close' }]);
  });

  it('refuses a transfer coding that would have to be undone', async () => {
    await using server = await startHttp();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const head = `POST http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close`;
    expect(await ask(harness, `${head}\r\n\r\n1\r\nx\r\n0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 .*transfer coding/s);
    expect(server.seen).toEqual([]);
  });

  it('follows no redirect', async () => {
    await using server = await startHttp((_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end());
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const answer = await ask(harness, `GET http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 302 /);
    expect(harness.lookups).toEqual(['a.ok.example']);
  });

  it('judges each pipelined request alone', async () => {
    await using server = await startHttp();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const get = (host: string): string => `GET http://${host}:${server.port}/ HTTP/1.1\r\nHost: a.ok.example\r\n\r\n`;
    const answer = await ask(harness, get('a.ok.example') + get('b.ok.example') + get('evil.example') + get('a.ok.example'));
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 403']);
    expect(answer).toContain(`evil.example:${server.port} is not in the rules of connector x; add it under connectors.x.network\n`);
    expect(harness.lookups).not.toContain('evil.example');
    expect(server.seen.map(({ headers }) => headers.host)).not.toContain(`evil.example:${server.port}`);
    expect(harness.denials).toMatchObject([{ host: 'evil.example', port: server.port }]);
  });

  it.each([
    ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked'],
    ['two lengths', 'Content-Length: 4\r\nContent-Length: 5'],
    ['an unknown coding', 'Transfer-Encoding: xchunked'],
    ['chunks that are not last', 'Transfer-Encoding: chunked, identity'],
    ['a folded header', 'X-A: b\r\n Transfer-Encoding: chunked'],
    ['a blank before the colon', 'Transfer-Encoding : chunked'],
    ['a bare line feed', 'X-A: b\nTransfer-Encoding: chunked'],
  ])('refuses a request that can be read in two ways: %s', async (_what, headers) => {
    await using server = await startHttp();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const smuggled = `GET http://evil.example:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
    const answer = await ask(
      harness,
      `POST http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n0\r\n\r\n${smuggled}`,
    );
    expect(answer).toMatch(/400 Bad Request/);
    expect(harness.denials).not.toEqual([]);
    expect(harness.lookups).not.toContain('evil.example');
  });

  it.each([
    ['origin form', 'GET / HTTP/1.1\r\nHost: a.ok.example\r\n\r\n'],
    ['asterisk form', 'OPTIONS * HTTP/1.1\r\nHost: a.ok.example\r\n\r\n'],
    ['https in absolute form', 'GET https://a.ok.example/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a user', 'GET http://u@a.ok.example/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a fragment', 'GET http://a.ok.example/#x HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a decimal address', 'GET http://2130706433/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no host header', 'GET http://a.ok.example/ HTTP/1.1\r\n\r\n'],
    ['something else', 'HELLO\r\n\r\n'],
    ['TLS to the proxy', '\x16\x03\x01\x00\x05hello'],
  ])('answers 400 to %s', async (_what, text) => {
    await using harness = await startHarness({ rules: ['*.ok.example:80,443'] });
    expect(await ask(harness, text)).toMatch(/^HTTP\/1\.1 400 /);
    expect(harness.lookups).toEqual([]);
  });

  it.each([
    '169.254.169.254',
    '127.0.0.1',
    '[::1]',
    '[::ffff:a9fe:a9fe]',
    'evil.example',
    'ok.example',
    'evil-ok.example',
    'a.ok.example.evil.org',
  ])('answers 403 to %s and names the repair', async (host) => {
    await using harness = await startHarness({ rules: ['*.ok.example:80'] });
    const answer = await ask(harness, `GET http://${host}/latest/meta-data HTTP/1.1\r\nHost: a.ok.example\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toMatch(/^proxy-status: bulkhead; error=http_request_denied\r$/m);
    expect(answer).toContain('is not in the rules of connector x; add it under connectors.x.network');
    expect(harness.denials).toHaveLength(1);
    expect(await harness.records()).toMatchObject([{ verdict: 'deny', via: 'http' }]);
  });

  it('answers 502 when an allowed host cannot be reached, or closes without an answer', async () => {
    await using server = await startServer((socket) => socket.once('data', () => socket.end()));
    await using harness = await startHarness({ rules: [`*.ok.example:${server.port}`, `127.0.0.1:${server.port}`], names });
    const get = (host: string): string => `GET http://${host}:${server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await ask(harness, get('a.ok.example'))).toMatch(/^HTTP\/1\.1 502 .*closed the connection without an answer/s);
    expect(await ask(harness, get('nowhere.ok.example'))).toMatch(/^HTTP\/1\.1 502 .*cannot be resolved/s);
    expect(harness.denials).toEqual([]);
  });

  it.each([
    ['a status of 000', '000 X', /^HTTP\/1\.1 502 .*answered with a head that cannot be forwarded/s],
    ['a status of 099', '099 X', /^HTTP\/1\.1 502 .*answered with a head that cannot be forwarded/s],
    ['a control byte in the reason phrase', '200 O\x01K', /^HTTP\/1\.1 200 OK\r\n/],
    ['a delete byte in the reason phrase', '404 O\x7fK', /^HTTP\/1\.1 404 Not Found\r\n/],
    ['a phrase of its own', '200 Fine', /^HTTP\/1\.1 200 OK\r\n/],
    ['a status beyond those of HTTP', '999 X', /^HTTP\/1\.1 999 unknown\r\n/],
    ['a change of protocol', '101 X\r\nConnection: Upgrade\r\nUpgrade: x', /^HTTP\/1\.1 502 .*answered with a change of protocol/s],
    ['a control byte in a header', '200 OK\r\nX-A: a\x01b', /^HTTP\/1\.1 502 /],
  ])('goes on when a host answers with %s', async (_what, start, expected) => {
    await using server = await startServer((socket) =>
      socket.once('data', () => socket.end(Buffer.from(`HTTP/1.1 ${start}\r\nContent-Length: 0\r\n\r\n`, 'latin1'))),
    );
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const get = `GET http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await ask(harness, get)).toMatch(expected);
    expect(await ask(harness, get)).toMatch(expected);
    await eventually(() => expect(server.sockets.size).toBe(0));
  });

  it('ends the answer early when the host dies in the middle of it', async () => {
    await using server = await startServer((socket) =>
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => setTimeout(() => socket.destroy(), 20)),
      ),
    );
    await using harness = await startHarness({ rules: [`*.ok.example:${server.port}`, `127.0.0.1:${server.port}`], names });
    const client = await harness.dialProxy();
    client.write(`GET http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect((await readAll(client)).text).toMatch(/half$/);
  });

  it('waits for a slow answer longer than for a request head, and for the next request no longer than that', async () => {
    await using server = await startHttp((_request, response) => void setTimeout(() => response.end('late'), 500));
    await using harness = await startHarness({ rules: rulesFor(server.port), names, limits: { headTimeoutMs: 150 } });
    const answer = await ask(harness, `GET http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(answer).toMatch(/late/);
  });

  it('ends the outward connection when the client goes away', async () => {
    await using server = await startServer((socket) => socket.resume().on('end', () => socket.end()));
    await using harness = await startHarness({ rules: [`*.ok.example:${server.port}`, `127.0.0.1:${server.port}`], names });
    const client = await harness.dialProxy();
    client.write(`GET http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    await eventually(() => expect(server.sockets.size).toBe(1));
    client.destroy();
    await eventually(() => expect(server.sockets.size).toBe(0));
  });

  it('bounds the requests that one connection pipelines', async () => {
    await using server = await startServer((socket) => socket.resume().on('end', () => socket.end()));
    await using harness = await startHarness({ rules: [`*.ok.example:${server.port}`, `127.0.0.1:${server.port}`], names });
    const client = await harness.dialProxy();
    client.write(`GET http://a.ok.example:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(100));
    await readAll(client);
    expect(server.count()).toBeLessThanOrEqual(16);
    await eventually(() => expect(server.sockets.size).toBe(0));
  });

  it('refuses a request head of more than 16 KB', async () => {
    await using harness = await startHarness({ rules: ['*.ok.example:80'] });
    expect(await ask(harness, `GET http://a.ok.example/ HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 400 /,
    );
  });
});

describe('the HTTP front, tunnelling', () => {
  const connectTo = async (harness: Harness, authority: string): Promise<{ client: Socket; head: string }> => {
    const client = await harness.dialProxy();
    client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    return { client, head: await readUntil(client, '\r\n\r\n') };
  };

  it('carries bytes to an allowed host under a wildcard', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const { client, head } = await connectTo(harness, `a.ok.example:${server.port}`);
    expect(head).toBe('HTTP/1.1 200 Connection Established\r\n\r\n');
    client.end('ping');
    expect(await readAll(client)).toEqual({ text: 'ping', reset: false });
    await eventually(async () => expect((await harness.records())[1]).toMatchObject({ via: 'connect', bytesSent: 4, bytesReceived: 4 }));
  });

  it('keeps bytes that came with the request', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const client = await harness.dialProxy();
    client.end(`CONNECT a.ok.example:${server.port} HTTP/1.1\r\nHost: x\r\n\r\nearly`);
    expect((await readAll(client)).text).toMatch(/early$/);
  });

  it.each([
    ['evil.example:443', 403],
    ['a.ok.example:80', 403],
    ['169.254.169.254:443', 403],
    ['[::1]:443', 403],
    ['[::ffff:169.254.169.254]:443', 403],
    ['[64:ff9b::a9fe:a9fe]:443', 403],
    ['2130706433:443', 400],
    ['0x7f000001:443', 400],
    ['0177.0.0.1:443', 400],
    ['127.1:443', 400],
    ['[fe80::1%25eth0]:443', 400],
    ['a.ok.example:0443', 400],
    ['a.ok.example:65979', 400],
    ['a.ok.example:443:80', 400],
    ['a.ok.example:443@evil.org', 400],
    ['a.ok.example', 400],
    ['http://a.ok.example:443', 400],
    ['evil.org%00.ok.example:443', 400],
    ['evil.org#.ok.example:443', 400],
    ['evil.org\\.ok.example:443', 400],
  ])('refuses %s with %i', async (authority, status) => {
    await using harness = await startHarness({ rules: ['*.ok.example:443'], names });
    const client = await harness.dialProxy();
    client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: a.ok.example\r\n\r\n`);
    expect((await readAll(client)).text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(harness.lookups).toEqual([]);
    expect(await harness.records()).toMatchObject([{ verdict: 'deny' }]);
    expect(harness.denials).toHaveLength(1);
  });
});
