import type { IncomingMessage, ServerResponse } from 'node:http';
// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { ProxyError } from '../../errors.ts';
import type { Deadlines } from '../../lib/deadlines.ts';
import { company } from '../../lib/turn-share.ts';
import type { InvocationId, Phases } from '../../worker/invocation.ts';
import { answerBytes, answerTimeoutMsDefault, sendAnswer } from '../answer.ts';
import { type Access, type ApiKeys, apiKeyHeader } from '../api-keys.ts';
import type { AppOptions } from '../app-options.ts';
import { createClients } from '../clients.ts';
import type { FindCommand, KnownCommand } from '../command-lookup.ts';
import type { Cors } from '../cors.ts';
import { type Ending, errorEnding, outcomeEnding, unauthorizedAnswer } from '../envelope.ts';
import { createInvocationIds } from '../invocation-id.ts';
import { readInput } from '../invocation-input.ts';
import { auditInvocation, createInvocationLog, type InvocationRecord } from '../invocation-log.ts';
import { readBody } from '../request-body.ts';
import { type RequestHeaders, readHeaders } from '../request-headers.ts';
import type { CommandPath } from '../request-path.ts';

/** Runs a command for `POST /v1/do/connector/command`; settles when the answer is handed over, and never rejects. */
export type InvokeRoute = (incoming: IncomingMessage, outgoing: ServerResponse, path: CommandPath) => Promise<void>;

export interface InvokeOptions extends AppOptions {
  readonly apiKeys: ApiKeys;
  readonly cors: Cors;
  readonly findCommand: FindCommand;
  readonly deadlines: Deadlines;
}

/** One request on its way, with what is known of it so far: the log line tells it however far it came. */
interface Call {
  readonly id: InvocationId;
  /** Of performance.now(). */
  readonly startedAt: number;
  /** The same in milliseconds since the epoch. */
  readonly arrivedMs: number;
  readonly incoming: IncomingMessage;
  readonly headers: RequestHeaders;
  readonly outgoing: ServerResponse;
  readonly path: CommandPath;
  access?: Access;
  command?: KnownCommand;
  requestBytes: number;
  phases?: Phases;
}

export function createInvokeRoute(options: InvokeOptions): InvokeRoute {
  const { cors, metrics, server, logger, audit } = options;
  const { answerTimeoutMs = answerTimeoutMsDefault } = server;
  const invoke = createInvoke(options);
  const log = createInvocationLog(logger);
  const newId = createInvocationIds();
  return async (incoming, outgoing, path) => {
    const id = newId();
    const headers = readHeaders(incoming);
    const [startedAt, arrivedMs] = [performance.now(), Date.now()];
    const call: Call = { id, startedAt, arrivedMs, incoming, headers, outgoing, path, requestBytes: 0 };
    let ending: Ending;
    try {
      ending = await invoke(call);
    } catch (error) {
      ending = errorEnding(ProxyError.from(error), id);
    }
    const more = cors.headers(headers.origin);
    const replyBytes = answerBytes(ending.answer);
    try {
      sendAnswer({ incoming, outgoing, answer: ending.answer, more: ['Invocation-Id', id, ...more], answerTimeoutMs });
    } catch (cause) {
      // An answer that Node refuses to write is a bug; nobody is left waiting for it.
      logger.error({ invocation: id, code: 'internal_error', cause: String(cause) }, 'an answer could not be written');
      outgoing.destroy();
    }
    if (call.command === undefined) metrics.refused(ending.code);
    else call.command.metrics.observe(ending.code, call.phases);
    const record = recordOf(call, ending, replyBytes);
    company.ended(call.startedAt + record.totalMs, call.requestBytes + replyBytes);
    log(record);
    if (audit !== undefined) auditInvocation(audit, logger, record);
  };
}

/** The order of checks is the reference’s: key, command, body (spiff-contract 3.2); the route was found before. */
function createInvoke(options: InvokeOptions): (call: Call) => Promise<Ending> {
  const { apiKeys, findCommand, readiness, server, dispatcher, deadlines } = options;
  const clientOf = createClients();
  let running = 0;
  return async (call) => {
    const { incoming, headers, outgoing } = call;
    const access = apiKeys.find(headers[apiKeyHeader]);
    if (access === undefined) return { code: 'unauthorized', answer: unauthorizedAnswer };
    call.access = access;
    const command = findCommand(call.path, access);
    call.command = command;
    checkContentType(headers);
    if (readiness().state === 'draining') throw shuttingDown();
    if (running >= server.invocationsMax) throw tooMany(server.invocationsMax);
    running += 1;
    company.comes(call.startedAt);
    const client = clientOf(incoming.socket);
    client.running += 1;
    try {
      const body = await readBody({ incoming, headers, outgoing, limits: server, scanOptions: command.rules, deadlines });
      call.requestBytes = body.bytes.length;
      const { input, engineData } = readInput(body, command.rules);
      const outcome = await dispatcher.invoke({
        id: call.id,
        connector: command.connector,
        command: command.command,
        input,
        engineData,
        attempt: 1,
        traceparent: traceparentOf(headers),
        deadline: call.arrivedMs + command.invocationTimeoutMs,
        signal: client.signal,
      });
      call.phases = outcome.phases;
      return outcomeEnding(outcome, call.id);
    } finally {
      running -= 1;
      company.goes();
      client.running -= 1;
    }
  };
}

function recordOf(call: Call, { answer, code, error }: Ending, replyBytes: number): InvocationRecord {
  return {
    id: call.id,
    connector: call.command?.connector,
    command: call.command?.command,
    keyName: call.access?.keyName,
    code,
    status: answer.status,
    error,
    phases: call.phases,
    totalMs: performance.now() - call.startedAt,
    arrivedMs: call.arrivedMs,
    requestBytes: call.requestBytes,
    replyBytes,
  };
}

/** `application/json` or `application/*+json`, parameters and case ignored (spiff-contract 3.3); no compressed bodies. */
function checkContentType(headers: RequestHeaders): void {
  const type = headers['content-type'];
  if (type !== 'application/json' && !isJsonType(type)) {
    throw new ProxyError('unsupported_media_type', 'The Content-Type is neither application/json nor application/*+json.');
  }
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return;
  throw new ProxyError('unsupported_media_type', 'The request body has a Content-Encoding; send it as it is.');
}

function isJsonType(header = ''): boolean {
  const type = header.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return type === 'application/json' || (type.startsWith('application/') && type.endsWith('+json'));
}

/** A trace context that is none is left out: W3C asks to start anew then, and the connector may. */
function traceparentOf({ traceparent }: RequestHeaders): string | undefined {
  if (traceparent === undefined) return undefined;
  return /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent) ? traceparent : undefined;
}

function shuttingDown(): ProxyError {
  return new ProxyError('shutting_down', 'Bulkhead is stopping and takes no new work; the command did not run.', { retryAfterMs: 1000 });
}

function tooMany(invocationsMax: number): ProxyError {
  const message = `${invocationsMax} invocations run or wait already (server.invocations); the command did not run.`;
  return new ProxyError('queue_full', message, { retryAfterMs: 1000 });
}
