import { expect, test } from 'vitest';
import { putBytes, putDigits, putNumber, putText } from '../../../src/lib/put-ascii.ts';

const begin = 3;

function told(put: (into: Buffer, at: number) => number): string {
  const into = Buffer.alloc(64, '.');
  const end = put(into, begin);
  expect(into.toString('latin1', 0, begin)).toBe('...');
  expect(into.toString('latin1', end)).toMatch(/^\.*$/);
  return into.toString('latin1', begin, end);
}

test.each([0, 9, 10, 99, 100, 12_345, 999_999_999, 1e9, 2 ** 31, 2 ** 32 + 7, Number.MAX_SAFE_INTEGER])(
  '%d is put as it is written',
  (number) => {
    expect(told((into, at) => putNumber(into, at, number))).toBe(String(number));
  },
);

test.each([
  [0, 3, '000'],
  [7, 2, '07'],
  [999, 3, '999'],
  [123_456, 3, '456'],
])('the digits of %d, %d of them, are %s', (number, digits, text) => {
  expect(told((into, at) => putDigits(into, at, number, digits))).toBe(text);
});

test('bytes and text are put where they are asked to be', () => {
  expect(told((into, at) => putText(into, putBytes(into, at, Buffer.from('ab')), 'cd'))).toBe('abcd');
});
