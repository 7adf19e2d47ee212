import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { InvocationLogs } from '../../../src/worker/invocation-logs.ts';
import { LogBudget } from '../../../src/worker/log-budget.ts';
import { Stderr } from '../../../src/worker/stderr.ts';
import { type LogLine, recorder } from '../../helpers/dispatching.ts';

function stderrOf(mask = (text: string) => text) {
  const lines: LogLine[] = [];
  const stream = new PassThrough();
  const logger = recorder(lines);
  const stderr = new Stderr({ stream, mask, logger, fields: {}, budget: new LogBudget(logger, {}) });
  return { stream, stderr, lines, messages: () => lines.map(({ message }) => message) };
}

describe('stderr', () => {
  test('becomes lines however it is split, the unfinished last one at the end', async () => {
    const { stream, stderr, messages } = stderrOf();
    for (const part of ['on', 'e\ntw', 'o\r\n\nth', 'ree']) stream.write(part);
    await nextTurn();
    expect(messages()).toEqual(['one', 'two']);
    stderr.finish();
    expect(messages()).toEqual(['one', 'two', 'three']);
    expect(stderr.tail()).toBe('one\ntwo\r\n\nthree');
  });

  test('is masked whole, also where a line is cut', async () => {
    const secret = 'a-secret-of-some-length';
    const { stream, messages } = stderrOf((text) => text.replaceAll(secret, '[secret]'));
    stream.write(`${'x'.repeat(4090)}${secret}${'y'.repeat(10_000)}\n`);
    await nextTurn();
    expect(messages()[0]).toMatch(/^x{4090}\[secre…$/);
  });

  test('in a flood is dropped, counted, and told of in two lines, and its last lines are kept', async () => {
    const { stream, stderr, lines, messages } = stderrOf();
    for (let chunk = 0; chunk < 100; chunk++) {
      stream.write('noise\n'.repeat(10_000));
      await nextTurn();
    }
    stream.write('the last words\n');
    await nextTurn();
    stderr.finish();
    expect(lines.length).toBeLessThan(4000);
    expect(messages().filter((message) => message.includes('lines are dropped'))).toHaveLength(1);
    const [count] = messages().filter((message) => message.startsWith('Dropped'));
    expect(Number(count?.match(/\d+/)?.[0])).toBeGreaterThan(5_000_000);
    expect(stderr.tail()).toMatch(/^noise\n(noise\n)*the last words$/);
  });
});

test('lines for one invocation are bounded in number and in bytes', () => {
  const many = new InvocationLogs();
  for (let line = 0; line < 150; line++) many.add(`line ${line}`);
  expect(many.with(['own'])).toHaveLength(102);
  expect(many.with(['own']).slice(-2)).toEqual(['(50 more log lines of this invocation were dropped)', 'own']);
  const large = new InvocationLogs();
  for (let line = 0; line < 10; line++) large.add('x'.repeat(20_000));
  expect(large.with([])).toHaveLength(4);
});
