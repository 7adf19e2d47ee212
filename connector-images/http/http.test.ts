import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folderOf, type StartedConnector, startConnector } from '../start-connector.ts';

interface Envelope {
  readonly command_response: { readonly body: Record<string, unknown>; readonly http_status: number };
  readonly error: { readonly error_code: string; readonly message: string } | null;
  readonly spiff__logs: readonly string[];
}

const calls = new Map<string, number>();

/** The upstream: says what it was sent, or misbehaves as its path asks. */
const routes: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse, body: string) => void>> = {
  '/echo': (request, response, body) => {
    const headers = Object.fromEntries(pairsOf(request.rawHeaders).map(([name, value]) => [name.toLowerCase(), value]));
    answer(response, 200, JSON.stringify({ method: request.method, url: request.url, headers, body }));
  },
  '/json': (_, response) =>
    answer(response, 200, '{ "10": 1, "9": 123456789012345678901234567890,\n "x": [1.0, 1e400, -0.0], "s": "\\ud800é" }'),
  '/nan': (_, response) => answer(response, 200, '{"n": NaN}'),
  '/xml': (_, response) => answer(response, 200, '<r n="1"><a>1</a><a/><b>ü</b></r>', { 'Content-Type': 'text/xml; charset=utf-8' }),
  '/bomb': (_, response) => answer(response, 200, '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', { 'Content-Type': 'application/xml' }),
  '/latin': (_, response) => answer(response, 200, Buffer.from('naïve', 'latin1'), { 'Content-Type': 'text/plain' }),
  '/utf8': (_, response) => answer(response, 200, 'naïve', { 'Content-Type': 'text/plain; charset=utf-8' }),
  '/gzip': (_, response) => answer(response, 200, gzipSync('{"z": 1}'), { 'Content-Encoding': 'gzip' }),
  '/deflate': (_, response) => answer(response, 200, deflateSync('{"z": 2}'), { 'Content-Encoding': 'deflate' }),
  '/rawdeflate': (_, response) => answer(response, 200, deflateRawSync('{"z": 3}'), { 'Content-Encoding': 'deflate' }),
  '/cutgzip': (_, response) => answer(response, 200, gzipSync('{"z": 4}').subarray(0, -6), { 'Content-Encoding': 'gzip' }),
  '/cutdeflate': (_, response) => answer(response, 200, deflateSync('{"z": 5}').subarray(0, -3), { 'Content-Encoding': 'deflate' }),
  '/members': (_, response) =>
    answer(response, 200, Buffer.concat([gzipSync('{"z":'), gzipSync(' 6}'), Buffer.from('garbage')]), { 'Content-Encoding': 'gzip' }),
  '/brokengzip': (_, response) => answer(response, 200, gzipSync('{"z": 7}').fill(7, 12, 20), { 'Content-Encoding': 'gzip' }),
  '/badgzip': (_, response) => answer(response, 200, 'not gzip', { 'Content-Encoding': 'gzip' }),
  '/gzipbomb': (_, response) => answer(response, 200, gzipSync(Buffer.alloc(64 << 20)), { 'Content-Encoding': 'gzip' }),
  '/large': (_, response) => answer(response, 200, Buffer.alloc(2 << 20, 'x'), { 'Content-Type': 'text/plain' }),
  '/nul': (_, response) => answer(response, 200, Buffer.alloc(5_700_000), { 'Content-Type': 'application/octet-stream' }),
  '/accents': (_, response) => answer(response, 200, `"${'é'.repeat(5_700_000)}"`),
  '/binary': (_, response) => answer(response, 404, Buffer.alloc((16 << 20) - 100, 0xe9), { 'Content-Type': 'application/octet-stream' }),
  '/later': (_, response) => void setTimeout(() => answer(response, 200, '{"later": 1}'), 1_000),
  '/page': (_, response) => answer(response, 500, '☃'.repeat(100_000), { 'Content-Type': 'text/plain; charset=utf-8' }),
  '/zeros': (_, response) => answer(response, 200, `[${'0,'.repeat(5 << 20)}0]`),
  '/broken': (_, response) => answer(response, 200, `"${'中'.repeat(4 << 20)}"x`),
  '/elements': (_, response) => answer(response, 200, `<r>${'<a b=""/>'.repeat(1 << 20)}</r>`, { 'Content-Type': 'application/xml' }),
  '/cut': (_, response) => {
    response.writeHead(200, { 'Content-Length': 100 });
    response.write('abc', () => setTimeout(() => response.destroy(), 50));
  },
  '/hangup': (request) => void request.socket.destroy(),
  '/silent': () => {},
  '/drip': (_, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('.'), 50);
    response.on('close', () => clearInterval(timer));
  },
  '/loop': (_, response) => redirect(response, 302, '/loop'),
  '/flaky': (request, response) => {
    const count = (calls.get(request.url ?? '') ?? 0) + 1;
    calls.set(request.url ?? '', count);
    answer(response, count === 1 ? 503 : 200, JSON.stringify({ count }));
  },
  '/cookie': (_, response) => {
    response.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2; HttpOnly']);
    redirect(response, 302, '/echo');
  },
};

function answer(response: ServerResponse, status: number, body: string | Buffer, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(body);
}

function redirect(response: ServerResponse, status: number, location: string): void {
  response.writeHead(status, { Location: location });
  response.end('moved');
}

function pairsOf(raw: readonly string[]): readonly (readonly [string, string])[] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : []));
}

const upstream: RequestListener = (request, response) => {
  let body = '';
  request.on('data', (chunk) => (body += chunk));
  request.on('end', () => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const [, status] = /^\/redirect\/(\d+)$/.exec(pathname) ?? [];
    if (status !== undefined) redirect(response, Number(status), searchParams.get('to') ?? '/echo?redirected');
    else if (pathname.startsWith('/status/')) answer(response, Number(pathname.slice(8)), '{"no": 1}');
    else (routes[pathname] ?? routes['/echo'])?.(request, response, body);
  });
};

const listening = async (server: Server | ReturnType<typeof createTcpServer>) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

const tls = {
  key: readFileSync(new URL('test/localhost.key', import.meta.url)),
  cert: readFileSync(new URL('test/localhost.crt', import.meta.url)),
};
const servers = {
  plain: createServer(upstream),
  other: createServer(upstream),
  secure: createTlsServer(tls, upstream),
  proxy: createServer(),
};
const proxied: string[] = [];
let [base, otherBase, secureBase, proxyBase] = ['', '', '', ''];
let connector: StartedConnector;
const start = (options: { env?: Record<string, string>; config?: unknown } = {}) =>
  startConnector({ folder: folderOf('http'), command: ['node', 'main.ts'], ...options });

beforeAll(async () => {
  base = `http://127.0.0.1:${await listening(servers.plain)}`;
  otherBase = `http://localhost:${await listening(servers.other)}`;
  secureBase = `https://localhost:${await listening(servers.secure)}`;
  servers.proxy.on('request', (request: IncomingMessage, response: ServerResponse) => {
    proxied.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    if (request.url?.startsWith('http://denied.')) {
      return answer(response, 403, 'denied.invalid:80 is not in the rules', { 'Proxy-Status': 'bulkhead; error=http_request_denied' });
    }
    answer(response, 200, '{"proxied": true}');
  });
  servers.proxy.on('connect', (request: IncomingMessage, client: Socket) => {
    proxied.push(`CONNECT ${request.url}`);
    if (request.url?.startsWith('denied.'))
      return void client.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\ndenied.invalid:443 is not in the rules\n');
    // Nothing listens on port 1: who gets an answer from there has come through the proxy.
    const port = request.url === 'localhost:1' ? new URL(secureBase).port : request.url?.split(':')[1];
    const target = connect(Number(port), '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    target.pipe(client).pipe(target);
    client.on('error', () => target.destroy());
    target.on('error', () => client.destroy());
  });
  proxyBase = `http://user:pass@127.0.0.1:${await listening(servers.proxy)}`;
  connector = await start({ config: { responseBytesMax: 1 << 20 } });
});

afterAll(async () => {
  await connector[Symbol.asyncDispose]();
  for (const server of Object.values(servers)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function run(command: string, input: object | string, options: { on?: StartedConnector; leftMs?: number } = {}): Promise<Envelope> {
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  const { result, error } = await (options.on ?? connector).invoke(command, text, { deadline: Date.now() + (options.leftMs ?? 30_000) });
  expect(error).toBeUndefined();
  return result?.['spiff'] as Envelope;
}

const get = (path: string, more: object = {}) => run('GetRequestV2', { url: path.startsWith('http') ? path : base + path, ...more });
const echoed = ({ command_response }: Envelope) =>
  command_response.body as { method: string; url: string; headers: Record<string, string>; body: string };

describe('requests', () => {
  it('sends the headers of requests in its order, the caller’s in between', async () => {
    const { headers } = echoed(
      await run('PostRequestV2', {
        url: `${base}/echo`,
        headers: { 'X-A': 'b', Accept: 'a/b', 'X-None': null },
        data: { a: 1 },
        basic_auth_username: 'u',
        basic_auth_password: 'p',
      }),
    );
    expect(Object.keys(headers)).toEqual([
      'host',
      'user-agent',
      'accept-encoding',
      'accept',
      'connection',
      'x-a',
      'content-type',
      'content-length',
      'authorization',
    ]);
    expect(headers).toMatchObject({
      accept: 'a/b',
      authorization: 'Basic dTpw',
      'user-agent': expect.stringMatching(/^bulkhead-http\/\d/),
    });
  });

  it('leaves out its own header where the caller gives null', async () => {
    const { headers } = echoed(await get('/echo', { headers: { accept: null, 'X-A': 'b' } }));
    expect(Object.keys(headers)).toEqual(['host', 'user-agent', 'accept-encoding', 'connection', 'x-a']);
  });

  it('sends data as Python writes JSON, with the caller’s own digits and order', async () => {
    const { body } = echoed(
      await run(
        'PutRequestV2',
        `{"url":"${base}/echo","data":{"10":1.0,"9":123456789012345678901234567890,"u":"é\\ud83d\\ude00","n":[1E2,-0]}}`,
      ),
    );
    expect(body).toBe('{"10": 1.0, "9": 123456789012345678901234567890, "u": "\\u00e9\\ud83d\\ude00", "n": [1E2, -0]}');
  });

  it.each([
    ['PostRequestV2', 'POST', '{}'],
    ['PutRequestV2', 'PUT', '{}'],
    ['PatchRequestV2', 'PATCH', '{}'],
    ['DeleteRequestV2', 'DELETE', ''],
  ])('%s without data sends %s with the body %j', async (command, method, body) => {
    expect(echoed(await run(command, { url: `${base}/echo` }))).toMatchObject({
      method,
      body,
      headers: { 'content-length': String(body.length) },
    });
  });

  it('adds params to the query that is there', async () => {
    const { url } = echoed(await get('/echo?z=1', { params: { a: 'x y', b: ['1', '2'], c: null, d: true } }));
    expect(url).toBe('/echo?z=1&a=x+y&b=1&b=2&d=True');
  });

  it('authorizes only with both halves', async () => {
    for (const half of [
      { basic_auth_username: 'u' },
      { basic_auth_password: 'p' },
      { basic_auth_username: 'u', basic_auth_password: null },
    ]) {
      expect(echoed(await get('/echo', half)).headers).not.toHaveProperty('authorization');
    }
  });

  it.each([
    [{ 'X-A': 1 }, 'InvalidHeader'],
    [{ 'X-A': 'a\r\nX-B: c' }, 'InvalidHeader'],
    [{ 'X-A: c\r\nX-B': 'c' }, 'InvalidHeader'],
    [{ 'X-A': '☃' }, 'UnicodeEncodeError'],
    ['text', 'AttributeError'],
  ])('refuses the headers %j as %s', async (headers, code) => {
    expect(await get('/echo', { headers })).toMatchObject({
      command_response: { http_status: 500, body: {} },
      error: { error_code: code },
    });
  });
});

describe('responses', () => {
  it('keeps the digits and the order of JSON', async () => {
    await get('/json');
    expect(connector.lines.at(-1)).toContain(
      '"body":{"10": 1, "9": 123456789012345678901234567890, "x": [1.0, 1e400, -0.0], "s": "\\ud800\\u00e9"},"mimetype"',
    );
  });

  it.each([
    ['/xml', { r: { '@n': '1', a: ['1', null], b: 'ü' } }],
    ['/latin', { raw_response: 'naïve' }],
    ['/utf8', { raw_response: 'naïve' }],
    ['/gzip', { z: 1 }],
    ['/deflate', { z: 2 }],
    ['/rawdeflate', { z: 3 }],
    ['/cutgzip', { z: 4 }],
    ['/cutdeflate', { z: 5 }],
    ['/members', { z: 6 }],
  ])('reads %s', async (path, body) => {
    expect(await get(path)).toMatchObject({ command_response: { body, http_status: 200, mimetype: 'application/json' }, error: null });
  });

  it.each([
    ['/nan', 'JSONDecodeError', { raw_response: '{"n": NaN}' }],
    ['/bomb', 'ValueError', { raw_response: expect.any(String) }],
    ['/status/404', 'HttpError404', { no: 1 }],
  ])('names what is wrong with %s: %s', async (path, code, body) => {
    const { error, command_response } = await get(path);
    expect(error).toMatchObject({ error_code: code, message: expect.stringContaining('Raw http_response was: ') });
    expect(command_response.body).toEqual(body);
  });

  it.each([
    ['/badgzip', 'ContentDecodingError'],
    ['/brokengzip', 'ContentDecodingError'],
    ['/cut', 'ChunkedEncodingError'],
    ['/hangup', 'ConnectionError'],
    ['/large', 'ResponseTooLarge'],
    ['/gzipbomb', 'ResponseTooLarge'],
  ])('fails %s as %s', async (path, code) => {
    expect(await get(path)).toMatchObject({ error: { error_code: code }, command_response: { http_status: 500, body: {} } });
  });
});

describe('memory', () => {
  it('is in proportion to the bytes of an answer, not to what it consists of', async () => {
    const command = ['node', '--max-old-space-size=96', 'main.ts'];
    await using own = await startConnector({ folder: folderOf('http'), command, config: { responseBytesMax: 16 << 20 } });
    for (const path of ['/zeros', '/broken', '/elements']) {
      const { error } = await run('GetRequestV2', { url: base + path }, { on: own, leftMs: 60_000 });
      expect(error?.error_code).toBe(path === '/broken' ? 'JSONDecodeError' : undefined);
    }
  }, 90_000);

  it('bounds an answer by 4 MiB where the deployer says nothing', async () => {
    await using own = await start();
    expect((await run('GetRequestV2', { url: `${base}/zeros` }, { on: own })).error?.error_code).toBe('ResponseTooLarge');
  });
});

describe('results that the proxy would not take', () => {
  it.each(['/nul', '/accents', '/binary'])(
    'fails %s alone, by name',
    async (path) => {
      await using own = await start({ config: { responseBytesMax: 16 << 20 } });
      const neighbour = run('GetRequestV2', { url: `${base}/later` }, { on: own });
      expect(await run('GetRequestV2', { url: base + path }, { on: own })).toMatchObject({
        error: { error_code: 'ResponseTooLarge', message: expect.stringContaining('as JSON') },
        command_response: { http_status: 500, body: {} },
      });
      expect((await neighbour).command_response.body).toEqual({ later: 1 });
      const { error } = await own.invoke('GetRequest', JSON.stringify({ url: base + path }));
      if (path === '/nul') expect(error?.data).toEqual({ errorCode: 'ValueError', httpStatus: 500 });
      for (const line of own.lines) expect(Buffer.byteLength(line)).toBeLessThan(32 << 20);
    },
    30_000,
  );

  it('quotes the beginning of a long answer in the message, and has all of it in the body', async () => {
    const { error, command_response } = await get('/page');
    expect(error?.message).toMatch(/☃… \(34464 more characters\)$/);
    expect(command_response.body).toEqual({ raw_response: '☃'.repeat(100_000) });
  });
});

describe('redirects', () => {
  it.each([
    ['POST', 301, 'GET', ''],
    ['POST', 302, 'GET', ''],
    ['POST', 303, 'GET', ''],
    ['POST', 307, 'POST', '{"a": 1}'],
    ['PUT', 301, 'PUT', ''],
    ['PUT', 302, 'GET', ''],
    ['DELETE', 308, 'DELETE', '{"a": 1}'],
  ])('%s and %i: goes on with %s and the body %j', async (method, status, then, body) => {
    const command = `${method[0]}${method.slice(1).toLowerCase()}RequestV2`;
    expect(echoed(await run(command, { url: `${base}/redirect/${status}`, data: { a: 1 } }))).toMatchObject({
      method: then,
      body,
      url: '/echo?redirected',
    });
  });

  it.each([
    ['PutRequestV2', '0'],
    ['PatchRequestV2', '0'],
    ['DeleteRequestV2', undefined],
  ])('%s after 301: tells the length %s', async (command, length) => {
    const { headers } = echoed(await run(command, { url: `${base}/redirect/301`, data: { a: 1 } }));
    expect(headers['content-length']).toBe(length);
    expect(headers).not.toHaveProperty('transfer-encoding');
  });

  it('takes credentials to the same host only', async () => {
    const auth = { basic_auth_username: 'u', basic_auth_password: 'p', headers: { Cookie: 'own=1' } };
    const same = echoed(await get('/redirect/302?to=/echo', auth));
    expect(same.headers).toMatchObject({ authorization: 'Basic dTpw', cookie: 'own=1' });
    const other = echoed(await get(`/redirect/302?to=${otherBase}/echo`, auth));
    expect(other.headers).not.toHaveProperty('authorization');
    expect(other.headers).not.toHaveProperty('cookie');
    expect(other.headers['host']).toBe(otherBase.slice(7));
  });

  it('gives cookies back along the way, to the host that set them', async () => {
    expect(echoed(await get('/cookie')).headers['cookie']).toBe('a=1; b=2');
  });

  it('ends after 30', async () => {
    expect((await get('/loop')).error).toEqual({
      error_code: 'TooManyRedirects',
      message: 'Received Error: Exceeded 30 redirects.. Raw http_response was: None',
    });
  });

  it('does not leave http', async () => {
    expect((await get('/redirect/302?to=file:///etc/passwd')).error?.error_code).toBe('InvalidSchema');
  });

  it('HEAD follows none', async () => {
    expect((await run('HeadRequestV2', { url: `${base}/redirect/302` })).command_response.http_status).toBe(302);
  });
});

describe('attempts', () => {
  it.each([
    [2, 2],
    [true, 1],
    ['2', 1],
    [2.5, 1],
    [11, 1],
    [0, 1],
    [null, 1],
  ])('attempts: %j means %i', async (attempts, tried) => {
    const { spiff__logs } = await get(`/flaky?${JSON.stringify(attempts)}`, { attempts });
    expect(spiff__logs.filter((line) => line.includes(' Will call '))).toHaveLength(tried);
  });

  it('are for 500 and above only', async () => {
    const { spiff__logs } = await get('/status/404', { attempts: 3 });
    expect(spiff__logs.filter((line) => line.includes(' Will call '))).toHaveLength(1);
  });
});

describe('time', () => {
  it('names a silent server, and one that never ends, before the deadline', async () => {
    for (const path of ['/silent', '/drip']) {
      const { error } = await run('GetRequestV2', { url: base + path }, { leftMs: 1_500 });
      expect(error).toMatchObject({ error_code: 'ReadTimeout', message: expect.stringContaining('Read timed out.') });
    }
  });

  it('names a server that never finishes its handshake', async () => {
    const mute = createTcpServer((socket) => socket.resume().on('error', () => {}));
    const port = await listening(mute);
    await using own = await start({ config: { connectTimeoutMs: 300 } });
    expect((await run('GetRequestV2', { url: `https://127.0.0.1:${port}/` }, { on: own })).error?.error_code).toBe('ConnectTimeout');
    await new Promise((resolve) => mute.close(resolve));
  });

  it('stops when the invocation is cancelled', async () => {
    const waiting = connector.invoke('GetRequestV2', JSON.stringify({ url: `${base}/silent` }), { invocationId: 'gone' });
    connector.send('{"jsonrpc":"2.0","method":"cancel","params":{"invocationId":"gone","reason":"client gone"}}\n');
    expect((await waiting).result?.['spiff']).toMatchObject({ error: { error_code: 'Cancelled' } });
  });
});

describe('version 1', () => {
  it('passes status and text through', async () => {
    const { result } = await connector.invoke('GetRequest', JSON.stringify({ url: `${base}/status/418` }));
    expect(result).toEqual({ spiff: { response: '{"no": 1}', status: 418, mimetype: 'application/json' } });
  });

  it('turns a failure to connect into a ValueError', async () => {
    const { error } = await connector.invoke('PostRequest', '{"url":"http://127.0.0.1:9/x","headers":null,"data":null}');
    expect(error?.data).toEqual({ errorCode: 'ValueError', httpStatus: 500 });
    expect(error?.message).toContain("HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /x");
  });
});

describe('TLS and proxies', () => {
  it('refuses a certificate that nobody vouches for', async () => {
    expect((await get(`${secureBase}/echo`)).error).toMatchObject({
      error_code: 'SSLError',
      message: expect.stringContaining('certificate verify failed'),
    });
    expect((await get(base.replace('http:', 'https:'))).error?.error_code).toBe('SSLError');
  });

  it.each(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'])('trusts the certificates that %s names', async (name) => {
    await using own = await start({ env: { [name]: `${folderOf('http')}test/localhost.crt` } });
    expect((await run('GetRequestV2', { url: `${secureBase}/echo` }, { on: own })).error).toBeNull();
  });

  it('goes through the proxy that the environment names, but not where no_proxy says so', async () => {
    proxied.length = 0;
    await using own = await start({
      env: {
        HTTP_PROXY: proxyBase,
        https_proxy: proxyBase,
        NO_PROXY: '127.0.0.0/8',
        SSL_CERT_FILE: `${folderOf('http')}test/localhost.crt`,
      },
    });
    expect((await run('GetRequestV2', { url: 'http://a.invalid/x?y=1' }, { on: own })).command_response.body).toEqual({ proxied: true });
    expect(echoed(await run('GetRequestV2', { url: 'https://localhost:1/echo' }, { on: own })).headers).not.toHaveProperty(
      'proxy-authorization',
    );
    expect(echoed(await run('GetRequestV2', { url: `${base}/echo` }, { on: own })).method).toBe('GET');
    expect((await run('GetRequestV2', { url: 'https://denied.invalid/' }, { on: own })).error).toMatchObject({
      error_code: 'ProxyError',
      message: expect.stringContaining('Tunnel connection failed: 403 Forbidden: denied.invalid:443 is not in the rules'),
    });
    expect((await run('GetRequestV2', { url: 'http://denied.invalid/' }, { on: own })).error).toMatchObject({
      error_code: 'ProxyError',
      message: expect.stringContaining('403 Forbidden: denied.invalid:80 is not in the rules'),
    });
    expect(proxied.slice(0, 3)).toEqual([
      'GET http://a.invalid/x?y=1 Basic dXNlcjpwYXNz',
      'CONNECT localhost:1',
      'CONNECT denied.invalid:443',
    ]);
  });

  it('names a proxy that is not there', async () => {
    await using own = await start({ env: { ALL_PROXY: 'http://127.0.0.1:9' } });
    for (const url of ['http://a.invalid/', 'https://a.invalid/'])
      expect((await run('GetRequestV2', { url }, { on: own })).error?.error_code).toBe('ProxyError');
  });
});
