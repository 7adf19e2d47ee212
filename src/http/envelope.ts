/**
 * The wire: what the engine is sent, and the only place beside spiff-result.ts and invocation-input.ts that knows its names. Shapes and
 * separators are the reference’s (spiff-contract 3.4 and 3.5). A connector’s JSON is spliced in as the text it was.
 */
import { errorTable, type ProxyError } from '../errors.ts';
import type { Failure, InvocationId, Outcome, Reply } from '../worker/invocation.ts';
import type { Answer } from './answer.ts';
import { asciiJson } from './ascii-json.ts';
import type { HeaderPairs } from './cors.ts';
import { replyHeaders } from './reply-headers.ts';
import { spiffAnswer } from './spiff-result.ts';

export const jsonType = 'application/json';

/** An answer, and the error code that logs and metrics count it under. */
export interface Ending {
  readonly answer: Answer;
  /** `ok`, `accepted`, a code of errors.ts, or the connector’s own, which is neither `ok` nor `accepted`. */
  readonly code: string;
  /** Of the proxy’s own. */
  readonly error?: ProxyError;
}

export function outcomeEnding(outcome: Outcome, id: InvocationId): Ending {
  switch (outcome.type) {
    case 'success':
      return replyEnding(outcome.reply, 200, id);
    case 'accepted':
      return replyEnding(outcome.reply, 202, id);
    case 'failure':
      return failureEnding(outcome.failure, id);
  }
}

/** An error of the proxy’s own; `id` is absent where nothing was to be invoked. */
export function errorEnding(error: ProxyError, id?: InvocationId, logs: readonly string[] = []): Ending {
  const { code, message, retryAfterMs } = error;
  const body = { command_response: {}, error: { message, error_code: code, invocation_id: id } };
  const text = asciiJson(logs.length === 0 ? body : { ...body, spiff__logs: logs });
  const headers = retryAfter(code, retryAfterMs);
  return { code, error, answer: { status: errorTable[code].status, contentType: jsonType, head: text, headers } };
}

/** As the reference words it; the same for every path, so that it tells nothing of what exists. */
export const unauthorizedAnswer: Answer = {
  status: 401,
  contentType: jsonType,
  head: '{"error":"Unauthorized"}\n',
};

function replyEnding(reply: Reply, status: 200 | 202, id: InvocationId): Ending {
  const code = status === 200 ? 'ok' : 'accepted';
  if (reply.type === 'body') return { code, answer: bodyAnswer(reply, status) };
  const answer = spiffAnswer(reply.result, status, reply.logs);
  return answer instanceof Error ? errorEnding(answer, id, reply.logs) : { code, answer };
}

const bodyHead = '{"command_response_version": 2, "command_response": {"body": ';
const plainTail = ', "mimetype": "application/json"}, "error": null, "spiff__logs": []}';

function bodyAnswer(reply: Reply & { type: 'body' }, status: 200 | 202): Answer {
  const { body, mimetype, httpStatus, headers, logs } = reply;
  const isPlain = mimetype === undefined && httpStatus === undefined && logs.length === 0;
  const tail = isPlain ? plainTail : `${describeBody(mimetype, httpStatus)}}, "error": null, "spiff__logs": ${listText(logs)}}`;
  return { status, contentType: jsonType, head: bodyHead, bytes: body, tail, headers: replyHeaders(headers) };
}

function failureEnding(failure: Failure, id: InvocationId): Ending {
  if (failure.origin === 'proxy') return errorEnding(failure.error, id, failure.logs);
  const { errorCode, message, detail, logs } = failure;
  const status = failureStatus(failure);
  const error = `{"message": ${asciiJson(message)}, "error_code": ${asciiJson(errorCode)}, "invocation_id": "${id}"}`;
  const tail = `${describeBody(undefined, status)}}, "error": ${error}, "spiff__logs": ${listText(logs)}}`;
  const answer = { status, contentType: jsonType, head: detail === undefined ? `${bodyHead}{}` : bodyHead, tail };
  return { code: countedCode(errorCode), answer: detail === undefined ? answer : { ...answer, bytes: detail } };
}

/** A connector names its failures as it likes, but none passes for a success in logs, metrics and audit. */
function countedCode(errorCode: string): string {
  return errorCode === 'ok' || errorCode === 'accepted' ? 'connector_failed' : errorCode;
}

/**
 * The engine retries on 429 and from 500 on, and on nothing else: so the status says what `retryable` says. A status of the
 * connector’s own holds unless it would say the opposite.
 */
export function failureStatus({ httpStatus, retryable }: { readonly httpStatus?: number; readonly retryable?: boolean }): number {
  if (httpStatus !== undefined && (retryable === undefined || retryable === engineRetries(httpStatus))) return httpStatus;
  if (retryable === undefined) return errorTable.connector_failed.status;
  return retryable ? 503 : 422;
}

function engineRetries(status: number): boolean {
  return status === 429 || status >= 500;
}

function describeBody(mimetype = jsonType, httpStatus: number | undefined): string {
  const status = httpStatus === undefined ? '' : `, "http_status": ${httpStatus}`;
  return `, "mimetype": ${asciiJson(mimetype)}${status}`;
}

function listText(lines: readonly string[]): string {
  return `[${lines.map(asciiJson).join(', ')}]`;
}

/** Where a code has a retry that helps, the client is told when; a second where nothing better is known. */
function retryAfter(code: ProxyError['code'], retryAfterMs: number | undefined): HeaderPairs {
  const { status, retryable } = errorTable[code];
  if (retryAfterMs === undefined && status !== 429) return [];
  if (!retryable || (status !== 429 && status !== 503)) return [];
  return ['Retry-After', String(Math.max(1, Math.ceil((retryAfterMs ?? 1000) / 1000)))];
}
