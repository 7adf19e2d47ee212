import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProcessExit, ProcessSpec, Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { bodyOf, dispatcherOf, failureOf, invocation, nodeFixture } from '../../helpers/dispatching.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

let leftovers: () => Promise<Leftovers>;

beforeEach(() => {
  leftovers = watchLeftovers();
});

afterEach(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

/** Starts real processes, and lets a test play the machinery around them: the gateway’s notices, the watchdog’s verdict. */
function watchedRunner(breach?: ProcessExit['breach']) {
  const runner = createSubprocessRunner();
  const specs: ProcessSpec[] = [];
  const watched: Runner = {
    type: 'subprocess',
    async start(spec, signal) {
      specs.push(spec);
      const process = await runner.start(spec, signal);
      return breach === undefined ? process : { ...process, exited: process.exited.then((exit) => ({ ...exit, breach })) };
    },
    close: () => runner.close(),
  };
  return { runner: watched, specs };
}

const commands = ['Echo', 'Sleep', 'Deaf', 'Count', 'Fail', 'Log', 'Crash', 'Stderr', 'Leak', 'Infinite'];
const denied = { code: 'egress_denied', message: 'api.example.com:443 is not in the rules of connector fixture' } as const;

describe('what the machinery around a process notices', () => {
  test('is told in the error and the logs of the invocation it may have broken, and in no other', async () => {
    const { runner, specs } = watchedRunner();
    await using test = dispatcherOf([nodeFixture('echoes.ts', commands)], { runnerFor: () => runner });
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const sent = invocation('Crash');
    const broken = test.dispatcher.invoke(sent);
    expect(specs[0]?.invocations?.()).toEqual([sent.id]);
    specs[0]?.onNotice(denied);
    specs[0]?.onNotice(denied);
    const failure = failureOf(await broken);
    expect(failure.message).toContain(`While it ran: egress_denied: ${denied.message}.`);
    expect(failure.logs).toEqual([`egress_denied: ${denied.message}`]);
    expect(failureOf(await test.dispatcher.invoke(invocation('Crash'))).message).not.toContain(denied.message);
    expect(test.lines).toContainEqual(expect.objectContaining({ level: 'warn', message: denied.message }));
  });

  test('is told with the connector’s own error too', async () => {
    const { runner, specs } = watchedRunner();
    await using test = dispatcherOf([nodeFixture('echoes.ts', commands)], { runnerFor: () => runner });
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const failing = test.dispatcher.invoke(invocation('Fail', { message: 'connection refused' }));
    specs[0]?.onNotice(denied);
    expect(failureOf(await failing)).toMatchObject({
      code: 'told_to_fail',
      message: `connection refused While it ran: egress_denied: ${denied.message}.`,
      logs: [`egress_denied: ${denied.message}`],
    });
  });

  test('does not give away a secret that a host’s name was made of', async () => {
    const { runner, specs } = watchedRunner();
    await using test = dispatcherOf([nodeFixture('echoes.ts', commands)], { runnerFor: () => runner });
    bodyOf(await test.dispatcher.invoke(invocation('Echo')));
    const failing = test.dispatcher.invoke(invocation('Fail'));
    specs[0]?.onNotice({ code: 'egress_denied', message: 'hunter2-hunter2.example.com:443 is not in the rules' });
    expect(failureOf(await failing).message).toContain('[secret].example.com');
    expect(JSON.stringify(test.lines)).not.toContain('hunter2');
  });

  test('is told in the reason of a start that failed', async () => {
    const { runner, specs } = watchedRunner();
    const limits = { startTimeoutMs: 1000 };
    await using test = dispatcherOf([nodeFixture('starts-badly.ts hangs', ['Echo'], { limits })], { runnerFor: () => runner });
    const starting = test.dispatcher.invoke(invocation('Echo'));
    await expect.poll(() => specs.length).toBe(1);
    specs[0]?.onNotice(denied);
    expect(failureOf(await starting)).toMatchObject({ code: 'connector_start_failed', message: expect.stringContaining(denied.message) });
  });
});

test('a limit that ended the process is the failure’s code, not the signal that it was ended by', async () => {
  const { runner } = watchedRunner({ code: 'memory_exceeded', message: 'it used 300 MiB of limits.memory 256MiB' });
  await using test = dispatcherOf([nodeFixture('echoes.ts', commands)], { runnerFor: () => runner });
  expect(failureOf(await test.dispatcher.invoke(invocation('Crash')))).toMatchObject({
    code: 'memory_exceeded',
    message: expect.stringContaining('300 MiB'),
  });
});

test('no listener stays on the signal of an invocation that is over', async () => {
  await using test = dispatcherOf([nodeFixture('echoes.ts', commands, { workers: { concurrency: 1 } })]);
  const { signal } = new AbortController();
  await Promise.all([1, 2, 3].map(() => test.dispatcher.invoke(invocation('Echo', {}, { signal }))));
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('what is left behind is seen by the tests that look for it', async () => {
  const test = dispatcherOf([nodeFixture('echoes.ts', commands)]);
  const look = watchLeftovers();
  bodyOf(await test.dispatcher.invoke(invocation('Echo')));
  const seen = await look();
  expect(seen.processes.length).toBe(1);
  expect(seen.descriptors).toBeGreaterThanOrEqual(3);
  expect(seen.handles.length).toBeGreaterThanOrEqual(4);
  await test[Symbol.asyncDispose]();
});
