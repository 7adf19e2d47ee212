import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { Backoff } from '../../../src/lib/backoff.ts';
import { ByteBudget } from '../../../src/lib/byte-budget.ts';
import { pause, settlesWithin } from '../../../src/lib/pause.ts';
import { TimeLimit, withAbort } from '../../../src/lib/time-limit.ts';

describe('back-off', () => {
  test('doubles from failure to failure up to its cap, and begins anew after a success', () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 1000, random: () => 0 });
    const waits = [1, 2, 3, 4, 5, 6].map(() => {
      backoff.fail(5000);
      return backoff.retryAt - 5000;
    });
    expect(waits).toEqual([100, 200, 400, 800, 1000, 1000]);
    backoff.succeed();
    expect(backoff).toMatchObject({ failures: 0, retryAt: 0 });
    backoff.fail(0);
    expect(backoff.retryAt).toBe(100);
  });

  test('shortens each wait by up to a half, and keeps its cap after very many failures', () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 1000, random: () => 0.999 });
    for (let failure = 0; failure < 5000; failure++) backoff.fail(0);
    expect(backoff.retryAt).toBeGreaterThan(500);
    expect(backoff.retryAt).toBeLessThan(501);
  });
});

describe('a byte budget', () => {
  test('gives a burst, and then as much as time brings', () => {
    const budget = new ByteBudget({ bytesPerSecond: 100, burstBytes: 50 }, 0);
    expect([budget.take(50, 0), budget.take(1, 0), budget.take(10, 100), budget.take(1, 100)]).toEqual([true, false, true, false]);
    expect(budget.take(51, 1e9)).toBe(false);
    expect(budget.take(50, 1e9)).toBe(true);
  });

  test('tells how long a debt takes', () => {
    const budget = new ByteBudget({ bytesPerSecond: 100, burstBytes: 50 }, 0);
    expect(budget.spend(50, 0)).toBe(0);
    expect(budget.spend(25, 0)).toBe(250);
    expect(budget.spend(0, 250)).toBe(0);
  });
});

describe('waiting', () => {
  test('for a time ends early when the signal aborts, and leaves no listener', async () => {
    const controller = new AbortController();
    const paused = pause(60_000, controller.signal);
    controller.abort();
    expect(await paused).toBe(false);
    expect(await pause(60_000, controller.signal)).toBe(false);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(await pause(1)).toBe(true);
  });

  test('for a promise tells whether it settled, either way', async () => {
    expect(await settlesWithin(Promise.resolve(1), 1000)).toBe(true);
    expect(await settlesWithin(Promise.reject(new Error('no')), 1000)).toBe(true);
    expect(await settlesWithin(new Promise(() => {}), 10)).toBe(false);
  });

  test('with a limit aborts at its time, or with the outer signal, and leaves no listener', async () => {
    const outer = new AbortController();
    {
      using limit = new TimeLimit(5, outer.signal);
      await expect(withAbort(new Promise(() => {}), limit.signal)).rejects.toMatchObject({ name: 'TimeoutError' });
      expect(limit.isOver).toBe(true);
      expect(getEventListeners(limit.signal, 'abort')).toHaveLength(0);
    }
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(0);
    using limit = new TimeLimit(60_000, outer.signal);
    outer.abort(new Error('outer'));
    await expect(withAbort(new Promise(() => {}), limit.signal)).rejects.toThrow('outer');
    expect(limit.isOver).toBe(false);
  });

  test('hands a result that comes too late to somebody who cares', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const late: string[] = [];
    await expect(withAbort(promise, AbortSignal.abort(new Error('gone')), (result) => late.push(result))).rejects.toThrow('gone');
    resolve('process');
    await promise;
    expect(late).toEqual(['process']);
  });
});
