import { describe, expect, test } from 'vitest';
import { type PoolCounts, type PoolPlan, poolPlan, startsWanted } from '../../../src/dispatch/pool-plan.ts';
import { ageStaggerMs, replacementTimeoutMs, retirement } from '../../../src/dispatch/retirement.ts';

const pooled: PoolPlan = {
  isSingleUse: false,
  spare: 0,
  max: 4,
  concurrency: 8,
  queueMax: 64,
  idleTimeoutMs: 1000,
  ageTimeoutMs: 60_000,
  invocationsMax: 100,
};
const none: PoolCounts = { open: 0, worn: 0, free: 0, starting: 0, closing: 0, waiting: 0 };

describe('the starts that a pool wants', () => {
  const cases: readonly [string, Partial<PoolPlan>, Partial<PoolCounts>, { demand: number; ahead: number }][] = [
    ['none, with nothing to do', {}, {}, { demand: 0, ahead: 0 }],
    ['one for one that waits', {}, { waiting: 1 }, { demand: 1, ahead: 0 }],
    ['one for as many as a worker takes', {}, { waiting: 8 }, { demand: 1, ahead: 0 }],
    ['two for one more', {}, { waiting: 9 }, { demand: 2, ahead: 0 }],
    ['none beyond those that start already', {}, { waiting: 16, starting: 2 }, { demand: 0, ahead: 0 }],
    ['no more than max', {}, { waiting: 64, open: 3 }, { demand: 1, ahead: 0 }],
    ['none at max', {}, { waiting: 64, open: 3, starting: 1 }, { demand: 0, ahead: 0 }],
    ['in the place of those that are closing', {}, { waiting: 64, closing: 4 }, { demand: 3, ahead: 0 }],
    ['but not without end', {}, { waiting: 64, open: 2, closing: 6 }, { demand: 0, ahead: 0 }],
    ['ahead up to min', { spare: 2 }, {}, { demand: 0, ahead: 2 }],
    ['ahead what demand does not bring', { spare: 2 }, { waiting: 1 }, { demand: 1, ahead: 1 }],
    ['ahead for each that is worn', {}, { open: 1, worn: 2, closing: 2 }, { demand: 0, ahead: 2 }],
    ['none for a worn one whose replacement starts', {}, { worn: 1, closing: 1, starting: 1 }, { demand: 0, ahead: 0 }],
    ['beside a worn one, even where only one may be', { max: 1 }, { worn: 1, closing: 1 }, { demand: 0, ahead: 1 }],
    ['none ahead when there are enough', { spare: 2 }, { open: 1, starting: 1 }, { demand: 0, ahead: 0 }],
    ['single-use: as many unused as told', { isSingleUse: true, concurrency: 1, spare: 2 }, { open: 1 }, { demand: 0, ahead: 2 }],
    [
      'single-use: one for each that waits, and those ahead',
      { isSingleUse: true, concurrency: 1, spare: 2 },
      { waiting: 1 },
      { demand: 1, ahead: 2 },
    ],
    ['single-use: none beyond max', { isSingleUse: true, concurrency: 1, spare: 2 }, { open: 3, waiting: 5 }, { demand: 1, ahead: 0 }],
  ];

  test.each(cases)('%s', (_name, plan, counts, wanted) => {
    expect(startsWanted({ ...pooled, ...plan }, { ...none, ...counts }, 3)).toEqual(wanted);
  });
});

describe('the workers that a pool retires', () => {
  const worker = (openedAt: number, idleSince?: number, isWorn = false) => ({ openedAt, idleSince, isWorn });

  test('are those that idled too long, the youngest first, down to those kept', () => {
    const [oldest, middle, youngest] = [worker(0, 0), worker(1, 0), worker(2, 0)];
    expect(retirement({ ...pooled, spare: 1 }, [oldest, middle, youngest], 1000).retired).toEqual([middle, youngest]);
  });

  test('are the youngest of those that idle, also when it is an older one whose time is over', () => {
    const [oldest, middle, busy] = [worker(0, 0), worker(1, 900), worker(2)];
    expect(retirement(pooled, [oldest, middle, busy], 1000).retired).toEqual([middle]);
  });

  test('are not those that are busy, or idle since a moment', () => {
    const { retired, nextAt } = retirement(pooled, [worker(0), worker(0, 500)], 1000);
    expect(retired).toEqual([]);
    expect(nextAt).toBe(1500);
  });

  test('are one at a time for their age, those that idle above what is kept', () => {
    const { retired, worn, nextAt } = retirement(pooled, [worker(0, 60_900), worker(1, 60_900)], 61_000);
    expect({ retired, worn }).toEqual({ retired: [worker(0, 60_900)], worn: undefined });
    expect(nextAt).toBe(61_000 + ageStaggerMs);
  });

  test.each([
    ['busy', worker(0), 0],
    ['one of those kept', worker(0, 60_900), 2],
  ])('are not those too old but %s, which wait for their replacement, worn one at a time', (_why, old, spare) => {
    const plan = { ...pooled, spare };
    const first = retirement(plan, [old, worker(1)], 61_000);
    expect(first).toEqual({ retired: [], worn: old, nextAt: 61_000 + ageStaggerMs });
    const second = retirement(plan, [{ ...old, isWorn: true }, worker(1)], first.nextAt);
    expect(second).toMatchObject({ retired: [], worn: worker(1) });
  });

  test('are those that waited for their replacement for too long', () => {
    const [old, young] = [worker(0, 0, true), worker(10_000)];
    const endsAt = pooled.ageTimeoutMs + replacementTimeoutMs;
    const plan = { ...pooled, spare: 2, idleTimeoutMs: 3_600_000 };
    expect(retirement(plan, [old], endsAt - 1)).toEqual({ retired: [], worn: undefined, nextAt: endsAt - 1 + 50 });
    expect(retirement(plan, [old, young], endsAt).retired).toEqual([old]);
  });

  test('are in single-use mode also those kept, for they are replaced', () => {
    const plan = { ...pooled, isSingleUse: true, spare: 2 };
    expect(retirement(plan, [worker(0, 0), worker(0, 0)], 1000).retired).toHaveLength(2);
  });

  test('are none of none', () => {
    expect(retirement(pooled, [], 0)).toEqual({ retired: [], worn: undefined, nextAt: Number.POSITIVE_INFINITY });
  });
});

test('one-shot connectors have no process to keep', () => {
  const workers = { mode: 'single-use', prewarm: 3, max: 5, queueMax: 7, idleTimeoutMs: 1 } as const;
  expect(poolPlan(workers, 'oneshot')).toMatchObject({ isSingleUse: false, spare: 0, max: 5, concurrency: 1 });
  expect(poolPlan(workers, 'bulkhead/1')).toMatchObject({ isSingleUse: true, spare: 3, max: 5, concurrency: 1 });
});
