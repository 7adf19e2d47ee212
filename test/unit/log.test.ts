import { describe, expect, test, vi } from 'vitest';
import { createLogger, type LogLevelName } from '../../src/log.ts';

function lines(level: LogLevelName) {
  const written: string[] = [];
  return { written, logger: createLogger({ level, destination: { write: (line) => void written.push(line) } }) };
}

describe('createLogger', () => {
  test('writes one JSON object a line, with level, time and the fields that have a value', () => {
    const { written, logger } = lines('info');
    logger.info({ connector: 'smtp', command: undefined, status: 200 }, 'two\nlines');
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^\{.*\}\n$/);
    const { time, ...rest } = JSON.parse(written[0] ?? '') as Record<string, unknown>;
    expect(rest).toEqual({ level: 'info', connector: 'smtp', status: 200, message: 'two\nlines' });
    expect(Math.abs(Date.parse(String(time)) - Date.now())).toBeLessThan(60_000);
  });

  test('takes no fields at all', () => {
    const { written, logger } = lines('debug');
    logger.debug({}, 'ready');
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ level: 'debug', message: 'ready' });
  });

  test('tells the time to the millisecond, within a second and from one to the next', () => {
    const { written, logger } = lines('info');
    const times = ['2026-11-28T17:59:59.007Z', '2026-11-28T17:59:59.999Z', '2026-11-28T18:00:00.000Z', '2026-11-28T17:59:59.070Z'];
    vi.useFakeTimers();
    try {
      for (const time of times) {
        vi.setSystemTime(new Date(time));
        logger.info({}, 'said');
      }
    } finally {
      vi.useRealTimers();
    }
    expect(written.map((line) => (JSON.parse(line) as { time: string }).time)).toEqual(times);
  });

  test('makes a line for later with the time at which it was told, or at once where nothing is kept for later', () => {
    const kept: (() => string)[] = [];
    const destination = { write: () => {}, writeLater: (line: () => string) => void kept.push(line) };
    const { written, logger } = lines('info');
    const timeMs = Date.UTC(2026, 10, 29, 1, 2, 3, 45);
    createLogger({ level: 'info', destination }).infoLater(() => '"a":1', 'm', timeMs);
    logger.infoLater(() => '"a":1', 'm', timeMs);
    const [later, atOnce] = [kept[0]?.() ?? '', written[0] ?? ''];
    expect(JSON.parse(later)).toEqual({ level: 'info', time: '2026-11-29T01:02:03.045Z', a: 1, message: 'm' });
    expect(atOnce).toBe(later);
    lines('warn').logger.infoLater(
      () => {
        throw new Error('made, though nobody reads it');
      },
      'm',
      timeMs,
    );
  });

  test.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ] as const)('at level %s writes %j', (level, expected) => {
    const { written, logger } = lines(level);
    for (const name of ['debug', 'info', 'warn', 'error'] as const) logger[name]({}, 'said');
    expect(written.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(expected);
  });
});
