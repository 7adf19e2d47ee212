import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readdir, stat, truncate } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { echo, eventually, listen, readAll, readUntil, startHarness, startServer } from './harness.ts';

const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

describe('a limit', () => {
  it('of connections holds under a flood, and descriptors go back to where they were', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`], limits: { connectionsMax: 8 } });
    const before = await descriptors();
    const clients: Socket[] = [];
    for (let index = 0; index < 100; index += 1) clients.push(await harness.dialHost('127.0.0.1', server.port));
    await eventually(() => expect(server.count()).toBe(8));
    await eventually(() => expect(clients.filter(({ destroyed }) => destroyed).length).toBe(92));
    expect(harness.denials).toHaveLength(92);
    expect(harness.denials[0]?.message).toContain('connector x has as many connections open as it may');
    for (const client of clients) client.destroy();
    await eventually(() => expect(server.sockets.size).toBe(0));
    await eventually(async () => expect(await descriptors()).toBeLessThanOrEqual(before));
    const again = await harness.dialHost('127.0.0.1', server.port);
    again.end('x');
    expect((await readAll(again)).text).toBe('x');
  });

  it('of denials thins a flood to a count', async () => {
    await using harness = await startHarness({ rules: ['a.example:1'], limits: { denialsPerMinuteMax: 3 } });
    for (let index = 0; index < 10; index += 1) await readAll(await harness.dialHost('127.5.5.5', 1));
    expect(harness.denials).toHaveLength(3);
    harness.session.close();
    expect((await harness.records()).map(({ suppressed }) => suppressed)).toEqual([undefined, undefined, undefined, 6]);
  });

  it('of idle time ends a silent connection', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`], limits: { idleTimeoutMs: 200 } });
    const client = await harness.dialHost('127.0.0.1', server.port);
    expect(await readAll(client)).toEqual({ text: '', reset: true });
    await eventually(async () => expect((await harness.records())[1]).toMatchObject({ end: 'idle_timeout' }));
  });

  it('of age ends a busy connection', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({
      rules: [`127.0.0.1:${server.port}`],
      limits: { totalTimeoutMs: 300, idleTimeoutMs: 5_000 },
    });
    const client = await harness.dialHost('127.0.0.1', server.port);
    const timer = setInterval(() => client.write('x'), 20);
    expect((await readAll(client)).reset).toBe(true);
    clearInterval(timer);
    await eventually(async () => expect((await harness.records())[1]).toMatchObject({ end: 'total_timeout' }));
  });

  it.each([
    ['says nothing', ''],
    ['drips a request', 'GET http://a.exa'],
    ['stops in a SOCKS greeting', '\x05\x03'],
    ['stops after a SOCKS greeting', '\x05\x01\x00'],
    ['stops after an answer', 'GET http://b.example/ HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('of the head ends a client of the proxy port that %s', async (_what, text) => {
    await using harness = await startHarness({ rules: ['a.example:80'], limits: { headTimeoutMs: 200 } });
    const client = await harness.dialProxy();
    client.write(text, 'latin1');
    await readAll(client);
    expect(harness.lookups).toEqual([]);
  });

  it('of connecting ends an attempt that nobody answers', async ({ skip }) => {
    // A listener whose queue is full drops what comes.
    const script =
      'import socket,sys\ns=socket.socket()\ns.bind(("127.0.0.1",0))\ns.listen(0)\nprint(s.getsockname()[1],flush=True)\nsys.stdin.read()';
    const full = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    full.on('error', () => skip('no python3 here'));
    const [line] = (await once(full.stdout, 'data')) as [Buffer];
    const port = Number(line.toString());
    await using harness = await startHarness({ rules: [`127.0.0.1:${port}`], limits: { connectTimeoutMs: 300 } });
    const clients: Socket[] = [];
    for (let index = 0; index < 6; index += 1) clients.push(await harness.dialHost('127.0.0.1', port));
    await eventually(async () =>
      expect((await harness.records()).at(-1)).toMatchObject({ type: 'end', end: 'unreachable', error: 'ETIMEDOUT' }),
    );
    for (const client of clients) client.destroy();
    full.stdin.end();
    await once(full, 'exit');
  });

  it('of names bounds what a worker may look up', async () => {
    await using harness = await startHarness({ rules: ['*.wild.example:80'], limits: { namesMax: 2 } });
    for (const name of ['a', 'b', 'a', 'c']) await harness.session.answerDns(query(`${name}.wild.example`));
    expect(harness.denials.map(({ host }) => host)).toEqual(['c.wild.example']);
  });
});

function query(name: string, type = 1): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1]);
}

describe('the DNS responder', () => {
  const ask = async (harness: Awaited<ReturnType<typeof startHarness>>, name: string, type = 1) => {
    const answer = Buffer.from((await harness.session.answerDns(query(name, type))) ?? []);
    return { code: (answer[3] ?? 0) & 15, address: answer.readUInt16BE(6) === 1 ? answer.subarray(-4).join('.') : undefined };
  };

  it('knows exact hosts, gives names under wildcards an address of their own, and nothing else', async () => {
    await using server = await startServer(echo);
    const names = { 'a.wild.example': ['127.0.0.1'] };
    await using harness = await startHarness({
      rules: [`db.example:1`, `*.wild.example:${server.port}`, `127.0.0.1:${server.port}`],
      names,
    });
    expect(await ask(harness, 'DB.example')).toEqual({ code: 0, address: '127.0.0.2' });
    expect(await ask(harness, 'localhost')).toEqual({ code: 0, address: '127.0.0.1' });
    const { address = '' } = await ask(harness, 'a.wild.example');
    expect(address).toBe('127.128.0.1');
    expect(await ask(harness, 'b.wild.example')).toEqual({ code: 0, address: '127.128.0.2' });
    expect(await ask(harness, 'A.wild.example')).toEqual({ code: 0, address });
    expect(await ask(harness, 'a.wild.example', 28)).toEqual({ code: 0, address: undefined });
    expect(harness.lookups).toEqual([]);
    const client = await harness.dialHost(address, server.port);
    client.end('x');
    expect((await readAll(client)).text).toBe('x');
    expect(harness.lookups).toEqual(['a.wild.example']);
  });

  it('tells a denied lookup once for A and AAAA, and asks nobody', async () => {
    await using harness = await startHarness({ rules: ['a.example:1'] });
    expect(await ask(harness, 'secret.evil.example')).toEqual({ code: 3, address: undefined });
    expect(await ask(harness, 'secret.evil.example', 28)).toEqual({ code: 3, address: undefined });
    expect(await ask(harness, '2130706433')).toEqual({ code: 3, address: undefined });
    expect(harness.denials.map(({ host, port }) => [host, port])).toEqual([['secret.evil.example', 0]]);
    expect(harness.lookups).toEqual([]);
    expect(await harness.records()).toMatchObject([{ via: 'dns', verdict: 'deny', host: 'secret.evil.example' }]);
    harness.session.close();
    expect(await harness.session.answerDns(query('a.example'))).toBeUndefined();
  });
});

describe('a session', () => {
  it('destroys everything when it is closed, and takes nothing after', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    const clients: Socket[] = [];
    for (let index = 0; index < 3; index += 1) clients.push(await harness.dialHost('127.0.0.1', server.port));
    const silent = await harness.dialProxy();
    await eventually(() => expect(server.sockets.size).toBe(3));
    harness.session.close();
    harness.session.close();
    for (const client of [...clients, silent]) {
      await readAll(client);
    }
    await eventually(() => expect(server.sockets.size).toBe(0));
    expect((await readAll(await harness.dialHost('127.0.0.1', server.port))).reset).toBe(true);
    await eventually(async () => expect((await harness.records()).filter(({ end }) => end === 'session_closed')).toHaveLength(3));
  });

  it('has nothing for a connector without network', async () => {
    await using harness = await startHarness({ network: { type: 'none' } });
    expect(harness.session).toMatchObject({ listeners: [], hosts: [], localRoutes: [], environment: {} });
    const { session } = harness;
    const client = await harness.dialProxy();
    expect(session.listeners).toEqual([]);
    expect((await readAll(client)).reset).toBe(true);
  });

  it('reaches nothing while the audit log cannot be written, and says so', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    const file = join(harness.folder, 'audit.jsonl');
    const { size } = await stat(file);
    await appendFile(file, 'x\n');
    const client = await harness.dialHost('127.0.0.1', server.port);
    client.write('secret');
    expect((await readAll(client)).reset).toBe(true);
    expect(harness.denials[0]?.message).toContain('the audit log cannot be written');
    await truncate(file, size);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const again = await harness.dialHost('127.0.0.1', server.port);
    again.end('x');
    expect((await readAll(again)).text).toBe('x');
  });
});

describe('an upstream proxy', () => {
  const startProxy = async (status = '200 OK') => {
    const heads: string[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      void readUntil(socket, '\r\n\r\n').then((head) => {
        heads.push(head);
        socket.write(`HTTP/1.1 ${status}\r\n\r\n`);
        socket.pipe(socket);
      });
    });
    const port = await listen(server);
    return { port, heads, [Symbol.asyncDispose]: async () => void (await new Promise((done) => server.close(done))) };
  };

  it('is asked for the checked address, with its credentials', async () => {
    await using proxy = await startProxy();
    const upstreamProxy = { host: '127.0.0.1', port: proxy.port, resolve: 'gateway', authorization: 'Basic dTpw' } as const;
    await using harness = await startHarness({ rules: ['a.example:25'], names: { 'a.example': ['8.8.8.8'] }, upstreamProxy });
    const client = await harness.dialHost('a.example', 25);
    client.end('mail');
    expect((await readAll(client)).text).toBe('mail');
    expect(proxy.heads).toEqual([`CONNECT 8.8.8.8:25 HTTP/1.1\r\nHost: 8.8.8.8:25\r\nProxy-Authorization: Basic dTpw\r\n\r\n`]);
    await eventually(async () =>
      expect((await harness.records())[1]).toMatchObject({ address: '8.8.8.8', bytesSent: 4, bytesReceived: 4 }),
    );
  });

  it('resolves names itself where the deployer says so', async () => {
    await using proxy = await startProxy();
    const upstreamProxy = { host: '127.0.0.1', port: proxy.port, resolve: 'proxy' } as const;
    await using harness = await startHarness({ rules: ['a.example:25'], upstreamProxy });
    const client = await harness.dialHost('a.example', 25);
    client.end('mail');
    expect((await readAll(client)).text).toBe('mail');
    expect(proxy.heads[0]).toMatch(/^CONNECT a\.example:25 /);
    expect(harness.lookups).toEqual([]);
  });

  it('that refuses is no denial, and 407 names the repair', async () => {
    await using proxy = await startProxy('407 Proxy Authentication Required');
    const upstreamProxy = { host: '127.0.0.1', port: proxy.port, resolve: 'gateway' } as const;
    await using harness = await startHarness({ rules: ['a.example:80'], names: { 'a.example': ['8.8.8.8'] }, upstreamProxy });
    const client = await harness.dialProxy();
    client.write('CONNECT a.example:80 HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await readAll(client)).text).toMatch(/^HTTP\/1\.1 502 .*correct its user and password in server\.egress\.upstreamProxy/s);
    expect(harness.denials).toEqual([]);
  });
});
