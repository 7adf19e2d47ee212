import { expect, test } from 'vitest';
import { ProxyError } from '../../../src/errors.ts';
import { createInvocationLog, type InvocationRecord } from '../../../src/http/invocation-log.ts';
import { createLogger, laterBytesMax, type PutLine } from '../../../src/log.ts';

const record = {
  ...{ id: 'i', connector: 'smtp', command: 'SendEmail', keyName: 'a "quoted" key', code: 'accepted', status: 202, error: undefined },
  ...{ totalMs: 1234.5678, arrivedMs: Date.UTC(2026, 10, 29, 1, 2, 3, 4), requestBytes: 10, replyBytes: 20 },
};

function logged(part: Partial<InvocationRecord>): Record<string, unknown> {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  createInvocationLog(logger)({ ...record, phases: { queueMs: 0, startMs: 0, runMs: 0, replyBytes: 0 }, ...part });
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

test('names are escaped where they can be any text', () => {
  expect(logged({})).toMatchObject({ level: 'info', message: 'invocation', key: 'a "quoted" key', outcome: 'accepted', status: 202 });
});

test('the time is that of the end, and sizes are whole', () => {
  expect(logged({ requestBytes: 999, replyBytes: 12_345_678 })).toMatchObject({
    time: '2026-11-29T01:02:04.239Z',
    requestBytes: 999,
    replyBytes: 12_345_678,
  });
});

/** What is put into bytes for batches of records, one after another, by one log. */
function putBatches(...batches: Partial<InvocationRecord>[][]): string[] {
  const kept: PutLine[] = [];
  const destination = { write: () => {}, writeLater: (line: PutLine) => void kept.push(line) };
  const log = createInvocationLog(createLogger({ level: 'info', destination }));
  const bytes = Buffer.alloc(laterBytesMax);
  return batches.flatMap((records) => {
    for (const part of records) log({ ...record, phases: undefined, ...part });
    return kept.splice(0).map((line) => bytes.toString('utf8', 0, line(bytes, 0)));
  });
}

const put = (...records: Partial<InvocationRecord>[]) => putBatches(records);

test('names are told in ASCII', () => {
  const [line = ''] = put({ keyName: 'Schlüssel 🔑' });
  expect(line).toMatch(/^[\n\x20-\x7e]*$/);
  expect(JSON.parse(line)).toMatchObject({ key: 'Schlüssel 🔑' });
});

test('the longest line has room', () => {
  const names = { id: '0'.repeat(36), connector: 'c'.repeat(64), command: 'C'.repeat(128), keyName: '\u2028'.repeat(64) };
  const most = Number.MAX_SAFE_INTEGER;
  const numbers = {
    totalMs: 1e12,
    requestBytes: most,
    replyBytes: most,
    phases: { queueMs: 1e12, startMs: 1e12, runMs: 1e12, replyBytes: 0 },
  };
  const [line = ''] = put({ ...names, ...numbers, code: 'ok' });
  expect(JSON.parse(line)).toMatchObject({
    requestBytes: most,
    replyBytes: most,
    queueMs: 1e12,
    startMs: 1e12,
    runMs: 1e12,
    totalMs: 1e12,
  });
  expect(line.length).toBeLessThan(laterBytesMax);
});

test('lines that wait together tell each of their own, also after a batch was written', () => {
  const records = [
    { id: 'a' },
    { id: 'b', connector: 'http', totalMs: 5 },
    { id: 'c', phases: { queueMs: 1, startMs: 2, runMs: 3, replyBytes: 0 } },
  ];
  const told = putBatches(records, records.slice(1)).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told.map(({ invocation, connector, totalMs, queueMs }) => [invocation, connector, totalMs, queueMs])).toEqual([
    ['a', 'smtp', 1234.57, 0],
    ['b', 'http', 5, 0],
    ['c', 'smtp', 1234.57, 1],
    ['b', 'http', 5, 0],
    ['c', 'smtp', 1234.57, 1],
  ]);
});

test.each([
  [{ connector: 'http' }, { connector: 'http' }],
  [{ command: 'Other' }, { command: 'Other' }],
  [{ keyName: 'another' }, { key: 'another' }],
  [{ keyName: undefined }, { key: undefined }],
  [{ code: 'ok' }, { code: 'ok', outcome: 'success' }],
  [{ status: 200 }, { status: 200 }],
])('a line after another that differs in %o tells of its own invocation', (part, itsOwn) => {
  const usual = { connector: 'smtp', command: 'SendEmail', key: record.keyName, outcome: 'accepted', code: 'accepted', status: 202 };
  const told = put({}, part, {}).map((line) => {
    const { connector, command, key, outcome, code, status } = JSON.parse(line) as Record<string, unknown>;
    return { connector, command, key, outcome, code, status };
  });
  expect(told).toEqual([usual, { ...usual, ...itsOwn }, usual]);
});

test.each([
  [0, 0],
  [0.004, 0],
  [0.05, 0.05],
  [0.995, 1],
  [1.5, 1.5],
  [12.345, 12.35],
  [40_000.07, 40_000.07],
])('%d ms are told as %d', (ms, told) => {
  expect(logged({ phases: { queueMs: ms, startMs: ms, runMs: ms, replyBytes: 0 } })).toMatchObject({
    queueMs: told,
    startMs: told,
    runMs: told,
  });
});

test('only an error of the proxy’s own is told as one, whatever a connector calls its failures', () => {
  expect(logged({ code: 'internal_error' })).toMatchObject({ level: 'warn' });
  expect(logged({ code: 'internal_error', error: new ProxyError('internal_error', 'what happened') })).toMatchObject({ level: 'error' });
});

test('a success and a failure have the same members, but for the reason', () => {
  const failure = logged({ code: 'NoSuchMailbox', status: 422 });
  expect(Object.keys(failure)).toEqual(Object.keys(logged({})));
  expect(failure).toMatchObject({ level: 'warn', outcome: 'failure', code: 'NoSuchMailbox' });
});
