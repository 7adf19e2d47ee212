import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ProxyError } from '../../../src/errors.ts';
import { bodyOf, dispatcherOf, failureOf, fixture, invocation, nodeFixture } from '../../helpers/dispatching.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

let leftovers: () => Promise<Leftovers>;

beforeEach(() => {
  leftovers = watchLeftovers();
});

afterEach(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

describe('a connector that cannot start', () => {
  const cases = [
    { how: 'exits', says: /ended with exit code 42\. Last lines of its stderr:\ncannot find my config/ },
    { how: 'prints', says: /broke the protocol.*Welcome to my connector!/ },
    { how: 'prints-unended', says: /ended with exit code 2; .*usage: my connector/ },
    { how: 'version', says: /speaks version 2 of the protocol, and this Bulkhead speaks 1/ },
    { how: 'missing', says: /its manifest has commands that it does not have itself: "Echo"/ },
    { how: 'unknown', says: /has commands that its manifest does not have: "Extra"/ },
    { how: 'large', says: /answer to initialize is wrong: it has more than 1048576 bytes; leave out what is in the manifest\./ },
    { how: 'refuses', says: /answered initialize with the error: no licence/ },
    { how: 'refuses-at-length', says: /answered initialize with the error: é{8191}…\./ },
  ];

  test.each(cases)('because it $how fails what waits with the reason, and what follows at once', async ({ how, says }) => {
    await using test = dispatcherOf([nodeFixture(`starts-badly.ts ${how}`, ['Echo'])]);
    const first = failureOf(await test.dispatcher.invoke(invocation('Echo')));
    expect(first.code).toBe('connector_start_failed');
    expect(first.message).toMatch(says);
    const began = performance.now();
    const outcome = await test.dispatcher.invoke(invocation('Echo'));
    expect(performance.now() - began).toBeLessThan(50);
    expect(failureOf(outcome)).toMatchObject({ code: 'connector_unavailable', message: expect.stringMatching(says) });
    if (outcome.type !== 'failure' || outcome.failure.origin !== 'proxy') throw new Error('not of the proxy');
    expect(outcome.failure.error.retryAfterMs).toBeGreaterThan(0);
    expect(test.dispatcher.status().get('fixture' as never)?.startFailure?.message).toMatch(says);
  });

  test('in time is stopped at its start time-out', async () => {
    await using test = dispatcherOf([nodeFixture('starts-badly.ts hangs', ['Echo'], { limits: { startTimeoutMs: 1000 } })]);
    const began = performance.now();
    const { code, message } = failureOf(await test.dispatcher.invoke(invocation('Echo')));
    expect({ code, message }).toMatchObject({ code: 'connector_start_failed', message: expect.stringContaining('within 1000 ms') });
    expect(performance.now() - began).toBeLessThan(6000);
  });

  test('for want of its program says so', async () => {
    await using test = dispatcherOf([fixture({ command: ['no-such-program'], commands: ['Echo'] })]);
    const { code, message } = failureOf(await test.dispatcher.invoke(invocation('Echo')));
    expect({ code, message }).toMatchObject({
      code: 'connector_start_failed',
      message: expect.stringContaining('no-such-program is not installed'),
    });
  });

  test('for want of a secret keeps that code while it is not tried again', async () => {
    const secretsFor = () => Promise.reject(new ProxyError('secret_missing', 'Secret TOKEN cannot be read from /run/secrets/token.'));
    await using test = dispatcherOf([nodeFixture('echoes.ts', ['Echo'])], { secretsFor });
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo'))).code).toBe('secret_missing');
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo')))).toMatchObject({
      code: 'secret_missing',
      message: expect.stringContaining('/run/secrets/token'),
    });
  });

  test('is tried again when its back-off is over', async () => {
    let isMissing = true;
    const secretsFor = async () => {
      if (isMissing) throw new ProxyError('secret_missing', 'not there yet');
      return { values: {}, mask: (text: string) => text };
    };
    await using test = dispatcherOf([nodeFixture('starts-badly.ts slow', ['Echo'])], { secretsFor });
    expect(failureOf(await test.dispatcher.invoke(invocation('Echo'))).code).toBe('secret_missing');
    isMissing = false;
    await expect.poll(async () => (await test.dispatcher.invoke(invocation('Echo'))).type, { timeout: 20_000 }).toBe('success');
    expect(test.dispatcher.status().get('fixture' as never)?.startFailure).toBeUndefined();
  });

  test.each([
    'dies-idle',
    // Its stdout ends before it does.
    'dies-slowly',
  ])('or dies before it is given anything is not started in a tight loop: %s', async (how) => {
    await using test = dispatcherOf([nodeFixture(`starts-badly.ts ${how}`, ['Echo'], { workers: { min: 1 } })]);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const restarts = test.dispatcher.status().get('fixture' as never)?.restarts ?? 0;
    expect(restarts).toBeGreaterThanOrEqual(1);
    // Waits of at least 250, 500 and 1000 ms lie between the starts.
    expect(restarts).toBeLessThanOrEqual(4);
  });
});

test('the wait for a slow start is told as such', async () => {
  await using test = dispatcherOf([nodeFixture('starts-badly.ts slow', ['Echo'])]);
  const { phases, ...outcome } = await test.dispatcher.invoke(invocation('Echo', { a: 1 }));
  expect(outcome.type).toBe('success');
  expect(phases.startMs).toBeGreaterThan(800);
  expect(phases.queueMs).toBeGreaterThanOrEqual(phases.startMs);
  expect(phases.runMs).toBeLessThan(phases.startMs);
  const warm = await test.dispatcher.invoke(invocation('Echo', { a: 1 }));
  expect(warm.phases).toMatchObject({ queueMs: 0, startMs: 0 });
  const line = { jsonrpc: '2.0', id: 'of its 17 letters', result: { body: { a: 1 } } };
  expect(warm.phases.replyBytes).toBe(JSON.stringify(line).length);
});

describe('what a connector says beside its answers', () => {
  const commands = ['Echo', 'Sleep', 'Deaf', 'Count', 'Fail', 'Log', 'Crash', 'Stderr', 'Leak', 'Infinite'];

  test('in stderr becomes log lines, secrets masked', async () => {
    await using test = dispatcherOf([nodeFixture('echoes.ts', commands)]);
    bodyOf(await test.dispatcher.invoke(invocation('Stderr', { text: 'a warning about hunter2-hunter2' })));
    await expect
      .poll(() => test.lines.filter(({ fields }) => fields['stream'] === 'stderr').map(({ message }) => message))
      .toEqual(['a warning about [secret]']);
  });

  test('by log is put into the log and into the answer, in bounds', async () => {
    await using test = dispatcherOf([nodeFixture('echoes.ts', commands)]);
    const outcome = await test.dispatcher.invoke(invocation('Log', { lines: 150, text: 'with hunter2-hunter2' }));
    if (outcome.type !== 'success') throw new Error(outcome.type);
    expect(outcome.reply.logs[0]).toBe('line 0 with [secret]');
    expect(outcome.reply.logs).toHaveLength(101);
    expect(outcome.reply.logs.at(-1)).toBe('(50 more log lines of this invocation were dropped)');
    const logged = test.lines.filter(({ fields }) => fields['stream'] === 'log');
    expect(logged).toHaveLength(150);
    expect(logged[0]).toMatchObject({ level: 'info', message: 'line 0 with [secret]', fields: { connector: 'fixture', command: 'Log' } });
  });

  test('by an error keeps its own code, status and words', async () => {
    await using test = dispatcherOf([nodeFixture('echoes.ts', commands)]);
    const outcome = await test.dispatcher.invoke(invocation('Fail', { message: 'hunter2-hunter2 was refused' }));
    expect(outcome).toMatchObject({
      type: 'failure',
      failure: { origin: 'connector', errorCode: 'told_to_fail', httpStatus: 418, message: '[secret] was refused' },
    });
  });

  const floods = [
    { by: 'stderr', file: 'floods-stderr.ts' },
    { by: 'log notifications', file: 'floods-notifications.ts' },
  ];

  test.each(floods)('in a flood by $by is dropped beyond a rate, and does not hold up others', async ({ file }) => {
    const flooder = nodeFixture(file, ['Flood'], { name: 'flooder' });
    await using test = dispatcherOf([flooder, nodeFixture('echoes.ts', commands)]);
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const flood = test.dispatcher.invoke(invocation('Flood', { ms: 1500 }, { connector: 'flooder' }));
    const slowest = await slowestEcho(test, flood);
    expect(slowest).toBeLessThan(1500);
    expect(bodyOf(await flood)).toBe('flooded');
    const lines = test.lines.filter(({ fields }) => fields['connector'] === 'flooder');
    expect(lines.length).toBeLessThan(6000);
    expect(lines.some(({ message }) => message.includes('lines are dropped'))).toBe(true);
  });

  async function slowestEcho({ dispatcher }: ReturnType<typeof dispatcherOf>, until: Promise<unknown>): Promise<number> {
    let isOver = false;
    void until.then(() => {
      isOver = true;
    });
    let slowest = 0;
    while (!isOver) {
      const began = performance.now();
      bodyOf(await dispatcher.invoke(invocation('Echo')));
      slowest = Math.max(slowest, performance.now() - began);
    }
    return slowest;
  }
});
