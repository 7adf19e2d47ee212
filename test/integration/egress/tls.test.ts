import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import { echo, eventually, type Harness, listen, readAll, readUntil, startHarness, startServer } from './harness.ts';

let folder: string;
let pem: { ca: Buffer; cert: Buffer; key: Buffer };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'egress-tls-'));
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test CA', '-days', '2');
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'host.key',
    '-out',
    'host.pem',
    '-subj',
    '/CN=a.example',
    '-days',
    '2',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-addext',
    'subjectAltName=DNS:a.example,DNS:b.example,IP:127.0.0.1',
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  );
  const read = (name: string) => readFile(join(folder, name));
  pem = { ca: await read('ca.pem'), cert: await read('host.pem'), key: await read('host.key') };
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function startTls() {
  const names: (string | false)[] = [];
  const server = createTlsServer({ key: pem.key, cert: pem.cert }, (socket) => {
    names.push(socket.servername ?? false);
    socket.on('error', () => {}).on('data', (data) => socket.end(`echo ${data}`));
  });
  server.on('tlsClientError', () => {});
  const port = await listen(server);
  return { port, names, [Symbol.asyncDispose]: async () => void (await new Promise((done) => server.close(done))) };
}

/** A handshake over `socket` and one exchange. */
async function speak(socket: Socket, servername: string | undefined): Promise<string> {
  const tls = connectTls({ socket, ca: pem.ca, checkServerIdentity: () => undefined, ...(servername === undefined ? {} : { servername }) });
  tls.on('error', () => {});
  tls.write('hello');
  let text = '';
  tls.on('data', (data: Buffer) => {
    text += data;
  });
  await Promise.race([once(tls, 'end').catch(() => {}), once(tls, 'close').catch(() => {})]);
  tls.destroy();
  socket.destroy();
  return text;
}

async function tunnel(harness: Harness, authority: string): Promise<Socket> {
  const client = await harness.dialProxy();
  client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(await readUntil(client, '\r\n\r\n')).toContain('200');
  return client;
}

const names = { 'a.example': ['127.0.0.1'], 'b.example': ['127.0.0.1'], 'x.wild.example': ['127.0.0.1'] };
const rulesFor = (port: number): string[] => [`a.example:${port}`, `b.example:${port}`, `*.wild.example:${port}`, `127.0.0.1:${port}`];

describe('TLS through the gateway', () => {
  it('works on a host listener and through a tunnel, with the server name on record', async () => {
    await using server = await startTls();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    expect(await speak(await harness.dialHost('a.example', server.port), 'a.example')).toBe('echo hello');
    expect(await speak(await tunnel(harness, `b.example:${server.port}`), 'b.example')).toBe('echo hello');
    expect(server.names).toEqual(['a.example', 'b.example']);
    await eventually(async () => {
      const ends = (await harness.records()).filter(({ type }) => type === 'end');
      expect(ends.map(({ serverName }) => serverName)).toEqual(['a.example', 'b.example']);
    });
  });

  it.each([
    ['another allowed host', 'a.example', 'b.example'],
    ['a host of no rule', 'a.example', 'evil.example'],
    ['another host under the wildcard', 'x.wild.example', 'y.wild.example'],
    ['a host below', 'a.example', 'x.a.example'],
  ])('is refused when the server name is %s (domain fronting)', async (_what, host, servername) => {
    await using server = await startTls();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    expect(await speak(await tunnel(harness, `${host}:${server.port}`), servername)).toBe('');
    expect(server.names).toEqual([]);
    expect(harness.denials[0]?.message).toBe(
      `TLS for ${servername} was sent to ${host}:${server.port} by connector x; its server name must be ${host}`,
    );
    await eventually(async () => {
      const records = await harness.records();
      expect(records[1]).toMatchObject({ verdict: 'deny', reason: 'server_name_mismatch', serverName: servername });
      expect(records[2]).toMatchObject({ type: 'end', end: 'denied', bytesSent: 0 });
    });
  });

  it('is refused on a host listener too, and lets a client without a server name through', async () => {
    await using server = await startTls();
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    expect(await speak(await harness.dialHost('a.example', server.port), 'evil.example')).toBe('');
    expect(harness.denials).toHaveLength(1);
    expect(await speak(await harness.dialHost('a.example', server.port), undefined)).toBe('echo hello');
    expect(await speak(await harness.dialHost('127.0.0.1', server.port), 'any.example')).toBe('echo hello');
    expect(harness.denials).toHaveLength(1);
  });

  it('may name any host when all hosts are allowed, on record', async () => {
    await using server = await startTls();
    await using harness = await startHarness({ network: { type: 'observe', rules: [] }, names });
    harness.restartSession({ type: 'observe', rules: [networkRule(`127.0.0.1:${server.port}`)] });
    expect(await speak(await tunnel(harness, `a.example:${server.port}`), 'b.example')).toBe('echo hello');
    await eventually(async () => expect((await harness.records())[1]).toMatchObject({ reason: 'observed', serverName: 'b.example' }));
  });

  it('is read when the ClientHello comes in single bytes', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: rulesFor(server.port), names });
    const hello = await captureHello('evil.example');
    const client = await harness.dialHost('a.example', server.port);
    client.setNoDelay(true);
    const ended = readAll(client);
    for (const byte of hello) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await ended).toEqual({ text: '', reset: true });
    expect(harness.denials[0]?.message).toContain('TLS for evil.example');
  });

  it.each([
    ['never ends', (hello: Buffer) => hello.subarray(0, 50)],
    ['is broken', (hello: Buffer) => Buffer.concat([hello.subarray(0, 5), Buffer.alloc(200, 0xff)])],
    ['follows a change of cipher', (hello: Buffer) => Buffer.concat([Buffer.from([0x14, 3, 3, 0, 1, 1]), hello])],
    ['follows a warning', (hello: Buffer) => Buffer.concat([Buffer.from([0x15, 3, 3, 0, 2, 1, 0]), hello])],
    ['follows data', (hello: Buffer) => Buffer.concat([Buffer.from([0x17, 3, 3, 0, 1, 0]), hello])],
    [
      'is longer than any',
      () => Buffer.concat(Array.from({ length: 10 }, () => Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0]), Buffer.alloc(0x4000, 1)]))),
    ],
  ])('is cut off when the ClientHello %s, and nothing of it goes out', async (_what, change) => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: rulesFor(server.port), names, limits: { headTimeoutMs: 300 } });
    const client = await harness.dialHost('a.example', server.port);
    client.write(change(await captureHello('a.example')));
    expect((await readAll(client)).text).toBe('');
    await eventually(async () => expect((await harness.records()).at(-1)).toMatchObject({ type: 'end', bytesSent: 0 }));
  });

  async function captureHello(servername: string): Promise<Buffer> {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    await using server = await startServer((socket) => socket.once('data', resolve));
    const tls = connectTls({ port: server.port, host: '127.0.0.1', servername });
    tls.on('error', () => {});
    const hello = await promise;
    tls.destroy();
    return hello;
  }
});
