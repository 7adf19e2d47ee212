import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createMasker } from '../../../src/config/masker.ts';
import { InvocationLogs } from '../../../src/worker/invocation-logs.ts';
import { LogBudget } from '../../../src/worker/log-budget.ts';
import { createNotificationLog } from '../../../src/worker/notification-log.ts';
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

  describe('does not give away a secret that is longer than what is kept', () => {
    const secret = Array.from({ length: 1000 }, (_, index) => `${index}`.padStart(9, 'hunter')).join('');
    test.each([
      ['in a line', [`key: ${secret}\n`], /^key: \[secret\]…$/, /^key: \[secret\]…$/],
      [
        'in a line, piece by piece',
        [`key: ${secret.slice(0, 5000)}`, secret.slice(5000), '\n'],
        /^key: \[secret\]…$/,
        /^key: \[secret\]…$/,
      ],
      ['in a line that does not end', [`key: ${secret}`], /^key: \[secret\]…$/, /^key: \[secret\]…$/],
      ['and ends within it', [`key: ${secret.slice(0, 40)}`], /^key: \[secret\]$/, /^key: \[secret\]$/],
      ['with more lines behind it', [`${secret}\n`, 'the last words\n'], /^\[secret\]…\nthe last words$/, /^the last words$/],
      ['behind others', [`${'x'.repeat(3000)}${secret}\n`], /^x{3000}\[secret\]…$/, /^x{1024}…$/],
      ['twice', [`${secret.slice(0, 3000)} ${secret}\n`], /./, /./],
    ])('%s', async (_, parts, logged, tail) => {
      const { stream, stderr, messages } = stderrOf(createMasker([secret, secret.slice(0, 3000)]));
      for (const part of parts) stream.write(part);
      await nextTurn();
      const before = stderr.tail();
      stderr.finish();
      for (const text of [...messages(), before, stderr.tail()]) expect(text).not.toContain('hunt');
      expect(messages().join('\n')).toMatch(logged);
      expect(stderr.tail()).toMatch(tail);
    });
  });

  test('drops the rest of a line, the beginning of which was dropped in a flood', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const { stream, messages } = stderrOf(createMasker(['a-secret-of-some-length']));
      stream.write(`${'noise\n'.repeat(10_000)}a-secret-of`);
      await nextTurn();
      vi.advanceTimersByTime(60_000);
      stream.write('-some');
      stream.write('-length\nand on it goes\n');
      await nextTurn();
      expect(messages().at(-1)).toBe('and on it goes');
      expect(messages().join()).not.toContain('-length');
    } finally {
      vi.useRealTimers();
    }
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

test('the fields of a `log` count in what a worker may have logged', () => {
  const lines: LogLine[] = [];
  const logger = recorder(lines);
  const budget = new LogBudget(logger, {});
  const notified = createNotificationLog({ logger, fields: {}, mask: (text) => text, budget, find: () => undefined });
  const params = { message: 'm', level: 'info', fields: { text: 'x'.repeat(10_000) } } as const;
  for (let count = 0; count < 100; count += 1) notified({ type: 'notification', method: 'log', params });
  const logged = lines.filter(({ message }) => message === 'm').length;
  expect(logged).toBeGreaterThan(20);
  expect(logged).toBeLessThan(50);
  expect(lines.at(-1)?.message).toContain('lines are dropped');
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
