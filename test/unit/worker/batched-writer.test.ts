import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BatchedWriter } from '../../../src/worker/batched-writer.ts';

/** A stdin that takes nothing until told, and notes what each write held. */
function slowStream() {
  const writes: string[] = [];
  let release: (() => void) | undefined;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.toString());
      release = done;
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => (chunk as Buffer).toString()).join('|'));
      release = done;
    },
  });
  return { stream, writes, release: () => release?.() };
}

const bytes = (text: string) => [Buffer.from(text)];

test('a message alone is written at once, those that come together are written together', async () => {
  const { stream, writes, release } = slowStream();
  const writer = new BatchedWriter(stream, 1000);
  writer.write(bytes('a'), 'now');
  expect(writes).toEqual(['a']);
  release();
  for (const text of ['b', 'c', 'd']) writer.write(bytes(text), 'batched');
  expect(writes).toEqual(['a']);
  await nextTurn();
  expect(writes).toEqual(['a', 'bcd']);
});

test('what is collected is never overtaken', async () => {
  const { stream, writes } = slowStream();
  const writer = new BatchedWriter(stream, 1000);
  writer.write(bytes('a'), 'batched');
  writer.write(bytes('b'), 'now');
  expect(writes).toEqual(['ab']);
  await nextTurn();
  expect(writes).toEqual(['ab']);
});

test('tells when there is no room beside what the stream has not taken, collected or not', () => {
  const { stream, release } = slowStream();
  const writer = new BatchedWriter(stream, 10);
  writer.write(bytes('12345678'), 'now');
  expect([writer.hasRoomFor(2), writer.hasRoomFor(3)]).toEqual([true, false]);
  writer.write(bytes('12'), 'batched');
  expect(writer.queuedBytes).toBe(10);
  expect(writer.hasRoomFor(1)).toBe(false);
  release();
  expect(writer.queuedBytes).toBe(2);
});

test('large parts are written without being copied together', async () => {
  const { stream, writes, release } = slowStream();
  const writer = new BatchedWriter(stream, 1_000_000);
  writer.write([Buffer.from('['), Buffer.alloc(40_000, 'x'), Buffer.from(']')], 'now');
  expect(writes).toEqual([`[|${'x'.repeat(40_000)}|]`]);
  release();
});
