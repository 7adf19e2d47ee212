import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Asker, addressesMax, createResolver } from '../../../src/egress/resolve.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';

const never: Asker = { connector: 'x' as ConnectorName, signal: new AbortController().signal };
const lookupsWaitingMax = 128;

/** A DNS server on loopback that answers A questions with these addresses, or not at all. */
async function startDns(addresses: readonly string[] | undefined) {
  const socket = createSocket('udp4');
  let count = 0;
  socket.on('message', (query, peer) => {
    count += 1;
    if (!addresses) return;
    const isA = query.readUInt16BE(query.indexOf(0, 12) + 1) === 1;
    const found = isA ? addresses : [];
    const answer = Buffer.from(query.subarray(0, query.indexOf(0, 12) + 5));
    answer.writeUInt16BE(0x8180, 2);
    answer.writeUInt16BE(found.length, 6);
    answer.writeUInt32BE(0, 8);
    const records = found.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...address.split('.').map(Number)]));
    socket.send(Buffer.concat([answer, ...records]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { server: `127.0.0.1:${socket.address().port}`, count: () => count, [Symbol.dispose]: () => void socket.close() };
}

describe('the resolver', () => {
  it('asks the given servers, once for callers of the same time', async () => {
    using dns = await startDns(['1.2.3.4', '5.6.7.8']);
    const resolve = createResolver({ lookupsWaitingMax, lookupTimeoutMs: 5_000, servers: [dns.server] });
    const answers = await Promise.all([resolve('a.example', never), resolve('a.example', never)]);
    expect(answers.map((addresses) => addresses.map(({ text }) => text))).toEqual([
      ['1.2.3.4', '5.6.7.8'],
      ['1.2.3.4', '5.6.7.8'],
    ]);
    expect(dns.count()).toBe(2); // A and AAAA
  });

  it('gives up after its time, and at once when it is aborted', async () => {
    using dns = await startDns(undefined);
    const resolve = createResolver({ lookupsWaitingMax, lookupTimeoutMs: 100, servers: [dns.server] });
    await expect(resolve('a.example', never)).rejects.toThrow('a.example did not resolve within 100 ms');
    const slow = createResolver({ lookupsWaitingMax, lookupTimeoutMs: 60_000, servers: [dns.server] });
    await expect(slow('b.example', { ...never, signal: AbortSignal.timeout(20) })).rejects.toThrow('timeout');
  });

  it('refuses an answer without addresses, and one with too many', async () => {
    using empty = await startDns([]);
    await expect(
      createResolver({ lookupsWaitingMax, lookupTimeoutMs: 5_000, servers: [empty.server] })('a.example', never),
    ).rejects.toThrow('a.example');
    using many = await startDns(Array.from({ length: addressesMax + 1 }, (_, index) => `8.8.8.${index}`));
    const resolve = createResolver({ lookupsWaitingMax, lookupTimeoutMs: 5_000, servers: [many.server] });
    await expect(resolve('a.example', never)).rejects.toThrow(`more than ${addressesMax} addresses`);
  });

  it('asks the system otherwise, more names at a time than it has slots', async () => {
    const resolve = createResolver({ lookupsWaitingMax, lookupTimeoutMs: 15_000 });
    const answers = await Promise.all(
      ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4', 'localhost'].map((name) => resolve(name, never)),
    );
    expect(answers.map(([first]) => first?.text).slice(0, 4)).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']);
    expect(['127.0.0.1', '::1']).toContain(answers[4]?.[0]?.text);
  });

  it('lets so many lookups of one connector wait, and drops those that nobody waits for any more', async () => {
    // Not in Node's eyes, but in getaddrinfo's they are addresses: it asks nobody.
    const resolve = createResolver({ lookupsWaitingMax: 1, lookupTimeoutMs: 15_000 });
    const leaving = new AbortController();
    const first = Promise.all(['127.1', '127.2'].map((name) => resolve(name, never)));
    const left = resolve('127.3', { ...never, signal: leaving.signal });
    await expect(resolve('127.4', never)).rejects.toThrow('127.4 was not looked up: 1 lookups of connector x wait already');
    const other = resolve('127.4', { ...never, connector: 'y' as ConnectorName });
    leaving.abort();
    await expect(left).rejects.toThrow('aborted');
    const next = resolve('127.3', never);
    const answers = [...(await first), await other, await next];
    expect(answers.map(([address]) => address?.text)).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.4', '127.0.0.3']);
  });

  it('asks nobody for a caller that has gone', async () => {
    using dns = await startDns(['1.2.3.4']);
    const resolve = createResolver({ lookupsWaitingMax, lookupTimeoutMs: 5_000, servers: [dns.server] });
    await expect(resolve('a.example', { ...never, signal: AbortSignal.abort() })).rejects.toThrow('aborted');
    expect(dns.count()).toBe(0);
  });
});
