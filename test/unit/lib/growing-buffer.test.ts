import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { GrowingBuffer } from '../../../src/lib/growing-buffer.ts';

test('holds what came, in order, at any time, and leaves small chunks alone', () => {
  const chunks = fc.array(
    fc.uint8Array({ minLength: 1, maxLength: 4000 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 8 },
  );
  void fc.assert(
    fc.property(chunks, fc.nat(20_000), fc.nat(60_000), (parts, bytesMax, expectedBytes) => {
      const copies = parts.map((part) => Buffer.from(part));
      const gathered = new GrowingBuffer(bytesMax, expectedBytes);
      for (const [index, part] of parts.entries()) {
        gathered.append(part);
        expect(gathered.whole()).toEqual(Buffer.concat(copies.slice(0, index + 1)));
        expect(gathered.length).toBe(gathered.whole().length);
      }
      expect(parts).toEqual(copies);
      gathered.clear();
      expect(gathered.whole()).toHaveLength(0);
      gathered.append(Buffer.from('next'));
      expect(gathered.whole().toString()).toBe('next');
    }),
    { numRuns: 200 },
  );
});

test('a large chunk is emptied once it is copied, unless its memory has something else', () => {
  const gathered = new GrowingBuffer(100_000);
  const chunks = [Buffer.alloc(8192, 1), Buffer.alloc(8192, 2), Buffer.alloc(8193, 3).subarray(1), Buffer.alloc(100, 4)];
  for (const chunk of chunks) gathered.append(chunk);
  expect(chunks.map(({ length }) => length)).toEqual([0, 0, 8192, 100]);
  expect(gathered.whole()).toEqual(
    Buffer.concat([Buffer.alloc(8192, 1), Buffer.alloc(8192, 2), Buffer.alloc(8192, 3), Buffer.alloc(100, 4)]),
  );
});

test('a lent chunk is copied, also as the first, and left alone', () => {
  const gathered = new GrowingBuffer(100_000);
  const lent = Buffer.allocUnsafeSlow(8192);
  for (const byte of [1, 2, 3]) gathered.append(lent.fill(byte), 'lent');
  expect(lent).toHaveLength(8192);
  expect(gathered.whole()).toEqual(Buffer.concat([1, 2, 3].map((byte) => Buffer.alloc(8192, byte))));
});

const chunk = (): Buffer => Buffer.alloc(100_000, 1);

test('one chunk is not copied; more of them share one buffer of the expected size', () => {
  const gathered = new GrowingBuffer(1_000_000, 300_000);
  const first = chunk();
  gathered.append(first);
  expect(gathered.whole().buffer).toBe(first.buffer);
  gathered.append(chunk());
  const { buffer } = gathered.whole();
  expect(buffer.byteLength).toBe(300_000);
  gathered.append(chunk());
  expect(gathered.whole().buffer).toBe(buffer);
});

test('room is made for no more than may come', () => {
  const gathered = new GrowingBuffer(500_000);
  for (let index = 0; index < 5; index += 1) gathered.append(Buffer.alloc(100_000));
  expect(gathered.whole().buffer.byteLength).toBe(500_000);
});

test('a text about as long as the one before it fits in at once', () => {
  const gathered = new GrowingBuffer(10_000_000);
  for (let index = 0; index < 8; index += 1) gathered.append(chunk());
  gathered.clear();
  gathered.append(chunk());
  gathered.append(chunk());
  const { buffer } = gathered.whole();
  expect(buffer.byteLength).toBe(900_000);
  for (let index = 0; index < 7; index += 1) gathered.append(chunk());
  expect(gathered.whole().buffer).toBe(buffer);
});

test('what it has outgrown is given back', () => {
  const gathered = new GrowingBuffer(1_000_000);
  gathered.append(Buffer.alloc(100, 1));
  gathered.append(Buffer.alloc(100, 2));
  const before = gathered.whole();
  gathered.append(Buffer.alloc(50_000, 3));
  expect(before).toHaveLength(0);
  expect(gathered.whole()).toEqual(Buffer.concat([Buffer.alloc(100, 1), Buffer.alloc(100, 2), Buffer.alloc(50_000, 3)]));
});
