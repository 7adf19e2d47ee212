import { Duplex, PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { attachedStreams, endOf, splitter } from '../../../src/runner/attach-stream.ts';

function frame(stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

test('frames come apart the same wherever the chunks are cut', () => {
  const frames = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 });
  void fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (list, cuts) => {
      const bytes = Buffer.concat(list.map(([stream, payload]) => frame(stream, payload)));
      const got: Record<number, Buffer[]> = { 0: [], 1: [], 2: [] };
      const split = splitter((stream, piece) => got[stream]?.push(Buffer.from(piece)), expect.unreachable);
      for (let at = 0, index = 0; at < bytes.length; index++) {
        const length = cuts[index % cuts.length] ?? 1;
        split(bytes.subarray(at, at + length));
        at += length;
      }
      for (const stream of [0, 1, 2]) {
        const sent = Buffer.concat(list.filter(([to]) => to === stream).map(([, payload]) => payload));
        expect(Buffer.concat(got[stream] ?? []).equals(sent)).toBe(true);
      }
    }),
  );
});

test('a stream that does not exist is a fault', () => {
  let faults = 0;
  splitter(
    () => expect.unreachable(),
    () => faults++,
  )(frame(3, Buffer.from('x')));
  expect(faults).toBe(1);
});

test('output that nobody reads stops the engine’s stream, and goes on once it is read', async () => {
  const raw = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  const { stdout, stderr, ended } = attachedStreams(raw);
  stderr.resume();
  for (let count = 0; count < 64; count++) raw.push(frame(1, Buffer.alloc(16_384)));
  raw.push(null);
  await new Promise(setImmediate);
  expect(raw.isPaused()).toBe(true);
  expect(stdout.readableLength).toBeLessThan(256 * 1024);
  let bytes = 0;
  for await (const chunk of stdout) bytes += (chunk as Buffer).length;
  expect(bytes).toBe(64 * 16_384);
  await ended;
});

test('one output that is destroyed does not hold the other up', async () => {
  const raw = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  const { stdout, stderr } = attachedStreams(raw);
  raw.push(frame(1, Buffer.alloc(1024 * 1024)));
  await new Promise(setImmediate);
  stdout.destroy();
  raw.push(frame(2, Buffer.from('seen')));
  raw.push(null);
  expect(String(Buffer.concat(await Array.fromAsync(stderr)))).toBe('seen');
});

test('what the target does not take stays countable, and end ends the target', async () => {
  const target = new PassThrough({ highWaterMark: 10 });
  const stdin = endOf(target);
  stdin.write(Buffer.alloc(20));
  stdin.write(Buffer.alloc(30));
  expect(stdin.writableLength).toBe(50);
  stdin.end();
  expect(Buffer.concat(await Array.fromAsync(target)).length).toBe(50);
});
