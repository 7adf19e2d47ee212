import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { allocateOwned, giveBack, keptBytesMax, keptMs } from '../../../src/lib/owned-memory.ts';

const megabyte = 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.advanceTimersByTime(keptMs);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test.each([10_000, 8 * megabyte])('owned memory of %i bytes is given back whole, by any part of it and once', (bytes) => {
  const owned = allocateOwned(bytes);
  const part = owned.subarray(10, 20);
  giveBack(part);
  giveBack(part);
  expect([owned.length, part.length]).toEqual([0, 0]);
});

test('other memory, and texts, are left alone', () => {
  const other = Buffer.alloc(10_000);
  giveBack(other.subarray(5));
  giveBack('text');
  expect(other).toHaveLength(10_000);
});

/** Pages that are new hold zeros. */
function isUsed(bytes: Buffer): boolean {
  return bytes[0] !== 0;
}

function use(count: number): void {
  const buffers = Array.from({ length: count }, () => allocateOwned(8 * megabyte));
  for (const buffer of buffers) buffer[0] = 1;
  for (const buffer of buffers) giveBack(buffer);
}

test('pages are kept for the next large texts, up to a bound, until none came for a while', () => {
  const most = keptBytesMax / (8 * megabyte);
  use(most + 1);
  vi.advanceTimersByTime(keptMs - 1);
  const again = Array.from({ length: most + 1 }, () => allocateOwned(7 * megabyte));
  expect(again.map(isUsed)).toEqual([...Array.from({ length: most }, () => true), false]);
  expect(again.every(({ length }) => length === 7 * megabyte)).toBe(true);
  // That was a use, so that they are kept anew.
  for (const buffer of again) giveBack(buffer);
  vi.advanceTimersByTime(keptMs - 1);
  expect(isUsed(allocateOwned(8 * megabyte))).toBe(true);
  vi.advanceTimersByTime(keptMs);
  expect(isUsed(allocateOwned(8 * megabyte))).toBe(false);
});

test('a small text is not given the pages of a large one', () => {
  use(1);
  expect(isUsed(allocateOwned(3 * megabyte))).toBe(false);
});
