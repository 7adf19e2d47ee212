import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ProxyError } from '../../../src/errors.ts';
import type { Outcome } from '../../../src/worker/invocation.ts';
import { bodyOf, dispatcherOf, type FixtureOptions, failureOf, invocation, nodeFixture } from '../../helpers/dispatching.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

let leftovers: () => Promise<Leftovers>;

beforeEach(() => {
  leftovers = watchLeftovers();
});

afterEach(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

const commands = ['Echo', 'Sleep', 'Deaf', 'Count', 'Fail', 'Log', 'Crash', 'Stderr', 'Leak', 'Infinite'];
const echoes = (options: Partial<FixtureOptions> = {}) => nodeFixture('echoes.ts', commands, options);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

type Test = ReturnType<typeof dispatcherOf>;
const statusOf = ({ dispatcher }: Test) => dispatcher.status().get('fixture' as never)!;
const countOf = async ({ dispatcher }: Test) => bodyOf(await dispatcher.invoke(invocation('Count'))) as { count: number; pid: number };

const noStatus = { workers: { starting: 0, ready: 0, busy: 0, closing: 0 }, queueLength: 0, running: 0, restarts: 0 };

const startedBy = ({ lines }: Test) => lines.filter(({ message }) => message === 'Worker is ready.').length;

const waitedOf = ({ phases: { queueMs, startMs } }: Outcome) => ({ queueMs, startMs });

/** When a failure of the proxy says to try again, in milliseconds. */
function retryAfterOf(outcome: Outcome): number | undefined {
  if (outcome.type !== 'failure' || outcome.failure.origin !== 'proxy') throw new Error('not of the proxy');
  return outcome.failure.error.retryAfterMs;
}

/** Secrets that the first start can read and no other. */
function onlyOneStart() {
  let starts = 0;
  const secretsFor = async () => {
    starts += 1;
    if (starts > 1) throw new ProxyError('secret_missing', 'The secret TOKEN cannot be read.');
    return { values: {}, mask: (text: string) => text };
  };
  return { starts: () => starts, secretsFor };
}

describe('a pool', () => {
  test('starts nothing until it is asked, unless it has a min', async () => {
    await using none = dispatcherOf([echoes()]);
    await using some = dispatcherOf([echoes({ workers: { min: 2, max: 4 } })]);
    await expect.poll(() => statusOf(some).workers.ready, { timeout: 10_000 }).toBe(2);
    expect(statusOf(none).workers).toEqual({ starting: 0, ready: 0, busy: 0, closing: 0 });
  });

  test('starts a worker more when the queue does not empty, up to max, and never gives a worker more than its concurrency', async () => {
    await using test = dispatcherOf([echoes({ workers: { max: 2, concurrency: 2 } })]);
    const pending = Array.from({ length: 7 }, () => test.dispatcher.invoke(invocation('Sleep', { ms: 1000 })));
    await expect.poll(() => statusOf(test).running, { timeout: 10_000 }).toBe(4);
    expect(statusOf(test)).toMatchObject({ workers: { busy: 2 }, queueLength: 3 });
    expect((await Promise.all(pending)).map(bodyOf)).toEqual(Array(7).fill('slept'));
  });

  test('refuses what its queue does not hold, with a time to retry after', async () => {
    await using test = dispatcherOf([echoes({ workers: { concurrency: 1, queueMax: 2 } })]);
    await countOf(test);
    const pending = [1, 2, 3].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 300 })));
    const refused = await test.dispatcher.invoke(invocation('Echo'));
    expect(failureOf(refused)).toMatchObject({
      code: 'queue_full',
      message:
        'No worker of fixture has a place free, and 2 invocations wait already: connectors.fixture.workers.queue lets 2 wait; the command did not run.',
    });
    expect(retryAfterOf(refused)).toBeGreaterThanOrEqual(1000);
    expect((await Promise.all(pending)).map(bodyOf)).toEqual(['slept', 'slept', 'slept']);
  });

  test('tells the time to retry after by the pace of its queue, not by the quiet time before', async () => {
    const queueMax = 24;
    await using test = dispatcherOf([echoes({ workers: { concurrency: 1, queueMax } })]);
    await countOf(test);
    const sleeps = (count: number) => Array.from({ length: count }, () => test.dispatcher.invoke(invocation('Sleep', { ms: 20 })));
    await Promise.all(sleeps(2));
    await sleep(2000);
    const pending = sleeps(3);
    await expect.poll(() => statusOf(test).queueLength, { interval: 1 }).toBeLessThan(2);
    pending.push(...sleeps(queueMax + 1));
    // An eighth of the quiet time for each that waits would be 6 s.
    expect(retryAfterOf(await test.dispatcher.invoke(invocation('Echo')))).toBeLessThan(4000);
    await Promise.all(pending);
  });

  test.each(['pooled', 'single-use'] as const)('%s, without a queue still takes what its workers will, and no more', async (mode) => {
    const modeOptions = mode === 'pooled' ? { mode, min: 0, concurrency: 1 } : { mode, prewarm: 0 };
    await using test = dispatcherOf([echoes({ workers: { ...modeOptions, max: 2, queueMax: 0 } })]);
    const pending = [1, 2].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 1000 })));
    const message =
      'No worker of fixture has a place free, and 2 invocations wait already: connectors.fixture.workers.queue lets 0 wait, and workers to come will take 2; the command did not run.';
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo')))).toMatchObject({ code: 'queue_full', message });
    await expect.poll(() => statusOf(test).running, { timeout: 10_000 }).toBe(2);
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo'))).message).toContain('and 0 invocations wait already');
    expect((await Promise.all(pending)).map(bodyOf)).toEqual(['slept', 'slept']);
    await expect.poll(() => statusOf(test).workers.busy + statusOf(test).workers.closing, { timeout: 10_000 }).toBe(0);
    expect(bodyOf(await test.dispatcher.invoke(invocation('Echo', { a: 1 })))).toEqual({ a: 1 });
  });

  test('without a queue tells at once that no worker more can be started', async () => {
    const { secretsFor } = onlyOneStart();
    await using test = dispatcherOf([echoes({ workers: { max: 2, concurrency: 1, queueMax: 0 } })], { secretsFor });
    await countOf(test);
    const pending = [1, 2].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 1500 })));
    const backOffMs = () => (statusOf(test).startFailure?.retryAt ?? 0) - Date.now();
    await expect.poll(backOffMs, { timeout: 10_000 }).toBeGreaterThan(150);
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo'))).code).toBe('queue_full');
    expect((await Promise.all(pending)).map(bodyOf)).toEqual(['slept', 'slept']);
  });

  test('lets what waits leave at its deadline or with its client, and does not run it', async () => {
    await using test = dispatcherOf([echoes({ workers: { concurrency: 1 } })]);
    await countOf(test);
    const controller = new AbortController();
    const running = test.dispatcher.invoke(invocation('Sleep', { ms: 700 }));
    const late = test.dispatcher.invoke(invocation('Count', {}, { timeoutMs: 200 }));
    const left = test.dispatcher.invoke(invocation('Count', {}, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 50);
    expect(failureOf(await left)).toMatchObject({ code: 'cancelled', message: expect.stringContaining('did not run') });
    expect(failureOf(await late)).toMatchObject({
      code: 'deadline_exceeded',
      message:
        'Every worker of fixture was busy until the deadline of fixture/Count; the command did not run. Raise connectors.fixture.workers.max if that is common.',
    });
    expect(bodyOf(await running)).toBe('slept');
    expect((await countOf(test)).count).toBe(2);
  });

  test.each([
    ['pooled', 'min', { mode: 'pooled' }],
    ['single-use', 'prewarm', { mode: 'single-use', prewarm: 0 }],
  ] as const)('%s, tells at the deadline of what waits that no worker had started yet', async (_mode, key, workers) => {
    await using test = dispatcherOf([nodeFixture('starts-badly.ts hangs', ['Echo'], { workers })]);
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo', {}, { timeoutMs: 200 })))).toEqual({
      code: 'deadline_exceeded',
      message: `The worker for fixture/Echo was still starting at the deadline; the command did not run. Raise connectors.fixture.limits.invocation, or keep a worker ready by connectors.fixture.workers.${key}.`,
      logs: [],
    });
  });

  test('closes workers that idle, down to min, youngest first', async () => {
    await using test = dispatcherOf([echoes({ workers: { min: 1, max: 3, concurrency: 1, idleTimeoutMs: 1500 } })]);
    const first = await countOf(test);
    const peak = () => Promise.all([1, 2, 3].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 800 }))));
    // The second one ends on all three at once.
    await peak();
    await peak();
    await expect.poll(() => statusOf(test).workers, { timeout: 10_000 }).toEqual({ starting: 0, ready: 1, busy: 0, closing: 0 });
    expect(await countOf(test)).toEqual({ pid: first.pid, count: 2 });
    expect(statusOf(test).restarts).toBe(0);
  });

  test('replaces a worker after so many invocations, and after so long', async () => {
    await using used = dispatcherOf([echoes({ workers: { invocationsMax: 2 } })]);
    const pids = [];
    for (let call = 0; call < 4; call++) pids.push((await countOf(used)).pid);
    expect(new Set(pids).size).toBe(2);
    await using aged = dispatcherOf([echoes({ workers: { ageTimeoutMs: 500 } })]);
    const { pid } = await countOf(aged);
    await sleep(1000);
    expect((await countOf(aged)).pid).not.toBe(pid);
  });

  test('starts the replacement of a worker ahead of its last invocation, which nobody then waits for', async () => {
    await using test = dispatcherOf([echoes({ workers: { max: 1, invocationsMax: 8 } })]);
    const first = await countOf(test);
    for (let call = 1; call < 6; call++) expect((await countOf(test)).pid).toBe(first.pid);
    await expect.poll(() => statusOf(test).workers, { timeout: 10_000 }).toEqual({ starting: 0, ready: 1, busy: 0, closing: 0 });
    await expect.poll(async () => (await countOf(test)).pid !== first.pid, { timeout: 10_000 }).toBe(true);
    expect(statusOf(test)).toMatchObject({ restarts: 0, workers: { ready: 1 } });
  });

  test('goes on with a worker whose replacement cannot start, and does not try at each of its calls', async () => {
    const { starts, secretsFor } = onlyOneStart();
    await using test = dispatcherOf([echoes({ workers: { invocationsMax: 400 } })], { secretsFor });
    const pids = [];
    for (let call = 0; call < 390; call++) pids.push((await countOf(test)).pid);
    expect(new Set(pids).size).toBe(1);
    expect(starts()).toBeGreaterThan(1);
    expect(starts()).toBeLessThan(10);
  });

  test('starts the replacement of a kept worker that is too old before it is closed, so that no call waits for it', async () => {
    await using test = dispatcherOf([nodeFixture('starts-badly.ts slow', ['Echo'], { workers: { min: 1, ageTimeoutMs: 500 } })]);
    await expect.poll(() => startedBy(test), { timeout: 10_000 }).toBe(1);
    const waited: unknown[] = [];
    const echo = async () => {
      waited.push(waitedOf(await test.dispatcher.invoke(invocation('Echo'))));
      return startedBy(test);
    };
    await expect.poll(echo, { timeout: 20_000, interval: 5 }).toBeGreaterThan(2);
    expect(waited).toEqual(waited.map(() => ({ queueMs: 0, startMs: 0 })));
  });

  test('starts the replacement of a busy worker that is too old while that takes more', async () => {
    await using test = dispatcherOf([echoes({ workers: { ageTimeoutMs: 500 } })]);
    const { pid } = await countOf(test);
    const running = test.dispatcher.invoke(invocation('Sleep', { ms: 3000 }));
    const waited: unknown[] = [];
    const count = async () => {
      const outcome = await test.dispatcher.invoke(invocation('Count'));
      waited.push(waitedOf(outcome));
      return (bodyOf(outcome) as { pid: number }).pid;
    };
    await expect.poll(count, { timeout: 10_000, interval: 5 }).not.toBe(pid);
    expect(waited).toEqual(waited.map(() => ({ queueMs: 0, startMs: 0 })));
    expect(bodyOf(await running)).toBe('slept');
  });

  test('goes on with a worker that is too old and whose replacement cannot start', async () => {
    const { starts, secretsFor } = onlyOneStart();
    await using test = dispatcherOf([echoes({ workers: { min: 1, ageTimeoutMs: 300 } })], { secretsFor });
    const { pid } = await countOf(test);
    await expect.poll(starts, { timeout: 10_000 }).toBeGreaterThan(2);
    expect((await countOf(test)).pid).toBe(pid);
  });

  test('tries a worker more after a back-off only, however many calls those that it has answer', async () => {
    const { starts, secretsFor } = onlyOneStart();
    await using test = dispatcherOf([echoes({ workers: { max: 4, concurrency: 1 } })], { secretsFor });
    await countOf(test);
    const until = performance.now() + 1500;
    const caller = async () => {
      for (let call = 0; call < 20 || performance.now() < until; call++)
        expect(bodyOf(await test.dispatcher.invoke(invocation('Sleep', { ms: 5 })))).toBe('slept');
    };
    await Promise.all(Array.from({ length: 8 }, caller));
    expect(starts()).toBeGreaterThan(1);
    expect(starts()).toBeLessThan(10);
  });

  test('gives a worker no more invocations than its limit, however many come at once', async () => {
    await using test = dispatcherOf([echoes({ workers: { max: 2, concurrency: 4, queueMax: 200, invocationsMax: 8 } })]);
    const counts = await Promise.all(Array.from({ length: 100 }, () => countOf(test)));
    const perPid = Map.groupBy(counts, ({ pid }) => pid);
    for (const served of perPid.values()) expect(served.length).toBeLessThanOrEqual(8);
    expect(statusOf(test).restarts).toBe(0);
  });

  test('prefers the worker with the least to do', async () => {
    await using test = dispatcherOf([echoes({ workers: { min: 2, max: 2, concurrency: 4 } })]);
    await expect.poll(() => statusOf(test).workers.ready, { timeout: 10_000 }).toBe(2);
    const pending = [1, 2].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 200 })));
    expect(statusOf(test).workers).toMatchObject({ busy: 2, ready: 0 });
    await Promise.all(pending);
  });
});

describe('closing', () => {
  test('lets what runs and what waits end, takes nothing new, and leaves nothing', async () => {
    const test = dispatcherOf([echoes({ workers: { concurrency: 1 } })]);
    await countOf(test);
    const pending = [1, 2, 3].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 200 })));
    const closed = test.dispatcher.close(Date.now() + 20_000);
    const refused = await test.dispatcher.invoke(invocation('Echo'));
    expect(failureOf(refused)).toMatchObject({ code: 'shutting_down', message: expect.stringContaining('did not run') });
    expect(retryAfterOf(refused)).toBe(1000);
    expect((await Promise.all(pending)).map(bodyOf)).toEqual(['slept', 'slept', 'slept']);
    await closed;
    await test[Symbol.asyncDispose]();
  });

  test('ends what is not done by the deadline', async () => {
    const test = dispatcherOf([echoes({ workers: { concurrency: 1 } })]);
    await countOf(test);
    const [running, waiting] = [1, 2].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 60_000 })));
    const began = performance.now();
    await test.dispatcher.close(Date.now() + 300);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(failureOf(await running!)).toMatchObject({
      code: 'shutting_down',
      message: expect.stringContaining('is stopped with the proxy'),
    });
    expect(failureOf(await waiting!)).toMatchObject({ code: 'shutting_down', message: expect.stringContaining('did not run') });
    expect([retryAfterOf(await running!), retryAfterOf(await waiting!)]).toEqual([undefined, 1000]);
    await test[Symbol.asyncDispose]();
  });

  test('in the middle of a start gives the start up', async () => {
    const test = dispatcherOf([nodeFixture('starts-badly.ts hangs', ['Echo'])]);
    const pending = test.dispatcher.invoke(invocation('Echo'));
    await sleep(200);
    const began = performance.now();
    await test.dispatcher.close(Date.now() + 100);
    expect(failureOf(await pending).code).toBe('shutting_down');
    expect(performance.now() - began).toBeLessThan(8000);
    await test[Symbol.asyncDispose]();
  });
});

describe('a new set of connectors', () => {
  test('drains what changed, leaves what did not, and drops what is gone', async () => {
    await using test = dispatcherOf([echoes(), echoes({ name: 'same' }), echoes({ name: 'gone' })]);
    const count = async (connector: string) =>
      bodyOf(await test.dispatcher.invoke(invocation('Count', {}, { connector }))) as { pid: number; count: number };
    const [changed, same] = [await count('fixture'), await count('same')];
    await count('gone');
    const running = test.dispatcher.invoke(invocation('Sleep', { ms: 700 }));
    test.dispatcher.apply([echoes({ settings: { changed: true } }), echoes({ name: 'same' })]);
    expect((await count('fixture')).pid).not.toBe(changed.pid);
    expect(await count('same')).toEqual({ pid: same.pid, count: 2 });
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo', {}, { connector: 'gone' }))).code).toBe('command_not_found');
    expect(bodyOf(await running)).toBe('slept');
    await expect.poll(() => [...test.dispatcher.status().keys()], { timeout: 10_000 }).toEqual(['fixture', 'same']);
  });

  test('leaves what still runs and waits of the old one in the status, also where the connector is gone', async () => {
    const workers = { concurrency: 1 };
    await using test = dispatcherOf([echoes({ workers })]);
    await countOf(test);
    const sleeps = () => [1, 2].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 300 })));
    const first = sleeps();
    test.dispatcher.apply([echoes({ workers, settings: { changed: true } })]);
    expect(statusOf(test)).toEqual({ ...noStatus, workers: { ...noStatus.workers, closing: 1 }, running: 1, queueLength: 1 });
    const second = sleeps();
    expect(statusOf(test)).toMatchObject({ workers: { starting: 1, closing: 1 }, running: 1, queueLength: 3 });
    test.dispatcher.apply([]);
    expect(statusOf(test)).toEqual({ ...noStatus, workers: { ...noStatus.workers, closing: 2 }, running: 1, queueLength: 3 });
    expect((await Promise.all([...first, ...second])).map(bodyOf)).toEqual(Array(4).fill('slept'));
    await expect.poll(() => test.dispatcher.status().size, { timeout: 10_000 }).toBe(0);
  });
});

describe('a single-use pool', () => {
  test('gives every invocation a process that nothing ran in before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'traces-'));
    const workers = { mode: 'single-use', prewarm: 2, max: 4, queueMax: 64, idleTimeoutMs: 300_000 } as const;
    {
      await using test = dispatcherOf([nodeFixture('keeps-state.ts', ['Trace'], { workers, environment: { TRACES_FOLDER: folder } })]);
      const traces = (await Promise.all(Array.from({ length: 8 }, () => test.dispatcher.invoke(invocation('Trace'))))).map(bodyOf) as {
        pid: number;
        port: number;
      }[];
      for (const trace of traces) expect(trace).toMatchObject({ memory: 0, environment: null, file: false });
      expect(new Set(traces.map(({ pid }) => pid)).size).toBe(8);
      await expect.poll(() => statusOf(test).workers, { timeout: 15_000 }).toEqual({ starting: 0, ready: 2, busy: 0, closing: 0 });
      for (const { port } of traces) await expect(connects(port)).resolves.toBe(false);
      expect(statusOf(test).restarts).toBe(0);
    }
    await rm(folder, { recursive: true });
  });

  test('has one started ahead for a caller that takes its time', async () => {
    const workers = { mode: 'single-use', prewarm: 1, max: 2, queueMax: 64, idleTimeoutMs: 300_000 } as const;
    await using test = dispatcherOf([echoes({ workers })]);
    const pids = new Set<number>();
    for (let call = 0; call < 3; call++) {
      await expect.poll(() => statusOf(test).workers.ready, { timeout: 15_000 }).toBe(1);
      const outcome = await test.dispatcher.invoke(invocation('Count'));
      expect(outcome.phases).toMatchObject({ queueMs: 0, startMs: 0 });
      pids.add((bodyOf(outcome) as { pid: number }).pid);
    }
    expect(pids.size).toBe(3);
  });
});

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
