import { describe, expect, test } from 'vitest';
import { CodeCounts, codesMax, DurationCounts } from '../../../src/http/counts.ts';

describe('CodeCounts', () => {
  test('counts each code', () => {
    const codes = new CodeCounts();
    for (const code of ['ok', 'NoSuchFile', 'ok']) codes.add(code);
    expect(codes.all()).toEqual([
      ['ok', 2],
      ['NoSuchFile', 1],
    ]);
  });

  test('counts what comes after so many codes as other', () => {
    const codes = new CodeCounts();
    for (let index = 0; index < codesMax + 10; index += 1) codes.add(`code-${index}`);
    codes.add('code-0');
    const all = new Map(codes.all());
    expect(all.size).toBe(codesMax + 1);
    expect(all.get('other')).toBe(10);
    expect(all.get('code-0')).toBe(2);
  });
});

describe('DurationCounts', () => {
  test('counts up to each bound, and all', () => {
    const durations = new DurationCounts();
    for (const ms of [0, 1, 1.1, 700, 50_000]) durations.observe(ms);
    const values = durations.values('d', { phase: 'run' });
    const counts = new Map(values.map(({ metricName, labels, value }) => [`${metricName} ${labels['le'] ?? ''}`, value]));
    expect(counts.get('d_bucket 0.001')).toBe(2);
    expect(counts.get('d_bucket 0.0025')).toBe(3);
    expect(counts.get('d_bucket 0.5')).toBe(3);
    expect(counts.get('d_bucket 1')).toBe(4);
    expect(counts.get('d_bucket 40')).toBe(4);
    expect(counts.get('d_bucket +Inf')).toBe(5);
    expect(counts.get('d_count ')).toBe(5);
    expect(counts.get('d_sum ')).toBeCloseTo(50.7021);
    expect(values.every(({ labels }) => labels['phase'] === 'run')).toBe(true);
  });

  test('tells nothing while there is nothing', () => {
    expect(new DurationCounts().values('d', {})).toEqual([]);
  });
});
