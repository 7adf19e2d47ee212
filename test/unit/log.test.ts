import { describe, expect, test, vi } from 'vitest';
import { createLogger, type LaterLines, type LogLevelName, laterBytesMax, type PutLine } from '../../src/log.ts';

function lines(level: LogLevelName) {
  const written: string[] = [];
  return { written, logger: createLogger({ level, destination: { write: (line) => void written.push(line) } }) };
}

/** Lines of these times. */
function waiting(times: readonly string[]): LaterLines {
  let told = 0;
  return {
    message: 'said "later"',
    timeMs: () => Date.parse(times[told] ?? ''),
    put: (into, at) => {
      told += 1;
      return at + into.write('"a":1', at);
    },
  };
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

  test('puts a line for later into the bytes it is given, or makes it at once where nothing is kept for later', () => {
    const kept: PutLine[] = [];
    const destination = { write: () => {}, writeLater: (line: PutLine) => void kept.push(line) };
    const times = ['2026-11-29T01:02:03.045Z', '2026-11-29T01:02:03.999Z', '2026-11-29T01:02:04.000Z'];
    const { written, logger } = lines('info');
    const [later, atOnce] = [createLogger({ level: 'info', destination }).infoLater(waiting(times)), logger.infoLater(waiting(times))];
    for (const _ of times) {
      later?.();
      atOnce?.();
    }
    const bytes = Buffer.alloc(3 * laterBytesMax);
    let end = 1;
    for (const put of kept) end = put(bytes, end);
    const told = bytes.toString('utf8', 1, end);
    expect(
      told
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(times.map((time) => ({ level: 'info', time, a: 1, message: 'said "later"' })));
    expect(written.join('')).toBe(told);
    for (const level of ['warn', 'silent'] as const) expect(lines(level).logger.infoLater(waiting([]))).toBeUndefined();
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
