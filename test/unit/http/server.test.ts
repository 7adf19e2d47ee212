import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createCatalog } from '../../../src/catalog/catalog.ts';
import { lingerTimeoutMs } from '../../../src/http/answer.ts';
import { startServer } from '../../../src/http/server.ts';
import type { Invocation, Outcome } from '../../../src/worker/invocation.ts';
import { availableEntry, echo, serveApp, spiff } from './served-app.ts';

const request = 'POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';

interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: Promise<void>;
}

function open(port: number): Client {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString();
  });
  socket.on('error', () => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('close', () => resolve());
  return { socket, received: () => received, closed: promise };
}

async function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.on('connect', () => resolve(true));
  socket.on('error', () => resolve(false));
  const result = await promise;
  socket.destroy();
  return result;
}

describe('limits', () => {
  test('headers that do not come in time end the connection with 408', async () => {
    await using app = await serveApp({ limits: { headersTimeoutMs: 300 } });
    const client = open(app.port);
    client.socket.write('POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\n');
    await client.closed;
    expect(client.received()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('headers that are too large are 431', async () => {
    await using app = await serveApp();
    const client = open(app.port);
    client.socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    await client.closed;
    expect(client.received()).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('what is no HTTP is 400 in JSON', async () => {
    await using app = await serveApp();
    const client = open(app.port);
    client.socket.write('hello\r\n\r\n');
    await client.closed;
    expect(client.received()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/json\r\n/);
    expect(client.received()).toContain('"error_code":"invalid_request"');
  });

  test('connections over the limit are ended', async () => {
    await using app = await serveApp({ limits: { connectionsMax: 2 } });
    const clients = [open(app.port), open(app.port)];
    await vi.waitFor(() => expect(app.connections()).toBe(2));
    const third = open(app.port);
    await third.closed;
    clients[0]?.socket.write(request);
    await vi.waitFor(() => expect(clients[0]?.received()).toContain('200 OK'));
    for (const { socket } of clients) socket.destroy();
    await vi.waitFor(() => expect(app.connections()).toBe(0));
  });

  test('a client that takes nothing of a large answer loses its connection', async () => {
    const text = JSON.stringify({ response: 'x'.repeat(40_000_000), mimetype: 'text/plain' });
    await using app = await serveApp({ invoke: spiff(text), server: { answerTimeoutMs: 300 } });
    const client = open(app.port);
    client.socket.pause();
    client.socket.write(request);
    await vi.waitFor(() => expect(app.lines).toHaveLength(1), 10_000);
    await vi.waitFor(() => expect(app.connections()).toBe(0), 10_000);
    client.socket.destroy();
  });

  /** Two requests in one packet: the answers go out in their order, whichever is ready first. */
  async function servePair(first: () => Promise<Outcome>, second: () => Promise<Outcome>) {
    const outcomes = [first, second];
    const app = await serveApp({ invoke: async () => (await outcomes.shift()?.()) as Outcome, server: { answerTimeoutMs: 300 } });
    return { app, client: open(app.port) };
  }
  const small = (): Outcome => spiff('{"response":"small","mimetype":"text/plain"}')();
  const large = (): Outcome => spiff(JSON.stringify({ response: 'x'.repeat(40_000_000), mimetype: 'text/plain' }))();
  const later = async (ms: number, outcome: Outcome): Promise<Outcome> => {
    await sleep(ms);
    return outcome;
  };

  test('so does one whose large answer had to wait for its turn', async () => {
    const { app, client } = await servePair(
      () => later(400, small()),
      () => Promise.resolve(large()),
    );
    await using _ = app;
    client.socket.pause();
    client.socket.write(request + request);
    await vi.waitFor(() => expect(app.lines).toHaveLength(2), 10_000);
    await vi.waitFor(() => expect(app.connections()).toBe(0), 10_000);
    client.socket.destroy();
  });

  test('one that has taken a large answer may wait longer for the next', async () => {
    const isTaken = Promise.withResolvers<void>();
    const { app, client } = await servePair(
      () => Promise.resolve(large()),
      () => isTaken.promise.then(() => later(1200, small())),
    );
    await using _ = app;
    client.socket.write(request + request);
    await vi.waitFor(() => expect(client.received().length).toBeGreaterThan(40_000_000), 10_000);
    isTaken.resolve();
    await vi.waitFor(() => expect(client.received()).toMatch(/small$/), 10_000);
    client.socket.destroy();
  });

  test('one that takes nothing of a list loses its connection, too', async () => {
    const schema = `{ type: object, properties: { text: { default: ${'x'.repeat(250_000)} } } }`;
    const manifest = (name: string): string =>
      `name: ${name}\nversion: 1.0.0\nrun: { command: [no] }\ncommands:\n  - name: C\n    parameters: ${schema}\n`;
    const entries = Array.from({ length: 160 }, (_, index) => availableEntry(`large-${index}`, manifest(`large-${index}`)));
    const catalog = createCatalog(entries);
    await using app = await serveApp({ catalog: () => catalog, server: { answerTimeoutMs: 300 } });
    const client = open(app.port);
    client.socket.pause();
    client.socket.write('GET /v1/connectors HTTP/1.1\r\nHost: x\r\n\r\n');
    await vi.waitFor(() => expect(app.connections()).toBe(1));
    await vi.waitFor(() => expect(app.connections()).toBe(0), 10_000);
    client.socket.destroy();
  });

  test('a body that goes on after its refusal is dropped for a while, then its connection is ended', async () => {
    await using app = await serveApp();
    const client = open(app.port);
    client.socket.write('POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n');
    const writing = setInterval(() => client.socket.write('x'.repeat(1000)), 50);
    const startedAt = Date.now();
    await client.closed;
    clearInterval(writing);
    expect(client.received()).toMatch(/^HTTP\/1\.1 413 /);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(lingerTimeoutMs - 100);
  });

  test('a client of HTTP/1.0 gets one answer, though it expects another first', async () => {
    await using app = await serveApp();
    const client = open(app.port);
    client.socket.write(request.replace('HTTP/1.1', 'HTTP/1.0').replace('\r\n\r\n{}', '\r\nExpect: 100-continue\r\n\r\n{'));
    await vi.waitFor(() => expect(app.connections()).toBe(1));
    client.socket.write('}');
    await client.closed;
    expect(client.received()).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('a port that is taken is told by rejecting', async () => {
    await using app = await serveApp();
    const options = { app: { handle() {} }, host: '127.0.0.1', port: app.port, limits: { headersTimeoutMs: 1, bodyTimeoutMs: 1 } };
    await expect(startServer(options)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    // Nor is it shared with one that does not say so itself.
    await expect(startServer({ ...options, sharePort: true })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('close', () => {
  test('ends idle connections at once, those that never asked too, and nothing listens', async () => {
    await using app = await serveApp();
    const silent = open(app.port);
    const kept = open(app.port);
    kept.socket.write(request);
    await vi.waitFor(() => expect(kept.received()).toContain('200 OK'));
    await vi.waitFor(() => expect(app.connections()).toBe(2));
    const startedAt = Date.now();
    await app.close(Date.now() + 30_000);
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    await Promise.all([silent.closed, kept.closed]);
    expect(app.connections()).toBe(0);
    expect(await isListening(app.port)).toBe(false);
  });

  test('lets an answer that is under way end, and says that the connection ends', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const invoke = async (invocation: Invocation): Promise<Outcome> => {
      await promise;
      return echo(invocation);
    };
    await using app = await serveApp({ invoke });
    const client = open(app.port);
    client.socket.write(request);
    await vi.waitFor(() => expect(app.invocations).toHaveLength(1));
    const closed = app.close(Date.now() + 30_000);
    expect(app.close(0)).toBe(closed);
    await sleep(100);
    expect(client.received()).toBe('');
    resolve();
    await closed;
    await client.closed;
    expect(client.received()).toContain('200 OK');
    expect(client.received()).toContain('"error": null');
    expect(client.received()).toContain('Connection: close');
  });

  test('says so in the last of several answers that are under way on a connection', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const invoke = (invocation: Invocation): Promise<Outcome> => promise.then(() => echo(invocation));
    await using app = await serveApp({ invoke });
    const client = open(app.port);
    client.socket.write(request + request);
    await vi.waitFor(() => expect(app.invocations).toHaveLength(2));
    const closed = app.close(Date.now() + 30_000);
    resolve();
    await closed;
    await client.closed;
    expect(client.received().match(/200 OK|Connection: [-a-z]+/g)).toEqual([
      '200 OK',
      'Connection: keep-alive',
      '200 OK',
      'Connection: close',
    ]);
  });

  test('ends what is still under way at the deadline', async () => {
    await using app = await serveApp({ invoke: () => new Promise<Outcome>(() => {}) });
    const client = open(app.port);
    client.socket.write(request);
    await vi.waitFor(() => expect(app.invocations).toHaveLength(1));
    await app.close(Date.now() + 200);
    await client.closed;
    expect(client.received()).toBe('');
    expect(app.invocations[0]?.signal.aborted).toBe(true);
    expect(await isListening(app.port)).toBe(false);
  });
});
