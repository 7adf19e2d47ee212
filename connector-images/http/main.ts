import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import { ConnectorError, type Context, JsonText, reply, serve } from './bulkhead.ts';
import { type ClientRequest, send } from './client.ts';
import { RequestError } from './errors.ts';
import type { HttpResponse, Limits } from './exchange.ts';
import { headersOf } from './headers.ts';
import { isFalsy, kindOf, pythonText, queryOf } from './params.ts';
import { reformat } from './python-json.ts';
import { textOf } from './text.ts';
import { xmlToJson } from './xml.ts';

const version = '1.0.0';
const attemptPauseMs = 1_000;
/** Kept for the answer when the deadline comes near. */
const answerMarginMs = 500;
/** Of one result as JSON: the proxy ends a connector whose message is larger than its `limits.message`, by default 32 MiB. */
const resultBytesMax = 24 * 1024 * 1024;
/** Of a response within a message about it, in UTF-16 units. The whole response is in the body, where there is one. */
const quotedLengthMax = 64 * 1024;

const authorities = readAuthorities(process.env['SSL_CERT_FILE'] ?? process.env['REQUESTS_CA_BUNDLE']);

interface Command {
  readonly method: string;
  readonly follow?: boolean;
  /** Whether `data` is sent even when there is none. */
  readonly data?: 'always' | 'if-given';
  readonly typeFirst?: boolean;
}

interface Attempted {
  readonly response?: HttpResponse;
  readonly error?: unknown;
}

function second(command: Command) {
  return (_input: unknown, context: Context) => runV2(command, context);
}

function first(command: Command) {
  return (_input: unknown, context: Context) => runV1(command, context);
}

/** The envelope of version 2: whatever happens is in it, and the HTTP status around it is always 200. */
async function runV2(command: Command, context: Context): Promise<unknown> {
  const logs: string[] = [];
  const log = (message: string) => void logs.push(`[${((performance.timeOrigin + performance.now()) / 1000).toFixed(6)}] ${message}`);
  log('Will execute');
  if (authOf(context) !== undefined) log('Set auth');
  const { response, status, error } = await attempts(command, context, log);
  log('Did execute');
  const content = response === undefined ? { body: {}, error } : contentOf(response, error);
  if (response !== undefined) log('Did parse http_response');
  const shown =
    content.error ??
    (status >= 400 && response !== undefined ? { error_code: `HttpError${status}`, message: received('', response) } : null);
  const envelope = (body: unknown, httpStatus: number, error: SpiffError | null) => ({
    command_response: { body, mimetype: 'application/json', http_status: httpStatus },
    error,
    command_response_version: 2,
    spiff__logs: logs,
  });
  const result = measured(envelope(content.body, status, shown));
  return reply({ spiff: result ?? envelope({}, 500, errorOf(resultTooLarge())) });
}

/** The value as text, or undefined where the proxy would not take it. */
function measured(spiff: unknown): JsonText | undefined {
  const text = JsonText.stringify(spiff);
  return Buffer.byteLength(text) > resultBytesMax ? undefined : new JsonText(text);
}

function resultTooLarge(): RequestError {
  return new RequestError(
    'ResponseTooLarge',
    `The response is larger than ${resultBytesMax} bytes as JSON, in which one byte can take six; ask for less at once`,
  );
}

interface SpiffError {
  readonly error_code: string;
  readonly message: string;
}

async function attempts(command: Command, context: Context, log: (message: string) => void) {
  const url = pythonText(context.text['url']);
  const count = attemptsOf(context.text['attempts']);
  let error: SpiffError | null = null;
  for (let attempt = 1; ; attempt += 1) {
    if (attempt > 1) {
      log('Sleeping before next attempt');
      await sleep(attemptPauseMs, undefined, { signal: context.signal });
    }
    log(`Will attempt ${attempt} of ${count}`);
    log(`Will call ${url}`);
    const { response, error: failure } = await attemptOnce(command, context);
    if (response === undefined) {
      log(`Did catch exception: ${messageOf(failure)}`);
      // As in the reference, a failed attempt is told even when a later one succeeds.
      error = errorOf(failure);
    } else {
      log(`Did call ${url}`);
      log('Will parse http_response');
    }
    log(`Did attempt ${attempt} of ${count}`);
    const status = response?.status ?? 500;
    if (Math.floor(status / 100) !== 5 || attempt >= count) return { response, status, error };
  }
}

async function attemptOnce(command: Command, context: Context): Promise<Attempted> {
  try {
    return { response: await send(requestOf(command, context)) };
  } catch (error) {
    return { error };
  }
}

function requestOf(command: Command, context: Context): ClientRequest {
  const { text, signal } = context;
  const data = text['data'];
  const json =
    command.data === 'always' && isFalsy(data)
      ? '{}'
      : kindOf(data) === 'NoneType' || data === undefined
        ? undefined
        : reformat(data.source);
  const auth = authOf(context);
  const headers = headersOf(text['headers']);
  const typed = headers.some(([name, value]) => value !== null && name.toLowerCase() === 'content-type');
  return {
    method: command.method,
    url: pythonText(text['url']),
    query: queryOf(text['params']),
    headers: command.typeFirst && !typed ? [...headers, ['Content-Type', 'application/json']] : headers,
    ...(json === undefined ? {} : { json }),
    ...(auth === undefined ? {} : { auth }),
    follow: command.follow ?? true,
    userAgent: `bulkhead-http/${version}`,
    limits: limitsOf(context),
    environment: process.env,
    ...(authorities === undefined ? {} : { authorities }),
    signal,
  };
}

/** A file of certificates that are trusted beside Node's own (NODE_EXTRA_CA_CERTS works too, by Node itself). */
function readAuthorities(file: string | undefined): readonly string[] | undefined {
  return file === undefined || file === '' ? undefined : [...getCACertificates('default'), readFileSync(file, 'utf8')];
}

function authOf({ text }: Context): readonly [string, string] | undefined {
  const [user, password] = [text['basic_auth_username'], text['basic_auth_password']];
  if (kindOf(user) === 'NoneType' || kindOf(password) === 'NoneType') return undefined;
  return [pythonText(user), pythonText(password)];
}

/** Settings of the connector; everything ends before the deadline does. */
function limitsOf({ config, deadline }: Context): Limits {
  const setting = (name: string, preset: number) => (typeof config[name] === 'number' && config[name] > 0 ? config[name] : preset);
  return {
    connectTimeoutMs: setting('connectTimeoutMs', 10_000),
    readTimeoutMs: setting('readTimeoutMs', 300_000),
    responseBytesMax: setting('responseBytesMax', 4 * 1024 * 1024),
    endsAt: deadline - answerMarginMs,
  };
}

/** A whole number from 1 to 10 counts; Python takes true for 1. Anything else is one attempt. */
function attemptsOf(given: JsonText | undefined): number {
  const count = Number(given?.source);
  return kindOf(given) === 'int' && count >= 1 && count <= 10 ? count : 1;
}

function responseText({ body, headers }: HttpResponse): string {
  return textOf(body, headers['content-type'] ?? '');
}

function contentOf(response: HttpResponse, error: SpiffError | null): { readonly body: unknown; readonly error: SpiffError | null } {
  const type = response.headers['content-type'] ?? '';
  const text = responseText(response);
  try {
    if (type.includes('application/json')) return { body: new JsonText(reformat(text)), error };
    if (type.includes('application/xml') || type.includes('text/xml')) return { body: new JsonText(xmlToJson(text)), error };
  } catch (failure) {
    return { body: rawResponse(text), error: errorOf(failure, response) };
  }
  return { body: rawResponse(text), error };
}

function rawResponse(text: string): unknown {
  return { raw_response: text };
}

function errorOf(failure: unknown, response?: HttpResponse): SpiffError {
  return { error_code: nameOf(failure), message: received(messageOf(failure), response) };
}

function received(message: string, response?: HttpResponse): string {
  const text = response === undefined ? 'None' : responseText(response);
  const left = text.length - quotedLengthMax;
  const quoted = left > 0 ? `${text.slice(0, quotedLengthMax).toWellFormed()}… (${left} more characters)` : text;
  return `Received Error: ${message}. Raw http_response was: ${quoted}`;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The older form: status and text of the answer pass through. A failure to get one is a ValueError, as the engine knows it from the reference. */
async function runV1(command: Command, context: Context): Promise<unknown> {
  const { response, error } = await attemptOnce(command, context);
  if (response === undefined) throw valueError(error);
  const result = measured({ response: responseText(response), status: response.status, mimetype: 'application/json' });
  if (result === undefined) throw valueError(resultTooLarge());
  return reply({ spiff: result });
}

function valueError(failure: unknown): ConnectorError {
  return new ConnectorError(`Invalid format specifier ' ${messageOf(failure)}' for object of type 'str'`, {
    errorCode: 'ValueError',
    httpStatus: 500,
  });
}

serve({
  version,
  concurrency: 256,
  commands: {
    DeleteRequestV2: second({ method: 'DELETE', data: 'if-given' }),
    GetRequest: first({ method: 'GET' }),
    GetRequestV2: second({ method: 'GET' }),
    HeadRequestV2: second({ method: 'HEAD', follow: false }),
    PatchRequestV2: second({ method: 'PATCH', data: 'always', typeFirst: true }),
    PostRequest: first({ method: 'POST', data: 'if-given' }),
    PostRequestV2: second({ method: 'POST', data: 'always', typeFirst: true }),
    PutRequestV2: second({ method: 'PUT', data: 'always', typeFirst: true }),
  },
});
