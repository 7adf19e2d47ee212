/**
 * The connector protocol, version 1. This file is the specification; docs/protocol.md and docs/schema/ are generated from it.
 *
 * A connector is a program that reads JSON-RPC 2.0 messages from stdin and writes them to stdout: UTF-8, one message a line, ended
 * by LF, no batches. stderr is free text and becomes log lines. The proxy speaks first:
 *
 *   1. `initialize` once. The connector answers with the protocol version it speaks and the commands it has.
 *   2. `invoke` any number of times, many at once up to the connector's `concurrency`. Answers may come in any order.
 *   3. `cancel` (a notification) when an invocation's answer is no longer wanted. The connector may still answer; it should stop early.
 *   4. `ping` at any time: the answer is `{}`.
 *   5. `shutdown` once: the connector answers `{}`, stdin ends, and it exits. One that does not is killed.
 *
 * The connector may send the notifications `log` and `progress`; nothing else. Ids are the proxy's own unguessable strings: each is
 * answered once. A line that is no message, an answer to an unknown id, a second answer, a message over the size or depth limit,
 * invalid UTF-8, and a `__proto__` key are breaches: the connector is stopped and the failure is named `protocol_violation`.
 */
import * as v from 'valibot';

export const protocolVersion = 1;

const json = v.unknown();
const jsonObject = v.record(v.string(), json);
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64));

// ---- proxy → connector --------------------------------------------------------------------------------------------------------

/** What a command is, as in the manifest. Only `name` is compared with the manifest; the rest may be left out. */
export const CommandDeclarationSchema = v.looseObject({
  name: v.string(),
  description: v.optional(v.string()),
  parameters: v.optional(jsonObject),
});

export const InitializeParamsSchema = v.object({
  protocol: v.literal(protocolVersion),
  proxy: v.object({ name: v.string(), version: v.string() }),
  connector: v.object({ name: v.string() }),
  /** The `settings` of the connector in the deployer's config. */
  config: jsonObject,
  /** The secrets that the config grants, by the names that the manifest requests. */
  secrets: v.record(v.string(), v.string()),
});

export const InitializeResultSchema = v.looseObject({
  protocol: v.number(),
  name: v.optional(v.string()),
  version: v.optional(v.string()),
  commands: v.array(CommandDeclarationSchema),
  /** How many invocations this process takes at once. The lower of this and the config's `workers.concurrency` holds. */
  concurrency: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
});

/** What a command is told beside its input. The engine's data is present only where the manifest's `context` names it. */
export const InvocationContextSchema = v.object({
  invocationId: v.string(),
  /** When the answer stops being of use: milliseconds since the epoch. */
  deadline: v.number(),
  /** 1 for the first try. */
  attempt: v.number(),
  /** W3C trace context of the caller. */
  traceparent: v.optional(v.string()),
  taskData: v.optional(json),
  processInstanceId: v.optional(json),
  processModelIdentifier: v.optional(json),
  taskId: v.optional(json),
  callbackUrl: v.optional(json),
});

export const InvokeParamsSchema = v.object({
  command: v.string(),
  input: jsonObject,
  context: InvocationContextSchema,
});

/**
 * The one document that a `oneshot` connector reads from stdin: the params of `invoke` and, as there is no `initialize`, the `config` and
 * `secrets` that a persistent connector gets there. Secrets never travel in arguments or environment.
 */
export const OneshotDocumentSchema = v.object({
  ...InvokeParamsSchema.entries,
  config: v.optional(InitializeParamsSchema.entries.config),
  secrets: v.optional(InitializeParamsSchema.entries.secrets),
});

/** A media type, with parameters or without. */
const mimetype = v.pipe(
  v.string(),
  v.maxLength(256),
  v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*(;[\t\x20-\x7e]*)?$/, 'must be a media type such as text/plain'),
);

const headers = v.record(
  v.pipe(v.string(), v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/, 'a header’s name must be a token such as X-Request-Id')),
  v.pipe(v.string(), v.regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'a header’s value must have no line break and no other control character')),
);

/**
 * Also the one document that a `oneshot` connector writes to stdout. Either `body`, from which the proxy makes the engine's envelope,
 * or `spiff`, a result in the engine's own form (an envelope of version 2, or the older `{response, mimetype, status}`) that is passed
 * on as it is.
 */
export const InvokeResultSchema = v.looseObject({
  body: v.optional(json),
  mimetype: v.optional(mimetype),
  httpStatus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(100), v.maxValue(599))),
  headers: v.optional(headers),
  /** Lines for the modeler, shown as `spiff__logs`. */
  logs: v.optional(v.array(v.string())),
  spiff: v.optional(json),
  /** The work goes on after this answer; the connector itself will call the callback URL. */
  accepted: v.optional(v.boolean()),
});

/** `data` of a JSON-RPC error that answers `invoke`; also, with `message`, the `error` of a `oneshot` reply. */
export const InvokeErrorDataSchema = v.looseObject({
  /** Matched by the engine's boundary events. Default: `connector_failed`. */
  errorCode: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$/, 'must be 1 to 128 of letters, digits, _, ., : and -')),
  ),
  httpStatus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599))),
  retryable: v.optional(v.boolean()),
  detail: v.optional(json),
});

export const CancelParamsSchema = v.object({ invocationId: v.string(), reason: v.string() });

const request = <const M extends string, P extends v.GenericSchema>(method: M, params: P) =>
  v.object({ jsonrpc: v.literal('2.0'), id, method: v.literal(method), params });
const notification = <const M extends string, P extends v.GenericSchema>(method: M, params: P) =>
  v.object({ jsonrpc: v.literal('2.0'), method: v.literal(method), params });

export const ProxyMessageSchema = v.variant('method', [
  request('initialize', InitializeParamsSchema),
  request('invoke', InvokeParamsSchema),
  notification('cancel', CancelParamsSchema),
  request('ping', v.object({})),
  request('shutdown', v.object({})),
]);

// ---- connector → proxy --------------------------------------------------------------------------------------------------------

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

export const LogParamsSchema = v.looseObject({
  invocationId: v.optional(v.string()),
  level: v.optional(v.picklist(logLevels), 'info'),
  message: v.string(),
  fields: v.optional(jsonObject),
});

export const ProgressParamsSchema = v.looseObject({
  invocationId: v.string(),
  progress: v.number(),
  total: v.optional(v.number()),
  message: v.optional(v.string()),
});

export const ErrorObjectSchema = v.looseObject({ code: v.optional(v.number()), message: v.string(), data: v.optional(json) });

export const ConnectorMessageSchema = v.union([
  v.object({ jsonrpc: v.literal('2.0'), id, result: json }),
  v.object({ jsonrpc: v.literal('2.0'), id, error: ErrorObjectSchema }),
  notification('log', LogParamsSchema),
  notification('progress', ProgressParamsSchema),
]);

export type CommandDeclaration = v.InferOutput<typeof CommandDeclarationSchema>;
export type InitializeParams = v.InferOutput<typeof InitializeParamsSchema>;
export type InitializeResult = v.InferOutput<typeof InitializeResultSchema>;
export type InvokeErrorData = v.InferOutput<typeof InvokeErrorDataSchema>;
export type LogParams = v.InferOutput<typeof LogParamsSchema>;
export type ProgressParams = v.InferOutput<typeof ProgressParamsSchema>;
export type LogLevel = (typeof logLevels)[number];
