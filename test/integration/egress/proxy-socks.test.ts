import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readHead } from '../../../src/egress/read-head.ts';
import { echo, eventually, type Harness, startHarness, startServer } from './harness.ts';

async function take(socket: Socket, length: number): Promise<Buffer> {
  return await readHead(socket, {
    bytesMax: 1_000,
    timeoutMs: 10_000,
    parse: (bytes) => (bytes.length < length ? undefined : { value: bytes.subarray(0, length), used: length }),
  });
}

function request(host: string | readonly number[], port: number, command = 1): Buffer {
  const address = typeof host === 'string' ? [3, host.length, ...Buffer.from(host, 'latin1')] : [host.length === 4 ? 1 : 4, ...host];
  return Buffer.from([5, command, 0, ...address, port >> 8, port & 255]);
}

async function ask(harness: Harness, bytes: Buffer): Promise<{ client: Socket; code: number | undefined }> {
  const client = await harness.dialProxy();
  client.write(Buffer.from([5, 1, 0]));
  expect([...(await take(client, 2))]).toEqual([5, 0]);
  client.write(bytes);
  return { client, code: (await take(client, 10))[1] };
}

const names = { 'a.ok.example': ['127.0.0.1'], 'private.ok.example': ['10.0.0.1'] };

describe('the SOCKS5 front', () => {
  it('carries bytes to a name and to an address that rules allow', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`*.ok.example:${server.port}`, `127.0.0.1:${server.port}`], names });
    for (const host of ['a.ok.example', 'A.OK.example.', [127, 0, 0, 1]]) {
      const { client, code } = await ask(harness, request(host, server.port));
      expect(code).toBe(0);
      client.end('ping');
      expect((await take(client, 4)).toString()).toBe('ping');
    }
    await eventually(async () => expect((await harness.records()).filter(({ type }) => type === 'end')).toHaveLength(3));
    expect((await harness.records())[0]).toMatchObject({ via: 'socks5', host: 'a.ok.example', rule: `*.ok.example:${server.port}` });
  });

  it('takes greeting, request and first bytes in one piece, and in single bytes', async () => {
    await using server = await startServer(echo);
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    const all = Buffer.concat([Buffer.from([5, 2, 2, 0]), request([127, 0, 0, 1], server.port), Buffer.from('early')]);
    const whole = await harness.dialProxy();
    whole.write(all);
    expect((await take(whole, 2 + 10 + 5)).subarray(12).toString()).toBe('early');
    whole.destroy();
    const drip = await harness.dialProxy();
    drip.setNoDelay(true);
    for (const byte of all) {
      drip.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await take(drip, 2 + 10 + 5)).subarray(12).toString()).toBe('early');
    drip.destroy();
  });

  it.each([
    ['a host of no rule', request('evil.example', 443), 2],
    ['another port', request('a.ok.example', 80), 2],
    ['metadata', request([169, 254, 169, 254], 443), 2],
    ['IPv6 loopback', request([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 443), 2],
    ['mapped loopback', request([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1], 443), 2],
    ['a decimal address as a name', request('2130706433', 443), 2],
    ['an escape in a name', request('a.ok.example%00.evil.org', 443), 2],
    ['NUL in a name', request('evil.org\0.ok.example', 443), 2],
    ['an IPv6 literal as a name', request('::1', 443), 2],
    ['an empty name', request('', 443), 2],
    ['port 0', request('a.ok.example', 0), 2],
    ['a name that resolves to a private address', request('private.ok.example', 443), 2],
  ])('refuses %s with "not allowed", tells it and records it', async (_what, bytes, expected) => {
    await using harness = await startHarness({ rules: ['*.ok.example:443'], names });
    const { client, code } = await ask(harness, bytes);
    expect(code).toBe(expected);
    client.resume();
    await once(client, 'end');
    expect(harness.denials).toHaveLength(1);
    expect(await harness.records()).toMatchObject([{ verdict: 'deny', via: 'socks5' }]);
  });

  it.each([
    ['BIND', request('a.ok.example', 443, 2), 7],
    ['UDP ASSOCIATE', request('a.ok.example', 443, 3), 7],
    ['an unknown kind of address', Buffer.from([5, 1, 0, 9, 0, 0, 0]), 8],
    ['another version in the request', Buffer.from([4, 1, 0, 1, 0, 0, 0]), 1],
    ['a name that does not resolve', request('nowhere.ok.example', 443), 4],
  ])('refuses %s with its own code', async (_what, bytes, expected) => {
    await using harness = await startHarness({ rules: ['*.ok.example:443'], names });
    expect((await ask(harness, bytes)).code).toBe(expected);
  });

  it('tells a refused connection from a denial', async () => {
    const server = await startServer(echo);
    await server[Symbol.asyncDispose]();
    await using harness = await startHarness({ rules: [`127.0.0.1:${server.port}`] });
    expect((await ask(harness, request([127, 0, 0, 1], server.port))).code).toBe(5);
    expect(harness.denials).toEqual([]);
  });

  it('refuses clients that insist on authentication', async () => {
    await using harness = await startHarness({ rules: ['*.ok.example:443'] });
    const client = await harness.dialProxy();
    client.write(Buffer.from([5, 1, 2]));
    expect([...(await take(client, 2))]).toEqual([5, 0xff]);
    client.resume();
    await once(client, 'end');
  });
});
