import type { IncomingMessage, ServerResponse } from 'node:http';
// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { ProxyError } from '../../errors.ts';
import type { Deadlines } from '../../lib/deadlines.ts';
import { together } from '../../lib/together.ts';
import { company } from '../../lib/turn-share.ts';
import type { InvocationId, Phases } from '../../worker/invocation.ts';
import { answerBytes, answerTimeoutMsDefault, beginAnswer, type WriteAnswer } from '../answer.ts';
import { type Access, type ApiKeys, apiKeyHeader } from '../api-keys.ts';
import type { AppOptions } from '../app-options.ts';
import { type Client, clientOf } from '../clients.ts';
import type { FindCommand, KnownCommand } from '../command-lookup.ts';
import type { Cors } from '../cors.ts';
import { type Ending, errorEnding, outcomeEnding, unauthorizedAnswer } from '../envelope.ts';
import { createInvocationIds } from '../invocation-id.ts';
import { readInput } from '../invocation-input.ts';
import { auditInvocation, createInvocationLog, type InvocationRecord } from '../invocation-log.ts';
import { receiveBody, takeBody } from '../request-body.ts';
import { type RequestHeaders, readHeaders } from '../request-headers.ts';
import type { CommandPath } from '../request-path.ts';

/** Runs a command for `POST /v1/do/connector/command`, and answers. Never throws. */
export type InvokeRoute = (incoming: IncomingMessage, outgoing: ServerResponse, path: CommandPath) => void;

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

/** A call with its answer, ready to be written. */
interface EndedCall {
  readonly call: Call;
  readonly ending: Ending;
  readonly replyBytes: number;
  readonly write: WriteAnswer | undefined;
}

export function createInvokeRoute(options: InvokeOptions): InvokeRoute {
  const invoke = createInvoke(options, createEnd(options));
  const newId = createInvocationIds();
  return (incoming, outgoing, path) => {
    const id = newId();
    const headers = readHeaders(incoming);
    const [startedAt, arrivedMs] = [performance.now(), Date.now()];
    void invoke({ id, startedAt, arrivedMs, incoming, headers, outgoing, path, requestBytes: 0 });
  };
}

/** What ends a call. */
function createEnd(options: InvokeOptions): (call: Call, ending: Ending) => void {
  const begin = createBegin(options);
  const tell = createTell(options);
  // One right after the other: a write may wake its reader, which costs as much as the write, and who reads one answer while others come
  // need not be woken for them. What is told of a call comes after them.
  const end = together<EndedCall>((calls) => {
    for (const { write } of calls) write?.();
    for (const ended of calls) tell(ended);
  });
  return (call, ending) => end({ call, ending, replyBytes: answerBytes(ending.answer), write: begin(call, ending) });
}

function createBegin({ cors, logger, server }: InvokeOptions): (call: Call, ending: Ending) => WriteAnswer | undefined {
  const { answerTimeoutMs = answerTimeoutMsDefault } = server;
  return ({ id, incoming, headers, outgoing }, { answer }) => {
    const more = cors.headers(headers.origin);
    try {
      return beginAnswer({ incoming, outgoing, answer, more: ['Invocation-Id', id, ...more], answerTimeoutMs });
    } catch (cause) {
      // An answer that Node refuses to write is a bug; nobody is left waiting for it.
      logger.error({ invocation: id, code: 'internal_error', cause: String(cause) }, 'an answer could not be written');
      outgoing.destroy();
      return undefined;
    }
  };
}

/** Metrics, log and audit. */
function createTell({ metrics, logger, audit }: InvokeOptions): (ended: EndedCall) => void {
  const log = createInvocationLog(logger);
  return ({ call, ending, replyBytes }) => {
    if (call.command === undefined) metrics.refused(ending.code);
    else call.command.metrics.observe(ending.code, call.phases);
    const record = recordOf(call, ending, replyBytes);
    company.ended(call.startedAt + record.totalMs, call.requestBytes + replyBytes);
    log(record);
    if (audit !== undefined) auditInvocation(audit, logger, record);
  };
}

/** Runs a call, whatever comes of it, until its end. */
function createInvoke(options: InvokeOptions, end: (call: Call, ending: Ending) => void): (call: Call) => Promise<void> {
  const { server, dispatcher, deadlines } = options;
  const admissions = createAdmissions(options);
  // One function that waits, not one for each part: three promises more are 4 % of what the proxy does for a call.
  return async (call) => {
    const { id, incoming, headers, outgoing } = call;
    let client: Client | undefined;
    let ending: Ending;
    try {
      const command = admissions.admit(call);
      client = admissions.enter(call);
      const bodyOptions = { incoming, headers, outgoing, limits: server, scanOptions: command.rules, deadlines };
      // Node tells of a request amid the chunk that its headers end in; by the next microtask it has taken what of its body is in that chunk.
      await undefined;
      const body = takeBody(bodyOptions) ?? (await receiveBody(bodyOptions));
      call.requestBytes = body.bytes.length;
      const { input, engineData } = readInput(body, command.rules);
      const outcome = await dispatcher.invoke({
        id,
        connector: command.connector,
        command: command.command,
        input,
        engineData,
        attempt: 1,
        traceparent: traceparentOf(headers),
        deadline: call.arrivedMs + command.invocationTimeoutMs,
        expiresAt: call.startedAt + command.invocationTimeoutMs,
        signal: client.signal,
      });
      call.phases = outcome.phases;
      ending = outcomeEnding(outcome, id);
    } catch (error) {
      ending = failedEnding(ProxyError.from(error), id);
    }
    if (client !== undefined) admissions.leave(client);
    end(call, ending);
  };
}

/** Who has no key is told nothing, not even an id of the call in the body. */
function failedEnding(error: ProxyError, id: InvocationId): Ending {
  return error.code === 'unauthorized' ? { code: error.code, answer: unauthorizedAnswer } : errorEnding(error, id);
}

interface Admissions {
  /** Throws what speaks against the call. The order of checks is the reference’s: key, command, body (spiff-contract 3.2); the route was found before. */
  admit(call: Call): KnownCommand;
  /** Counts it among what runs. */
  enter(call: Call): Client;
  leave(client: Client): void;
}

function createAdmissions({ apiKeys, findCommand, readiness, server }: InvokeOptions): Admissions {
  let running = 0;
  return {
    admit(call) {
      const { headers, path } = call;
      const access = apiKeys.find(headers[apiKeyHeader]);
      if (access === undefined) throw unauthorized();
      call.access = access;
      const command = findCommand(path, access);
      call.command = command;
      checkContentType(headers);
      if (readiness().state === 'draining') throw shuttingDown();
      if (running >= server.invocationsMax) throw tooMany(server.invocationsMax);
      return command;
    },
    enter({ incoming, startedAt }) {
      running += 1;
      company.comes(startedAt);
      const client = clientOf(incoming.socket);
      client.running += 1;
      return client;
    },
    leave(client) {
      running -= 1;
      company.goes();
      client.running -= 1;
    },
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

function unauthorized(): ProxyError {
  return new ProxyError('unauthorized', 'The request has no API key of this server.');
}

function shuttingDown(): ProxyError {
  return new ProxyError('shutting_down', 'Bulkhead is stopping and takes no new work; the command did not run.', { retryAfterMs: 1000 });
}

function tooMany(invocationsMax: number): ProxyError {
  const message = `${invocationsMax} invocations run or wait already (server.invocations); the command did not run.`;
  return new ProxyError('queue_full', message, { retryAfterMs: 1000 });
}
