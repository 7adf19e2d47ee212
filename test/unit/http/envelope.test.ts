import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { errorCodes, errorTable, ProxyError } from '../../../src/errors.ts';
import type { Answer } from '../../../src/http/answer.ts';
import { errorEnding, failureStatus, outcomeEnding } from '../../../src/http/envelope.ts';
import { jsonTextOf, trustJsonText } from '../../../src/lib/json-text.ts';
import { utf8Of } from '../../../src/lib/pieces.ts';
import type { Failure, InvocationId, Reply } from '../../../src/worker/invocation.ts';
import { phases } from './served-app.ts';

const id = '0f0e' as InvocationId;

function bodyOf({ head = '', bytes = Buffer.alloc(0), tail = '' }: Answer): string {
  return head + utf8Of(bytes) + tail;
}

function success(reply: Partial<Reply & { type: 'body' }>): Answer {
  const full: Reply = { type: 'body', body: jsonTextOf({}), logs: [], ...reply };
  return outcomeEnding({ type: 'success', reply: full, phases }, id).answer;
}

function failure(failed: Failure): ReturnType<typeof outcomeEnding> {
  return outcomeEnding({ type: 'failure', failure: failed, phases }, id);
}

describe('a reply', () => {
  test('becomes the reference’s envelope byte for byte, its body untouched', () => {
    const body = trustJsonText(Buffer.from('{"10": 1.0, "9": 123456789012345678901234567890, "s": "\\ud800 ☃"}'));
    expect(bodyOf(success({ body }))).toBe(
      '{"command_response_version": 2, "command_response": {"body": {"10": 1.0, "9": 123456789012345678901234567890, "s": "\\ud800 ☃"}, "mimetype": "application/json"}, "error": null, "spiff__logs": []}',
    );
  });

  test('tells its type, its status and its logs', () => {
    const answer = success({ mimetype: 'text/"☃', httpStatus: 404, logs: ['a "☃', 'b'] });
    expect(answer.status).toBe(200);
    expect(JSON.parse(bodyOf(answer))).toEqual({
      command_response_version: 2,
      command_response: { body: {}, mimetype: 'text/"☃', http_status: 404 },
      error: null,
      spiff__logs: ['a "☃', 'b'],
    });
  });

  test('what is spliced around a body is ASCII, whatever a connector says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.string({ unit: 'binary' })), (mimetype, logs) => {
        const { head = '', tail = '' } = success({ mimetype, logs });
        expect(head + tail).toMatch(/^[\x20-\x7e]*$/);
        expect(JSON.parse(`${head}{}${tail}`).spiff__logs).toEqual(logs);
      }),
    );
  });

  test('an accepted one is 202', () => {
    const reply: Reply = { type: 'body', body: jsonTextOf({ started: true }), httpStatus: 202, logs: [] };
    expect(outcomeEnding({ type: 'accepted', reply, phases }, id)).toMatchObject({ code: 'accepted', answer: { status: 202 } });
  });

  test('passes on only the headers that are on the list', () => {
    const { headers } = success({
      headers: {
        'Retry-After': '5',
        ETag: '"x"',
        'Set-Cookie': 'a=b',
        'Content-Length': '1',
        'X-Accel-Redirect': '/etc/passwd',
        Link: 'a\r\nb',
        'X-Request-Id': 'x'.repeat(1025),
      },
    });
    expect(headers).toEqual(['Retry-After', '5', 'ETag', '"x"']);
  });

  test('passes on each header once, however often it is spelled, with its last value', () => {
    const { headers } = success({ headers: { etag: '1', Link: 'l', eTag: '2', ETAG: '3', Etag: 'not ASCII ☃' } });
    expect(headers).toEqual(['ETAG', '3', 'Link', 'l']);
  });
});

describe('a failure of the connector', () => {
  test('is an envelope of version 2 with its error and its detail', () => {
    const { code, answer } = failure({
      origin: 'connector',
      errorCode: 'CardDeclined',
      message: 'no "money" ☃',
      httpStatus: 402,
      detail: trustJsonText(Buffer.from('{"n": 1.0}')),
      logs: ['tried'],
    });
    expect({ code, status: answer.status }).toEqual({ code: 'CardDeclined', status: 402 });
    expect(bodyOf(answer)).toBe(
      '{"command_response_version": 2, "command_response": {"body": {"n": 1.0}, "mimetype": "application/json", "http_status": 402}, "error": {"message": "no \\"money\\" \\u2603", "error_code": "CardDeclined", "invocation_id": "0f0e"}, "spiff__logs": ["tried"]}',
    );
  });

  test.each(['ok', 'accepted'])('that calls itself %s counts as a failure, and keeps its name for the caller', (errorCode) => {
    const { code, answer } = failure({ origin: 'connector', errorCode, message: '', logs: [] });
    expect(code).toBe('connector_failed');
    expect(JSON.parse(bodyOf(answer)).error.error_code).toBe(errorCode);
  });

  test('without detail has an empty body', () => {
    const { answer } = failure({ origin: 'connector', errorCode: 'X', message: '', logs: [] });
    expect(JSON.parse(bodyOf(answer)).command_response).toEqual({ body: {}, mimetype: 'application/json', http_status: 500 });
  });

  test.each([
    [undefined, undefined, 500],
    [undefined, true, 503],
    [undefined, false, 422],
    [404, undefined, 404],
    [404, false, 404],
    [404, true, 503],
    [429, true, 429],
    [429, false, 422],
    [500, true, 500],
    [500, false, 422],
    [599, undefined, 599],
  ])('status %s and retryable %s is %i', (httpStatus, retryable, status) => {
    expect(failureStatus({ ...(httpStatus === undefined ? {} : { httpStatus }), ...(retryable === undefined ? {} : { retryable }) })).toBe(
      status,
    );
  });
});

describe('a failure of the proxy', () => {
  test.each(errorCodes.filter((code) => code !== 'cancelled'))('%s has the table’s status and the reference’s keys', (code) => {
    const { answer } = errorEnding(new ProxyError(code, 'what "happened"'), id);
    expect(answer).toMatchObject({ status: errorTable[code].status, contentType: 'application/json' });
    expect(JSON.parse(bodyOf(answer))).toEqual({
      command_response: {},
      error: { message: 'what "happened"', error_code: code, invocation_id: id },
    });
  });

  test('shows the logs of the invocation, if there are any', () => {
    const { answer } = failure({ origin: 'proxy', error: new ProxyError('deadline_exceeded', 'm'), logs: ['step 1'] });
    expect(JSON.parse(bodyOf(answer)).spiff__logs).toEqual(['step 1']);
  });

  test.each([
    ['queue_full', undefined, ['Retry-After', '1']],
    ['queue_full', 2100, ['Retry-After', '3']],
    ['connector_unavailable', 30_000, ['Retry-After', '30']],
    ['connector_unavailable', undefined, []],
    ['secret_missing', 5000, []],
    ['internal_error', 5000, []],
  ] as const)('%s after %s ms says %j', (code, retryAfterMs, headers) => {
    const error = new ProxyError(code, 'm', retryAfterMs === undefined ? {} : { retryAfterMs });
    expect(errorEnding(error, id).answer.headers).toEqual(headers);
  });
});
