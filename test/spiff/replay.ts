import { expect } from 'vitest';
import { ask, type HttpAnswer } from '../unit/http/served-app.ts';
import type { Difference } from './differences.ts';
import type { Fixture } from './fixtures.ts';
import { jsonDifference } from './lossless.ts';

/** The recorded place of the upstream, as it is in this run. */
function placed(text: string, upstreamPort: number): string {
  return text.replaceAll('127.0.0.1:7099', `127.0.0.1:${upstreamPort}`).replaceAll('{uniq}', `u${upstreamPort}`);
}

export async function replay({ request }: Fixture, url: string, upstreamPort: number): Promise<HttpAnswer> {
  const { method, path, headers, body, body_base64 } = request;
  const bytes = body_base64 === undefined ? (body === null ? undefined : placed(body, upstreamPort)) : Buffer.from(body_base64, 'base64');
  return await ask({ url, method, path, headers, body: bytes });
}

export function expectRecorded({ status, headers, body }: HttpAnswer, { response }: Fixture, upstreamPort: number): void {
  expect({ status, type: headers['content-type'] ?? '' }).toEqual({ status: response.status, type: response.content_type });
  expectHeaders(headers, response.headers ?? {});
  const recorded = recordedBody(response.body ?? '', upstreamPort);
  if (isJson(recorded)) expect(jsonDifference(body, recorded)).toBeUndefined();
  else expect(body).toBe(recorded);
}

/** The one thing in it that names the client library: the connector says who it is. */
function recordedBody(body: string, upstreamPort: number): string {
  return placed(body, upstreamPort).replaceAll('python-requests/<version>', 'bulkhead-http/<version>');
}

function isJson(text: string): boolean {
  return /^\s*[[{]/.test(text);
}

export function expectDifference({ status, headers, body }: HttpAnswer, expected: Difference): void {
  expect({ status, type: headers['content-type'] }).toEqual({ status: expected.status, type: expected.contentType ?? 'application/json' });
  expectHeaders(headers, expected.headers ?? {});
  if (expected.body !== undefined && isJson(expected.body)) expect(jsonDifference(body, expected.body)).toBeUndefined();
  else if (expected.body !== undefined) expect(body).toBe(expected.body);
  if (expected.errorCode === undefined) return;
  const { command_response, error, ...others } = JSON.parse(body);
  if (expected.isEnvelope) expect({ command_response, others }).toEqual(failedEnvelope(status));
  else expect({ command_response, others }).toEqual({ command_response: {}, others: {} });
  expect(error.error_code).toBe(expected.errorCode);
  expect(error.message).toContain(expected.message ?? '');
  if ('invocation-id' in headers) expect(error.invocation_id).toBe(headers['invocation-id']);
}

/** Around an error of the connector’s own. */
function failedEnvelope(status: number): object {
  return {
    command_response: { body: {}, mimetype: 'application/json', http_status: status },
    others: { command_response_version: 2, spiff__logs: expect.any(Array) },
  };
}

/** The order of what is allowed does not count. */
function expectHeaders(actual: HttpAnswer['headers'], expected: Readonly<Record<string, string>>): void {
  const lists = new Set(['allow', 'access-control-allow-methods']);
  const sorted = (value: unknown): string => String(value).split(', ').toSorted().join(', ');
  for (const [header, value] of Object.entries(expected)) {
    const name = header.toLowerCase();
    const is = actual[name];
    if (lists.has(name)) expect({ [name]: sorted(is) }).toEqual({ [name]: sorted(value) });
    else expect({ [name]: is }).toEqual({ [name]: value });
  }
}
