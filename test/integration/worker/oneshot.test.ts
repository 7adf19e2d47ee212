import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bodyOf, dispatcherOf, failureOf, fixture, invocation } from '../../helpers/dispatching.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

let leftovers: () => Promise<Leftovers>;

beforeEach(() => {
  leftovers = watchLeftovers();
});

afterEach(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

const behaves = (options = {}) => fixture({ command: ['python3', 'oneshot-behaves.py'], commands: [], oneshot: true, ...options });

describe('a one-shot connector', () => {
  test('reads one document and writes one', async () => {
    await using test = dispatcherOf([fixture({ command: ['sh', 'oneshot-echo.sh'], commands: ['Echo'], oneshot: true })]);
    const sent = invocation('Echo', { a: 1 });
    const outcome = await test.dispatcher.invoke(sent);
    expect(bodyOf(outcome)).toMatchObject({ command: 'Echo', input: { a: 1 }, context: { invocationId: sent.id, attempt: 1 } });
    expect(outcome.phases.startMs).toBeGreaterThan(0);
  });

  test('may write its document over many lines, with logs in it', async () => {
    await using test = dispatcherOf([behaves()]);
    const outcome = await test.dispatcher.invoke(invocation('Echo', { big: 'x'.repeat(200_000) }));
    expect(bodyOf(outcome)).toEqual({ big: 'x'.repeat(200_000) });
    expect(outcome).toMatchObject({ reply: { logs: ['echoed'] } });
  });

  test('gets its settings and secrets in the document, and in no argument or environment', async () => {
    await using test = dispatcherOf([behaves({ settings: { region: 'north' } })]);
    const body = bodyOf(await test.dispatcher.invoke(invocation('Secrets'))) as { secrets: object; config: object };
    expect(body).toMatchObject({ secrets: { TOKEN: 'hunter2-hunter2' }, config: { region: 'north' } });
    const { secrets: _secrets, ...rest } = body;
    expect(JSON.stringify(rest)).not.toContain('hunter2');
  });

  const failures = [
    { command: 'Fail', code: 'told_to_fail', says: /^failed as told$/ },
    {
      command: 'Crash',
      code: 'connector_crashed',
      says: /exit code 3; it wrote no document\. Last lines of its stderr:\nthe secret is \[secret\]/,
    },
    { command: 'Kill', code: 'connector_crashed', says: /was ended by SIGKILL/ },
    { command: 'Silent', code: 'protocol_violation', says: /wrote no document/ },
    { command: 'Print', code: 'protocol_violation', says: /hello world/ },
    { command: 'Flood', code: 'result_too_large', says: /limits\.message/ },
  ];

  test.each(failures)('that does $command fails by name', async ({ command, code, says }) => {
    await using test = dispatcherOf([behaves()]);
    const failure = failureOf(await test.dispatcher.invoke(invocation(command)));
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(says);
  });

  test('that overruns its deadline is asked to end, then killed, and gives its place back', async () => {
    await using test = dispatcherOf([behaves({ limits: { cancelGraceMs: 300 } })]);
    const began = performance.now();
    for (const command of ['Sleep', 'Deaf']) {
      const outcome = await test.dispatcher.invoke(invocation(command, { ms: 60_000 }, { timeoutMs: 1000 }));
      expect(failureOf(outcome).code).toBe('deadline_exceeded');
    }
    expect(bodyOf(await test.dispatcher.invoke(invocation('Echo', { next: 1 })))).toEqual({ next: 1 });
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  test('runs at most workers.max processes, the others wait', async () => {
    await using test = dispatcherOf([behaves({ workers: { max: 2 } })]);
    const pending = Array.from({ length: 6 }, (_, index) => test.dispatcher.invoke(invocation('Echo', { index })));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { workers, queueLength } = test.dispatcher.status().get('fixture' as never)!;
    expect(workers.busy + workers.starting).toBeLessThanOrEqual(2);
    expect(queueLength).toBeGreaterThanOrEqual(3);
    expect((await Promise.all(pending)).map(bodyOf)).toEqual([0, 1, 2, 3, 4, 5].map((index) => ({ index })));
  });

  test('is ended when its proxy shuts down', async () => {
    const test = dispatcherOf([behaves()]);
    const pending = test.dispatcher.invoke(invocation('Sleep', { ms: 60_000 }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await test.dispatcher.close(Date.now() + 200);
    expect(failureOf(await pending).code).toBe('shutting_down');
    await test[Symbol.asyncDispose]();
  });
});
