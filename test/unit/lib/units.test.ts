import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { suggest } from '../../../src/lib/suggest.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/lib/units.ts';

describe('durations', () => {
  it.each([
    ['0s', 0],
    ['500ms', 500],
    ['40s', 40_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('%s is %d ms', (text, durationMs) => expect(parseDuration(text)).toBe(durationMs));

  it.each(['', '5', 's', '5 s', '-5s', '5S', '1e3s', '5sec', '5s ', '.5s', '1.2345s', '99999999999999999d'])('%j is none', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );

  it('read what they were written as', () => {
    fc.assert(fc.property(fc.nat(), (durationMs) => void expect(parseDuration(formatDuration(durationMs))).toBe(durationMs)));
  });
});

describe('sizes', () => {
  it.each([
    ['0B', 0],
    ['64kB', 64_000],
    ['64KiB', 65_536],
    ['256MiB', 268_435_456],
    ['1.5GiB', 1_610_612_736],
    ['1TB', 1e12],
  ])('%s is %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', '64', '64k', '64KB', '64mb', '64 MB', '-1B', '0x10B', '9007199254740993B'])('%j is none', (text) =>
    expect(parseSize(text)).toBeUndefined(),
  );

  it('read what they were written as', () => {
    fc.assert(fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => void expect(parseSize(formatSize(bytes))).toBe(bytes)));
  });

  it('are written short', () => {
    expect([formatSize(262_144), formatSize(64_000), formatSize(1000), formatDuration(90_000), formatDuration(60_000)]).toEqual([
      '256KiB',
      '64kB',
      '1kB',
      '90s',
      '1m',
    ]);
  });
});

describe('suggest', () => {
  it.each([
    ['nmae', 'name'],
    ['descripton', 'description'],
    ['Network', 'network'],
    ['limit', 'limits'],
    ['xyz', undefined],
    ['x'.repeat(10_000), undefined],
  ])('%.20s -> %s', (word, meant) => expect(suggest(word, ['name', 'network', 'description', 'limits'])).toBe(meant));
});
