import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Deadline, Deadlines } from '../../../src/lib/deadlines.ts';

describe('deadlines', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('expire in order, each once, and only those that were not cancelled', () => {
    const deadlineMs = fc.integer({ min: 1, max: 1000 });
    fc.assert(
      fc.property(fc.array(fc.record({ afterMs: deadlineMs, isCancelled: fc.boolean() }), { maxLength: 60 }), (entries) => {
        using deadlines = new Deadlines();
        const now = performance.now();
        const expired: number[] = [];
        const added: Deadline[] = [];
        for (const { afterMs } of entries) added.push(deadlines.add(now + afterMs, { expire: () => void expired.push(afterMs) }));
        for (const [index, entry] of added.entries()) if (entries[index]?.isCancelled) deadlines.cancel(entry);
        vi.advanceTimersByTime(1100);
        const expected = entries.filter(({ isCancelled }) => !isCancelled).map(({ afterMs }) => afterMs);
        expect(expired).toEqual(expected.sort((a, b) => a - b));
        expect(deadlines.size).toBe(0);
      }),
    );
  });

  test('share one timer, which is armed anew only for an earlier one', () => {
    using deadlines = new Deadlines();
    const now = performance.now();
    for (let index = 0; index < 100; index++) deadlines.add(now + 1000 + index, { expire() {} });
    expect(vi.getTimerCount()).toBe(1);
    deadlines.add(now + 10, { expire() {} });
    expect(vi.getTimerCount()).toBe(1);
  });

  test('may add and cancel others while they expire', () => {
    using deadlines = new Deadlines();
    const now = performance.now();
    const seen: string[] = [];
    const victim = deadlines.add(now + 20, { expire: () => void seen.push('victim') });
    deadlines.add(now + 10, {
      expire() {
        seen.push('first');
        deadlines.cancel(victim);
        deadlines.add(performance.now() + 5, { expire: () => void seen.push('second') });
      },
    });
    vi.advanceTimersByTime(100);
    expect(seen).toEqual(['first', 'second']);
    deadlines.cancel(victim);
    expect(deadlines.size).toBe(0);
  });

  test('far beyond what a timer takes are not at once', () => {
    using deadlines = new Deadlines();
    let hasExpired = false;
    deadlines.add(performance.now() + 2 ** 33, {
      expire() {
        hasExpired = true;
      },
    });
    vi.advanceTimersByTime(2 ** 31);
    expect(hasExpired).toBe(false);
  });
});
