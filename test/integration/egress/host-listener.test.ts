import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { echo, eventually, readAll, readUntil, startHarness, startServer } from './harness.ts';

describe('a host listener', () => {
  it('carries a connection to the host it stands for, and records decision and end', async () => {
    await using server = await startServer(echo);
    const rules = [`db.example:${server.port}`, `127.0.0.1:${server.port}`];
    await using harness = await startHarness({ rules, names: { 'db.example': ['127.0.0.1'] } });
    const client = await harness.dialHost('db.example', server.port);
    client.write('hello');
    expect(await readUntil(client, 'hello')).toBe('hello');
    client.end();
    await once(client, 'close');
    await eventually(async () => expect(await harness.records()).toHaveLength(2));
    const [decision, end] = await harness.records();
    const subject = {
      connector: 'x',
      invocations: ['inv-1'],
      via: 'host',
      host: 'db.example',
      port: server.port,
      rule: rules[0],
      connection: 1,
    };
    expect(decision).toMatchObject({ type: 'decision', verdict: 'allow', reason: 'rule', addresses: ['127.0.0.1'], ...subject });
    expect(end).toMatchObject({ type: 'end', address: '127.0.0.1', bytesSent: 5, bytesReceived: 5, end: 'closed', ...subject });
    expect(harness.denials).toEqual([]);
  });

  it('lets the server speak first, and each side close its half when it likes', async () => {
    await using server = await startServer((socket) => {
      socket.write('220 ready\r\n');
      socket.on('end', () => socket.end('bye'));
      socket.resume();
    });
    const rules = [`127.0.0.1:${server.port}`];
    await using harness = await startHarness({ rules });
    const client = await harness.dialHost('127.0.0.1', server.port);
    expect(await readUntil(client, '\n')).toBe('220 ready\r\n');
    client.end();
    expect(await readAll(client)).toEqual({ text: 'bye', reset: false });
  });

  it('lets a client half-close after what it sent and still read the answer', async () => {
    await using server = await startServer((socket) => {
      let length = 0;
      socket.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      socket.on('end', () => setTimeout(() => socket.end(String(length)), 20));
    });
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    const client = await harness.dialHost('127.0.0.1', server.port);
    client.end(Buffer.alloc(1_000_000, 'x'));
    expect((await readAll(client)).text).toBe('1000000');
  });

  it('carries 64 MB through a slow reader without holding them', async () => {
    const block = randomBytes(1 << 20);
    const sent = createHash('sha256');
    await using server = await startServer((socket) => {
      let left = 64;
      const push = (): void => {
        while (left > 0) {
          left -= 1;
          sent.update(block);
          if (!socket.write(block)) return;
        }
        socket.end();
      };
      socket.on('drain', push);
      push();
    });
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    const client = await harness.dialHost('127.0.0.1', server.port);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const held = process.memoryUsage().arrayBuffers;
    const received = createHash('sha256');
    for await (const chunk of client) received.update(chunk as Buffer);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
    expect(held).toBeLessThan(40 << 20);
  });

  it('resets a connection to what no rule names, tells it and records it', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`a.example:${server.port}`], names: { 'a.example': ['127.0.0.1'] } });
    const unmapped = await harness.dialHost('127.9.9.9', server.port);
    expect(await readAll(unmapped)).toEqual({ text: '', reset: true });
    expect(harness.denials).toEqual([
      {
        message: `127.9.9.9:${server.port} is not in the rules of connector x; add it under connectors.x.network`,
        host: '127.9.9.9',
        port: server.port,
      },
    ]);
    expect(await harness.records()).toMatchObject([
      { type: 'decision', verdict: 'deny', reason: 'not_in_rules', host: '127.9.9.9', via: 'host' },
    ]);
    expect(harness.lookups).toEqual([]);
    expect(server.count()).toBe(0);
  });

  it('refuses another port of an allowed host', async () => {
    await using server = await startServer(echo);
    const rules = [`a.example:1`, `b.example:${server.port}`];
    await using harness = await startHarness({ rules, names: { 'a.example': ['127.0.0.1'] } });
    const client = await harness.dialHost('a.example', server.port);
    expect((await readAll(client)).reset).toBe(true);
    expect(harness.denials[0]?.message).toBe(
      `a.example:${server.port} is not in the rules of connector x; add it under connectors.x.network`,
    );
  });

  it('resets a connection whose target cannot be reached, which is no denial', async () => {
    const server = await startServer(echo);
    const { port } = server;
    await server[Symbol.asyncDispose]();
    await using harness = await startHarness({ rules: [`127.0.0.1:${port}`] });
    expect((await readAll(await harness.dialHost('127.0.0.1', port))).reset).toBe(true);
    expect(harness.denials).toEqual([]);
    await eventually(async () =>
      expect((await harness.records())[1]).toMatchObject({ type: 'end', end: 'unreachable', error: 'ECONNREFUSED' }),
    );
  });

  it('tries the next checked address when one does not answer', async () => {
    await using server = await startServer(echo);
    const rules = [`a.example:${server.port}`, `127.0.0.0/8:${server.port}`];
    await using harness = await startHarness({ rules, names: { 'a.example': ['127.0.0.77', '127.0.0.1'] } });
    const client = await harness.dialHost('a.example', server.port);
    client.end('x');
    expect(await readAll(client)).toEqual({ text: 'x', reset: false });
    await eventually(async () => expect((await harness.records())[1]).toMatchObject({ address: '127.0.0.1' }));
  });

  it('passes a reset on', async () => {
    await using server = await startServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    const client = await harness.dialHost('127.0.0.1', server.port);
    client.write('x');
    expect((await readAll(client)).reset).toBe(true);
    await eventually(async () => expect((await harness.records())[1]).toMatchObject({ end: 'reset' }));
  });
});

describe('an address', () => {
  it.each([
    ['loopback', ['127.0.0.1']],
    ['metadata', ['169.254.169.254']],
    ['a public one mixed with a private one', ['8.8.8.8', '10.0.0.1']],
    ['mapped loopback', ['::ffff:127.0.0.1']],
    ['NAT64 metadata', ['64:ff9b::a9fe:a9fe']],
  ])('that a name resolves to is refused: %s', async (_what, addresses) => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`a.example:${server.port}`], names: { 'a.example': addresses } });
    expect((await readAll(await harness.dialHost('a.example', server.port))).reset).toBe(true);
    expect(harness.denials[0]?.message).toContain(
      `a.example:${server.port} resolves to ${addresses.at(-1)?.replace('::ffff:127.0.0.1', '::ffff:7f00:1')}, which is in a refused range`,
    );
    expect(await harness.records()).toMatchObject([{ verdict: 'deny', reason: 'refused_address' }]);
    expect(server.count()).toBe(0);
  });

  it('is resolved once a connection, and the one that was checked is dialled (DNS rebinding)', async () => {
    await using server = await startServer(echo);
    const answers = [['127.0.0.1'], ['127.0.0.2']];
    const rules = [`a.example:${server.port}`, `127.0.0.1:${server.port}`];
    await using harness = await startHarness({ rules, names: { 'a.example': () => answers.shift() ?? ['169.254.169.254'] } });
    const client = await harness.dialHost('a.example', server.port);
    client.end('one');
    expect((await readAll(client)).text).toBe('one');
    expect(harness.lookups).toEqual(['a.example']);
    expect((await readAll(await harness.dialHost('a.example', server.port))).reset).toBe(true);
    expect((await readAll(await harness.dialHost('a.example', server.port))).reset).toBe(true);
    expect(server.count()).toBe(1);
    expect(harness.denials).toHaveLength(2);
  });
});
