import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { goalsOf, verdict } from '../../bench/goals.ts';
import { Results } from '../../bench/harness/results.ts';
import { project } from '../../bench/harness/world.ts';

const run = promisify(execFile);

describe('the benchmark', () => {
  test('runs, and writes tables, figures and a chart', { timeout: 120_000 }, async () => {
    const output = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    try {
      const args = ['bench/main.ts', '--quick', '--only', 'overhead', '--output', output];
      const { stdout } = await run(process.execPath, args, { cwd: project });
      expect(stdout).toContain('logging and metrics: 64 connections');
      const { rows } = JSON.parse(await readFile(join(output, 'results.json'), 'utf8')) as { rows: { rounds: { perSecond: number }[] }[] };
      expect(rows).toHaveLength(2);
      for (const { rounds } of rows) expect(rounds[0]?.perSecond).toBeGreaterThan(0);
      expect(await readFile(join(output, 'chart.svg'), 'utf8')).toContain('both on');
    } finally {
      await rm(output, { recursive: true });
    }
  });

  test('refuses a section that it does not have', { timeout: 60_000 }, async () => {
    const refused = run(process.execPath, ['bench/main.ts', '--quick', '--only', 'nonsense'], { cwd: project });
    await expect(refused).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('There is no section nonsense') });
  });
});

describe('the goals', () => {
  const at = { series: 'small calls', point: '16 connections' };
  const measured = (perSecond: number) => {
    const results = new Results();
    results.add(at, 'hono echo', { perSecond: 1000 });
    results.add(at, 'bulkhead, static child', { perSecond });
    return goalsOf(results).find(({ what }) => what.includes('16 connections'));
  };

  /** Rounds of what the limit and Bulkhead reached. */
  const besideLimit = (rounds: readonly (readonly [number, number])[]) => {
    const results = new Results();
    for (const [limit, perSecond] of rounds) {
      results.add(at, 'hono echo', { perSecond: 1000 });
      results.add(at, 'bare server, static child', { perSecond: limit });
      results.add(at, 'bulkhead, static child', { perSecond });
    }
    return goalsOf(results).find(({ what }) => what.includes('16 connections'));
  };

  test.each([
    [950, 'met'],
    [850, 'missed'],
  ])('a rate of %i beside a limit of 1000 is %s', (perSecond, expected) => {
    const goal = measured(perSecond);
    expect(goal && verdict(goal)).toBe(expected);
  });

  test.each([
    { limit: 800, perSecond: 730, expected: 'at the limit' },
    { limit: 800, perSecond: 700, expected: 'missed' },
    { limit: 990, perSecond: 899, expected: 'at the limit' },
    { limit: 990, perSecond: 890, expected: 'missed' },
    { limit: 1000, perSecond: 899, expected: 'missed' },
  ])('a rate of $perSecond where the limit itself reaches $limit of the wanted 900 is $expected', ({ limit, perSecond, expected }) => {
    const goal = besideLimit([[limit, perSecond]]);
    expect(goal && verdict(goal)).toBe(expected);
  });

  test('how much of the limit was reached is the median of the rounds’ own ratios', () => {
    const goal = besideLimit([
      [800, 740],
      [500, 480],
      [880, 600],
    ]);
    expect(goal).toMatchObject({ measured: 0.6, limit: 0.8, limitShare: 0.925 });
    expect(goal && verdict(goal)).toBe('at the limit');
  });

  test('less than nothing is met where there is a most', () => {
    expect(verdict({ name: 'P9', what: '', measured: -0.4, bound: 60, sense: 'at most', unit: 'ms' })).toBe('met');
  });

  test('what was not measured is not met', () => {
    expect(new Set(goalsOf(new Results()).map(verdict))).toEqual(new Set(['not measured']));
  });

  test('a ratio is the median of the rounds’ own', () => {
    const results = new Results();
    for (const [one, other] of [
      [10, 20],
      [300, 100],
      [8, 10],
    ] as const) {
      results.add(at, 'one', { perSecond: one });
      results.add(at, 'other', { perSecond: other });
    }
    expect(results.ratio(at, ['one', 'other'], 'perSecond')).toBe(0.8);
  });
});
