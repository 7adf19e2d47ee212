import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { allocateOwned } from '../../../src/lib/owned-memory.ts';
import { company, partBytesMax } from '../../../src/lib/turn-share.ts';
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
  writer.write(bytes('a'), 'alone');
  expect(writes).toEqual(['a']);
  release();
  for (const text of ['b', 'c', 'd']) writer.write(bytes(text), 'among others');
  expect(writes).toEqual(['a']);
  await nextTurn();
  expect(writes).toEqual(['a', 'bcd']);
});

test('after a turn with several messages the next one waits for the end of its turn, until a turn has only one again', async () => {
  const { stream, writes, release } = slowStream();
  const writer = new BatchedWriter(stream, 1000);
  const turn = async (...texts: string[]): Promise<string[]> => {
    for (const [index, text] of texts.entries()) writer.write([text], index === 0 ? 'alone' : 'among others');
    const atOnce = [...writes];
    await nextTurn();
    while (stream.writableLength > 0) release();
    return atOnce;
  };
  expect(await turn('a', 'b')).toEqual(['a']);
  expect(await turn('c', 'd')).toEqual(['a', 'b']);
  expect(await turn('e')).toEqual(['a', 'b', 'cd']);
  expect(await turn('f')).toEqual(['a', 'b', 'cd', 'e', 'f']);
});

test('texts are written together byte for character, also beside buffers', async () => {
  const { stream, writes, release } = slowStream();
  const writer = new BatchedWriter(stream, 1000);
  const text = Buffer.from('é').toString('latin1');
  for (const pieces of [[text], [text, Buffer.from('ü')]]) {
    writer.write(pieces, 'among others');
    await nextTurn();
    release();
  }
  expect(writes).toEqual(['é', 'éü']);
});

test('what is collected is never overtaken', async () => {
  const { stream, writes } = slowStream();
  const writer = new BatchedWriter(stream, 1000);
  writer.write(bytes('a'), 'among others');
  writer.write(bytes('b'), 'alone');
  expect(writes).toEqual(['ab']);
  await nextTurn();
  expect(writes).toEqual(['ab']);
});

test('tells when there is no room beside what the stream has not taken, collected or not', () => {
  const { stream, release } = slowStream();
  const writer = new BatchedWriter(stream, 10);
  writer.write(bytes('12345678'), 'alone');
  expect([writer.hasRoomFor(2), writer.hasRoomFor(3)]).toEqual([true, false]);
  writer.write(bytes('12'), 'among others');
  expect(writer.queuedBytes).toBe(10);
  expect(writer.hasRoomFor(1)).toBe(false);
  release();
  expect(writer.queuedBytes).toBe(2);
});

test('large parts are written without being copied together', async () => {
  const { stream, writes, release } = slowStream();
  const writer = new BatchedWriter(stream, 1_000_000);
  writer.write([Buffer.from('['), Buffer.alloc(40_000, 'x'), Buffer.from(']')], 'alone');
  expect(writes).toEqual([`[|${'x'.repeat(40_000)}|]`]);
  release();
});

test('the memory of a large message is given back once the stream is done with all of it, and not before', async () => {
  const large = () => {
    const owned = allocateOwned(50_000);
    return [owned.subarray(0, 20_000), 'between', owned.subarray(20_000)] as const;
  };
  const { stream, release } = slowStream();
  stream.on('error', () => {});
  const writer = new BatchedWriter(stream, 1_000_000);
  const [taken, untaken] = [large(), large()];
  writer.write(taken, 'alone');
  await nextTurn();
  expect(taken[0]).toHaveLength(20_000);
  while (stream.writableLength > 0) {
    release();
    await nextTurn();
  }
  expect([taken[0].length, taken[2].length]).toEqual([0, 0]);
  writer.write(untaken, 'alone');
  stream.destroy(new Error('gone'));
  await nextTurn();
  expect([untaken[0].length, untaken[2].length]).toEqual([20_000, 30_000]);
  release();
  await nextTurn();
  expect([untaken[0].length, untaken[2].length]).toEqual([0, 0]);
});

describe('while small calls come', () => {
  const turn = async (): Promise<void> => {
    company.ended(performance.now(), 0);
    await nextTurn();
    await nextTurn();
  };

  test('a large message is written in parts, each in a turn once the last one is taken, and nothing overtakes it', async () => {
    const { stream, writes, release } = slowStream();
    const writer = new BatchedWriter(stream, 10 * partBytesMax);
    const owned = allocateOwned(2 * partBytesMax).fill('x');
    await turn();
    writer.write(['head', owned, 'tail'], 'alone');
    writer.write(bytes('next'), 'alone');
    writer.end();
    expect(writes.map((written) => written.replaceAll('|', '').length)).toEqual([partBytesMax]);
    expect(writer.queuedBytes).toBe(2 * partBytesMax + 12);
    await turn();
    expect(writes).toHaveLength(1);
    for (let part = 2; stream.writableLength > 0; part += 1) {
      release();
      await turn();
      if (part <= 3) expect([writes.length, owned.length]).toEqual([part, 2 * partBytesMax]);
    }
    expect(writes.join('').replaceAll('|', '')).toBe(`head${'x'.repeat(2 * partBytesMax)}tailnext`);
    expect([owned.length, writer.queuedBytes, stream.writableEnded]).toEqual([0, 0, true]);
  });

  test('of a message whose rest nobody takes the memory is given back', async () => {
    const { stream, release } = slowStream();
    stream.on('error', () => {});
    const writer = new BatchedWriter(stream, 10 * partBytesMax);
    const owned = allocateOwned(3 * partBytesMax);
    await turn();
    writer.write([owned], 'alone');
    release();
    stream.destroy(new Error('gone'));
    await turn();
    expect([owned.length, writer.queuedBytes]).toEqual([0, 0]);
  });
});
