import { expect, test } from 'vitest';
import { allocateOwned, giveBack } from '../../../src/lib/owned-memory.ts';

test('owned memory is given back whole, by any part of it and once; other memory is left alone', () => {
  const owned = allocateOwned(10_000);
  const [part, other] = [owned.subarray(10, 20), Buffer.alloc(10_000)];
  giveBack(part);
  giveBack(part);
  expect([owned.length, part.length]).toEqual([0, 0]);
  giveBack(other.subarray(5));
  expect(other).toHaveLength(10_000);
});
