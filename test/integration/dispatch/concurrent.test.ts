import { expect, test } from 'vitest';
import { bodyOf, dispatcherOf, failureOf, invocation, nodeFixture } from '../../helpers/dispatching.ts';
import { nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

test('200 invocations at once over a connector that crashes, one that floods and one that sleeps: none is lost, wrong or unnamed', async () => {
  const leftovers = watchLeftovers();
  {
    const workers = { max: 3, concurrency: 4, queueMax: 256 };
    await using test = dispatcherOf([
      nodeFixture('crashes-at-random.ts', ['Echo'], { name: 'crasher', workers }),
      nodeFixture('floods-stdout.ts', ['Echo', 'Flood'], { name: 'flooder', workers }),
      nodeFixture('echoes.ts', ['Echo', 'Sleep', 'Deaf', 'Count', 'Fail', 'Log', 'Crash', 'Stderr', 'Leak', 'Infinite'], {
        name: 'sleeper',
        workers,
      }),
    ]);
    const calls = Array.from({ length: 200 }, (_, index) => {
      const connector = ['crasher', 'flooder', 'sleeper'][index % 3] ?? 'sleeper';
      const command = connector === 'sleeper' && index % 2 === 0 ? 'Sleep' : connector === 'flooder' && index % 10 === 1 ? 'Flood' : 'Echo';
      const input = { index, ms: 50 + (index % 7) * 20 };
      return { connector, command, input };
    });
    const outcomes = await Promise.all(
      calls.map(({ connector, command, input }) => test.dispatcher.invoke(invocation(command, input, { connector }))),
    );
    const allowed: Record<string, readonly string[]> = {
      crasher: ['connector_crashed'],
      flooder: ['protocol_violation'],
      sleeper: [],
    };
    let failures = 0;
    for (const [index, outcome] of outcomes.entries()) {
      const { connector = '', command, input } = calls[index] ?? {};
      if (outcome.type === 'failure') {
        failures += 1;
        const { code, message } = failureOf(outcome);
        expect(allowed[connector], message).toContain(code);
        expect(message).toMatch(/SIGKILL|SIGABRT|exit code 9|junk/);
      } else {
        expect(command).not.toBe('Flood');
        expect(bodyOf(outcome)).toEqual(command === 'Sleep' ? 'slept' : input);
      }
    }
    expect(failures).toBeGreaterThan(0);
    expect(outcomes).toHaveLength(200);
    for (const { queueLength, running } of test.dispatcher.status().values())
      expect({ queueLength, running }).toEqual({ queueLength: 0, running: 0 });
  }
  expect(await leftovers()).toEqual(nothingLeft);
});

test('a connector that cannot start does not delay another one', async () => {
  const leftovers = watchLeftovers();
  {
    const hangs = Array.from({ length: 6 }, (_, index) =>
      nodeFixture('starts-badly.ts hangs', ['Echo'], {
        name: `hanger-${index}`,
        workers: { min: 1, max: 4 },
        limits: { startTimeoutMs: 15_000 },
      }),
    );
    await using test = dispatcherOf([...hangs, nodeFixture('floods-stdout.ts', ['Echo', 'Flood'])]);
    for (const { name } of hangs) void test.dispatcher.invoke(invocation('Echo', {}, { connector: name }));
    const began = performance.now();
    expect(bodyOf(await test.dispatcher.invoke(invocation('Echo', { a: 1 })))).toEqual({ a: 1 });
    expect(performance.now() - began).toBeLessThan(10_000);
  }
  expect(await leftovers()).toEqual(nothingLeft);
});
