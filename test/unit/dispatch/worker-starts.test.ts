import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { PoolPlan } from '../../../src/dispatch/pool-plan.ts';
import { StartGate } from '../../../src/dispatch/start-gate.ts';
import { startBackoff, WorkerStarts } from '../../../src/dispatch/worker-starts.ts';
import { ProxyError } from '../../../src/errors.ts';
import { Deadlines } from '../../../src/lib/deadlines.ts';
import type { Worker } from '../../../src/worker/worker.ts';

const plan: PoolPlan = {
  isSingleUse: false,
  spare: 0,
  max: 4,
  concurrency: 1,
  queueMax: 64,
  idleTimeoutMs: 60_000,
  ageTimeoutMs: 60_000,
  invocationsMax: 100,
};

/** Starts over a pool that has what the test says. A start ends as told, or not at all. */
function startsOf(end: () => Promise<Worker> = () => new Promise(() => {})) {
  const has = { open: 0, worn: 0, free: 0, closing: 0, waiting: 0, since: performance.now() };
  const deadlines = new Deadlines();
  const calls: number[] = [];
  const failures: ProxyError[] = [];
  const start = () => {
    calls.push(performance.now());
    return end();
  };
  const pool = {
    counts: () => has,
    waitingSince: () => has.since,
    changed() {},
    opened() {},
    failed: (error: ProxyError) => void failures.push(error),
    pump: () => starts.scale(),
  };
  const starts: WorkerStarts = new WorkerStarts({ plan, start, gate: new StartGate(2), deadlines, startsMax: 2, pool });
  return { has, starts, calls, failures };
}

test('a queue that the workers at work empty in a moment starts no other', async () => {
  const { has, starts, calls } = startsOf();
  Object.assign(has, { open: 1, waiting: 1, since: performance.now() });
  starts.scale();
  has.waiting = 0;
  await sleep(100);
  expect(calls).toHaveLength(0);
});

test('a queue that does not empty starts another, once', async () => {
  const { has, starts, calls } = startsOf();
  Object.assign(has, { open: 1, waiting: 1, since: performance.now() });
  starts.scale();
  starts.scale();
  await expect.poll(() => calls.length).toBe(1);
  await sleep(50);
  expect(calls).toHaveLength(1);
});

test('without a worker at work a start waits for nothing, and no more start at once than may', async () => {
  const { has, starts, calls } = startsOf();
  Object.assign(has, { waiting: 5 });
  starts.scale();
  expect(starts.starting).toBe(2);
  await expect.poll(() => calls.length).toBe(2);
});

test('after a failure nothing starts until the back-off is over, and then one', async () => {
  const { has, starts, calls, failures } = startsOf(() => Promise.reject(new ProxyError('connector_start_failed', 'no')));
  Object.assign(has, { waiting: 1 });
  starts.scale();
  await expect.poll(() => failures.length).toBe(1);
  has.waiting = 5;
  starts.scale();
  expect(starts.starting).toBe(0);
  expect(starts.backingOff()?.waitMs).toBeGreaterThan(0);
  await expect.poll(() => calls.length, { timeout: 5000 }).toBe(2);
  expect(calls[1]! - calls[0]!).toBeGreaterThan(startBackoff.firstMs / 2 - 10);
  starts.abort();
});

test('a worker from before the failure ends no back-off, one from after it does', async () => {
  const { has, starts, failures } = startsOf(() => Promise.reject(new ProxyError('connector_start_failed', 'no')));
  const before = performance.now();
  has.waiting = 1;
  starts.scale();
  await expect.poll(() => failures.length).toBe(1);
  starts.succeed(before);
  expect({ failures: starts.failures, isBackingOff: starts.backingOff() !== undefined }).toEqual({ failures: 1, isBackingOff: true });
  starts.succeed(performance.now());
  expect({ failures: starts.failures, backingOff: starts.backingOff() }).toEqual({ failures: 0, backingOff: undefined });
  starts.abort();
});

test('a failure of another kind is told as what it is', async () => {
  const { has, starts, failures } = startsOf(() => Promise.reject(new TypeError('a bug')));
  has.waiting = 1;
  starts.scale();
  await expect.poll(() => failures[0]?.code).toBe('internal_error');
  starts.abort();
});

test('nothing starts after it was given up', async () => {
  const { has, starts, calls, failures } = startsOf();
  has.waiting = 1;
  starts.scale();
  starts.abort();
  await sleep(30);
  expect({ calls, failures, starting: starts.starting }).toEqual({ calls: [], failures: [], starting: 0 });
});
