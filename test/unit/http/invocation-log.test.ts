import { expect, test } from 'vitest';
import { ProxyError } from '../../../src/errors.ts';
import { logInvocation } from '../../../src/http/invocation-log.ts';
import { createLogger } from '../../../src/log.ts';

const record = {
  ...{ id: 'i', connector: 'smtp', command: 'SendEmail', keyName: 'a "quoted" key', code: 'accepted', status: 202, error: undefined },
  ...{ totalMs: 1234.5678, arrivedMs: Date.UTC(2026, 10, 29, 1, 2, 3, 4), requestBytes: 10, replyBytes: 20 },
};

function logged(part: Partial<Parameters<typeof logInvocation>[1]>): Record<string, unknown> {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  logInvocation(logger, { ...record, phases: { queueMs: 0, startMs: 0, runMs: 0, replyBytes: 0 }, ...part });
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

test('names are told in ASCII', () => {
  const made: string[] = [];
  const destination = { write: (line: string) => void made.push(line), writeLater: (line: () => string) => void made.push(line()) };
  logInvocation(createLogger({ level: 'info', destination }), { ...record, keyName: 'Schlüssel 🔑', phases: undefined });
  expect(made[0]).toMatch(/^[\n\x20-\x7e]*$/);
  expect(JSON.parse(made[0]!)).toMatchObject({ key: 'Schlüssel 🔑' });
});

test.each([
  [{ connector: 'http' }, { connector: 'http' }],
  [{ command: 'Other' }, { command: 'Other' }],
  [{ keyName: 'another' }, { key: 'another' }],
  [{ keyName: undefined }, { key: undefined }],
  [{ code: 'ok' }, { code: 'ok', outcome: 'success' }],
  [{ status: 200 }, { status: 200 }],
])('a line after another that differs in %o tells of its own invocation', (part, told) => {
  const usual = { connector: 'smtp', command: 'SendEmail', key: record.keyName, outcome: 'accepted', code: 'accepted', status: 202 };
  const tellsOf = ({ connector, command, key, outcome, code, status }: Record<string, unknown>) => ({
    connector,
    command,
    key,
    outcome,
    code,
    status,
  });
  expect(tellsOf(logged({}))).toEqual(usual);
  expect(tellsOf(logged(part))).toEqual({ ...usual, ...told });
  expect(tellsOf(logged({}))).toEqual(usual);
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
