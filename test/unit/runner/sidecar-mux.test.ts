import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { createMux, frameReader, frameTypes, type Mux, muxLimits } from '../../../src/runner/sidecar-mux.ts';

interface Pair {
  readonly relay: Mux;
  readonly proxy: Mux;
  readonly links: readonly [Duplex, Duplex];
  /** The next connection that the proxy's side was given. */
  opened(): Promise<{ connection: Duplex; index: number; localAddress: string }>;
}

function pair(onDatagram?: (id: number, payload: Buffer) => void): Pair {
  const links = duplexPair() as [Duplex, Duplex];
  const waiting: ((value: { connection: Duplex; index: number; localAddress: string }) => void)[] = [];
  const relay = createMux({ link: links[0], ...(onDatagram && { onDatagram }) });
  const proxy = createMux({
    link: links[1],
    onOpen: (connection, index, localAddress) => waiting.shift()?.({ connection, index, localAddress }),
    onDatagram: (id, payload) => proxy.sendDatagram(id, payload),
  });
  return { relay, proxy, links, opened: () => new Promise((resolve) => waiting.push(resolve)) };
}

test('a connection tells its listener and the address that was dialled, and carries bytes both ways with half-close', async () => {
  const { relay, opened } = pair();
  const there = opened();
  const client = relay.open(7, '127.0.0.9');
  const { connection, index, localAddress } = await there;
  expect([index, localAddress]).toEqual([7, '127.0.0.9']);
  client.end('question');
  expect(String(Buffer.concat(await Array.fromAsync(connection.iterator({ destroyOnReturn: false }))))).toBe('question');
  connection.end('answer');
  expect(String(Buffer.concat(await Array.fromAsync(client)))).toBe('answer');
});

test('a side that does not read holds its own connection up, no other, and never more than a window', async () => {
  const { relay, opened } = pair();
  const [first, second] = [opened(), opened()];
  const slow = relay.open(0, 'a');
  const quick = relay.open(0, 'b');
  const { connection: deaf } = await first;
  const { connection } = await second;
  let drained = false;
  slow.write(Buffer.alloc(4 * muxLimits.windowBytes), () => {
    drained = true;
  });
  quick.end('through');
  expect(String(Buffer.concat(await Array.fromAsync(connection)))).toBe('through');
  expect(deaf.readableLength).toBeLessThanOrEqual(muxLimits.windowBytes);
  expect(drained).toBe(false);
  deaf.resume();
  await once(slow, 'drain');
  expect(drained).toBe(true);
});

test('destroying one end resets the other', async () => {
  const { relay, opened } = pair();
  const there = opened();
  const client = relay.open(0, 'a');
  const { connection } = await there;
  connection.destroy();
  await once(client, 'close');
  expect(client.readableEnded).toBe(false);
});

test('datagrams come back under their number', async () => {
  const { promise, resolve } = Promise.withResolvers<[number, string]>();
  const { relay } = pair((id, payload) => resolve([id, payload.toString()]));
  relay.sendDatagram(42, Buffer.from('who?'));
  expect(await promise).toEqual([42, 'who?']);
});

test('the end of the link ends every connection', async () => {
  const { relay, links, opened } = pair();
  const there = opened();
  const client = relay.open(0, 'a');
  const { connection } = await there;
  links[0].destroy();
  links[1].destroy();
  await Promise.all([client, connection].map((stream) => stream.closed || once(stream, 'close')));
});

test.each([
  { what: 'a payload over the limit', bytes: frame(1, frameTypes.data, muxLimits.payloadBytesMax + 1, Buffer.alloc(0)) },
  {
    what: 'a number that is taken',
    bytes: Buffer.concat([frame(1, frameTypes.open, 3, Buffer.from('\0\0a')), frame(1, frameTypes.open, 3, Buffer.from('\0\0a'))]),
  },
  { what: 'an open without an index', bytes: frame(1, frameTypes.open, 0, Buffer.alloc(0)) },
])('$what ends the link', async ({ bytes }) => {
  const { links } = pair();
  links[0].write(bytes);
  await once(links[1], 'close');
});

test('more bytes than the window allows end the connection', async () => {
  const { links, opened } = pair();
  const there = opened();
  links[0].write(frame(9, frameTypes.open, 3, Buffer.from('\0\0a')));
  const { connection } = await there;
  const piece = Buffer.alloc(muxLimits.payloadBytesMax);
  for (let sent = 0; sent <= muxLimits.windowBytes; sent += piece.length) links[0].write(frame(9, frameTypes.data, piece.length, piece));
  await once(connection, 'close');
});

test('however many wait for the link, they have one listener on it', async () => {
  const { relay, links } = pair();
  const many = 50;
  // Nobody reads at the other end, so that the link is full from the first on.
  links[1].pause();
  const connections = Array.from({ length: many }, () => relay.open(0, 'a'));
  let written = 0;
  for (const connection of connections) {
    connection.write(Buffer.alloc(muxLimits.payloadBytesMax), () => {
      written += 1;
    });
  }
  expect(links[0].writableNeedDrain).toBe(true);
  expect(links[0].listenerCount('drain')).toBe(1);
  links[1].resume();
  await vi.waitFor(() => expect(written).toBe(many), { timeout: 20_000 });
});

test('connections over the limit are reset', async () => {
  const { relay } = pair();
  const connections = Array.from({ length: muxLimits.connectionsMax + 1 }, () => relay.open(0, 'a'));
  await once(connections.at(-1) as Duplex, 'close');
  expect(connections.filter(({ destroyed }) => destroyed)).toHaveLength(1);
});

test('frames are put together from single bytes', () => {
  const got: [number, number, string][] = [];
  const read = frameReader((id, type, payload) => got.push([id, type, payload.toString()]), expect.unreachable);
  for (const byte of Buffer.concat([frame(1, 2, 3, Buffer.from('abc')), frame(2, 3, 0, Buffer.alloc(0))])) read(Buffer.of(byte));
  expect(got).toEqual([
    [1, 2, 'abc'],
    [2, 3, ''],
  ]);
});

function frame(id: number, type: number, length: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt32BE(id, 0);
  header[4] = type;
  header.writeUInt32BE(length, 5);
  return Buffer.concat([header, payload]);
}
