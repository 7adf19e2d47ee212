import { expect, test } from 'vitest';
import { decimalAt } from '../../../src/lib/decimal.ts';

test.each([
  ['0', 0, 0],
  ['107', 0, 107],
  ['007', 0, 7],
  ['ab12', 2, 12],
  ['9007199254740991', 0, Number.MAX_SAFE_INTEGER],
  ['1'.repeat(400), 0, Number.POSITIVE_INFINITY],
])('%j from %d on says %d', (text, start, value) => {
  expect(decimalAt(text, start)).toBe(value);
});

test.each([
  ['', 0],
  ['12', 2],
  ['12', 3],
  ['1 ', 0],
  ['-1', 0],
  ['1e3', 0],
  ['0x1', 0],
  ['१', 0],
])('%j from %d on says no number', (text, start) => {
  expect(decimalAt(text, start)).toBeNaN();
});
