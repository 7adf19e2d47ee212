import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMasker } from '../../../src/config/masker.ts';
import type { Outcome } from '../../../src/worker/invocation.ts';
import { bodyOf, dispatcherOf, failureOf, fixture, invocation, type LogLine, nodeFixture } from '../../helpers/dispatching.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

let leftovers: () => Promise<Leftovers>;

beforeEach(() => {
  leftovers = watchLeftovers();
});

afterEach(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

const wrongly = ['Twice', 'Unknown', 'Both', 'Echo'];
const echoes = (options = {}) =>
  nodeFixture('echoes.ts', ['Echo', 'Sleep', 'Deaf', 'Count', 'Fail', 'Log', 'Crash', 'Stderr', 'Leak', 'Infinite'], options);

/** The pid that a worker’s label names. */
function pidOf(lines: readonly LogLine[]): number {
  const label = lines.findLast(({ fields }) => fields.worker !== undefined)?.fields.worker ?? '';
  return Number(label.replace('pid ', ''));
}

describe('a worker that dies in the middle of an invocation', () => {
  test('by SIGKILL fails every pending invocation at once, by name', async () => {
    await using test = dispatcherOf([echoes()]);
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const pending = [1, 2, 3].map(() => test.dispatcher.invoke(invocation('Sleep', { ms: 30_000 })));
    process.kill(-pidOf(test.lines), 'SIGKILL');
    const began = performance.now();
    for (const outcome of await Promise.all(pending)) {
      expect(failureOf(outcome)).toMatchObject({ code: 'connector_crashed', message: expect.stringContaining('was ended by SIGKILL') });
    }
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test('by itself is told with its exit code and last words, and is replaced', async () => {
    await using test = dispatcherOf([echoes()]);
    const crash = failureOf(await test.dispatcher.invoke(invocation('Crash', { exitCode: 3, lastWords: 'no disk left' })));
    expect(crash.code).toBe('connector_crashed');
    expect(crash.message).toMatch(/Connector fixture \(pid \d+\) ended with exit code 3\. Last lines of its stderr:\nno disk left$/);
    expect(bodyOf(await test.dispatcher.invoke(invocation('Echo', { a: 1 })))).toEqual({ a: 1 });
    expect(test.dispatcher.status().get('fixture' as never)?.restarts).toBe(1);
  });

  test('does not give away its secrets in its last words', async () => {
    await using test = dispatcherOf([echoes()]);
    const { message } = failureOf(await test.dispatcher.invoke(invocation('Leak')));
    expect(message).toContain('the secret is [secret]');
    expect(JSON.stringify(test.lines)).not.toContain('hunter2');
  });

  test.each([
    ['stdout', 2267, ''],
    ['stderr', 6000, ''],
    ['stderr', 6000, '\n'],
    ['stdout', 65_530, ''],
  ])('does not give away on %s a secret of %d characters (between its parts: %j)', async (to, length, separator) => {
    // Parts that differ, so that each piece of it can be told.
    const parts = Array.from({ length: length / 10 + 1 }, (_, index) => `${index}`.padStart(9, 'hunter') + separator);
    const secret = parts.join('').slice(0, length).trimEnd();
    const secretsFor = async () => ({ values: { TOKEN: secret }, mask: createMasker([secret]) });
    await using test = dispatcherOf([echoes()], { secretsFor });
    const { message } = failureOf(await test.dispatcher.invoke(invocation('Leak', { to })));
    expect(message).toContain('[secret]');
    expect(message).not.toContain('hunt');
    expect(JSON.stringify(test.lines)).not.toContain('hunt');
  });

  test('leaving a grandchild that holds stdout ends at once', async () => {
    await using test = dispatcherOf([nodeFixture('grandchild-holds-stdout.ts', ['Leave'])]);
    const began = performance.now();
    const { code, message } = failureOf(await test.dispatcher.invoke(invocation('Leave')));
    expect({ code, message }).toMatchObject({ code: 'connector_crashed', message: expect.stringContaining('exit code 5') });
    expect(performance.now() - began).toBeLessThan(8000);
  });

  test('closing its stdout and living on is stopped', async () => {
    await using test = dispatcherOf([nodeFixture('closes-stdout.ts', ['Close'])]);
    const { code, message } = failureOf(await test.dispatcher.invoke(invocation('Close')));
    expect(code).toBe('protocol_violation');
    expect(message).toContain('closed its stdout without ending');
  });
});

describe('a worker that does not answer', () => {
  test('because it is stopped by SIGSTOP is given up on at the deadline, killed and replaced', async () => {
    await using test = dispatcherOf([echoes()]);
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    process.kill(-pidOf(test.lines), 'SIGSTOP');
    const began = performance.now();
    const outcome = await test.dispatcher.invoke(invocation('Echo', {}, { timeoutMs: 300 }));
    expect(failureOf(outcome).code).toBe('deadline_exceeded');
    expect(performance.now() - began).toBeLessThan(3000);
    await expect.poll(() => test.dispatcher.status().get('fixture' as never)?.restarts, { timeout: 10_000 }).toBe(1);
    expect(bodyOf(await test.dispatcher.invoke(invocation('Echo', { again: true })))).toEqual({ again: true });
  });

  test('but honours cancel lives on', async () => {
    await using test = dispatcherOf([echoes()]);
    const first = bodyOf(await test.dispatcher.invoke(invocation('Count')));
    const outcome = await test.dispatcher.invoke(invocation('Sleep', { ms: 60_000 }, { timeoutMs: 200 }));
    expect(failureOf(outcome)).toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('limits.invocation') });
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(bodyOf(await test.dispatcher.invoke(invocation('Count')))).toEqual({ ...(first as object), count: 2 });
  });

  test('and ignores cancel is killed after the grace, once its other invocations are done', async () => {
    await using test = dispatcherOf([echoes({ limits: { cancelGraceMs: 200 } })]);
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const innocent = test.dispatcher.invoke(invocation('Sleep', { ms: 1500 }));
    const deaf = await test.dispatcher.invoke(invocation('Deaf', { ms: 60_000 }, { timeoutMs: 200 }));
    expect(failureOf(deaf).code).toBe('deadline_exceeded');
    expect(bodyOf(await innocent)).toBe('slept');
    await expect
      .poll(() => test.lines.some(({ message }) => message.includes('Deaf did not end within 200 ms')), { timeout: 5000 })
      .toBe(true);
  });

  test('because its client went away is told to cancel', async () => {
    await using test = dispatcherOf([echoes()]);
    const first = bodyOf(await test.dispatcher.invoke(invocation('Count')));
    const controller = new AbortController();
    const pending = test.dispatcher.invoke(invocation('Sleep', { ms: 60_000 }, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 50);
    expect(failureOf(await pending).code).toBe('cancelled');
    expect(bodyOf(await test.dispatcher.invoke(invocation('Count')))).toEqual({ ...(first as object), count: 2 });
  });

  test('because it never reads its stdin fails what does not fit, and the rest by its deadline', async () => {
    const limits = { messageBytesMax: 1024 * 1024 };
    await using test = dispatcherOf([nodeFixture('never-reads-stdin.ts', ['Echo'], { limits, workers: { concurrency: 64 } })]);
    const input = { text: 'x'.repeat(512 * 1024) };
    const began = performance.now();
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => test.dispatcher.invoke(invocation('Echo', input, { timeoutMs: 2000 }))),
    );
    const codes = outcomes.map((outcome) => failureOf(outcome).code);
    expect(codes.filter((code) => code === 'connector_unavailable').length).toBeGreaterThanOrEqual(3);
    expect(codes.filter((code) => code === 'deadline_exceeded').length).toBeGreaterThanOrEqual(7);
    expect(codes.length).toBe(12);
    const refused = outcomes.map(failureOf).find(({ code }) => code === 'connector_unavailable');
    expect(refused?.message).toContain('does not read its stdin');
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('fails all that wait for it in turn, however many they are', async () => {
    const limits = { messageBytesMax: 1024 * 1024 };
    const connector = nodeFixture('never-reads-stdin.ts', ['Echo'], { limits, workers: { concurrency: 8, queueMax: 8000 } });
    await using test = dispatcherOf([connector]);
    const { input } = invocation('Echo', { text: 'x'.repeat(900 * 1024) });
    const wait = () => test.dispatcher.invoke({ ...invocation('Echo', {}, { timeoutMs: 8000 }), input });
    const outcomes = await Promise.all(Array.from({ length: 5000 }, wait));
    const codes = new Set(outcomes.map((outcome) => failureOf(outcome).code));
    expect(codes).toEqual(new Set(['connector_unavailable', 'deadline_exceeded']));
    expect(outcomes.filter((outcome) => failureOf(outcome).code === 'deadline_exceeded').length).toBeLessThan(20);
  });

  test('and ignores every polite way of being stopped is gone when the pool has closed', async () => {
    const connector = fixture({ command: ['python3', 'ignores-sigterm.py'], commands: ['Echo'] });
    const test = dispatcherOf([connector]);
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const began = performance.now();
    await test.dispatcher.close(Date.now() + 20_000);
    // shutdown, end of stdin, SIGTERM: each has its wait, and then it is killed.
    expect(performance.now() - began).toBeGreaterThan(3500);
    expect(performance.now() - began).toBeLessThan(15_000);
    await test[Symbol.asyncDispose]();
  });
});

describe('a worker that breaks the protocol', () => {
  const cases = [
    { fault: 'a line over the limit', file: 'writes-long-lines.ts', command: 'Long', code: 'result_too_large', says: 'limits.message' },
    { fault: 'a million arrays within one another', file: 'writes-long-lines.ts', command: 'Deep', code: 'protocol_violation', says: '' },
    {
      fault: 'an answer to an unknown id',
      file: 'answers-wrongly.ts',
      command: 'Unknown',
      code: 'protocol_violation',
      says: 'made the id up',
    },
    { fault: 'a flood of junk', file: 'floods-stdout.ts', command: 'Flood', code: 'protocol_violation', says: 'junk' },
  ];
  const commands: Record<string, readonly string[]> = {
    'writes-long-lines.ts': ['Long', 'Deep', 'Echo'],
    'answers-wrongly.ts': wrongly,
    'floods-stdout.ts': ['Echo', 'Flood'],
  };

  test.each(cases)('by $fault is stopped, by name and in bounded memory', async ({ file, command, code, says }) => {
    await using test = dispatcherOf([nodeFixture(file, commands[file] ?? [])]);
    const before = process.memoryUsage().rss;
    const began = performance.now();
    const failure = failureOf(await test.dispatcher.invoke(invocation(command)));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(says);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
    await expect.poll(() => test.dispatcher.status().get('fixture' as never)?.restarts, { timeout: 10_000 }).toBe(1);
  });

  test('by answering twice loses the worker, not the answer', async () => {
    await using test = dispatcherOf([nodeFixture('answers-wrongly.ts', wrongly)]);
    expect(bodyOf(await test.dispatcher.invoke(invocation('Twice')))).toBe('first');
    await expect.poll(() => test.lines.some(({ message }) => message.includes('it answered twice')), { timeout: 5000 }).toBe(true);
    expect(bodyOf(await test.dispatcher.invoke(invocation('Twice')))).toBe('first');
  });

  test('by a wrong answer leaves what waits for its place to the next worker', async () => {
    await using test = dispatcherOf([nodeFixture('answers-wrongly.ts', wrongly, { workers: { max: 1, concurrency: 1 } })]);
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const [broken, ...waiting] = ['Both', 'Echo', 'Echo', 'Echo'].map((name) => test.dispatcher.invoke(invocation(name, { name })));
    expect(failureOf((await broken) as Outcome).code).toBe('protocol_violation');
    expect((await Promise.all(waiting)).map(bodyOf)).toEqual(Array(3).fill({ name: 'Echo' }));
  });

  test('by a result that is not JSON fails that invocation only', async () => {
    await using test = dispatcherOf([echoes()]);
    const first = bodyOf(await test.dispatcher.invoke(invocation('Count')));
    expect(failureOf(await test.dispatcher.invoke(invocation('Infinite'))).code).toBe('invalid_result');
    expect(bodyOf(await test.dispatcher.invoke(invocation('Count')))).toEqual({ ...(first as object), count: 2 });
  });
});
