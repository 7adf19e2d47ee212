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
 *   5. `shutdown` once: the connector answers `{}`, stdin ends, and it exits. One that does not within a second each gets SIGTERM, and is
 *      killed two seconds later.
 *
 * The connector may send the notifications `log` and `progress`; nothing else. Ids are the proxy's own unguessable strings: each is
 * answered once. A line that is no message, an answer to an unknown id, a second answer, a message nested too deep, invalid UTF-8,
 * and a `__proto__` key are breaches: the connector is stopped and the failure is named `protocol_violation`. So is one that writes a
 * message over the size limit: the invocation that it answers fails with `result_too_large`, where the id can be read from its beginning.
 */
import * as v from 'valibot';

export const protocolVersion = 1;

const json = v.unknown();
const jsonObject = v.record(v.string(), json);
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64));
const concurrencyMax = 1024;

/** A schema with the words that docs/protocol.md and the JSON Schema have for it. */
const told = <const S extends v.GenericSchema>(schema: S, description: string) => v.pipe(schema, v.description(description));

// ---- proxy → connector --------------------------------------------------------------------------------------------------------

const CommandDeclarationSchema = v.looseObject({
  name: told(v.string(), 'As in the manifest; the only part that is compared with it.'),
  description: v.optional(v.string()),
  parameters: v.optional(jsonObject),
});

export const InitializeParamsSchema = v.object({
  protocol: told(v.literal(protocolVersion), 'The version that the proxy speaks.'),
  proxy: v.object({ name: v.string(), version: v.string() }),
  connector: v.object({ name: told(v.string(), 'The name under which the config knows this connector.') }),
  config: told(jsonObject, 'The connector’s `settings` in the deployer’s config.'),
  secrets: told(v.record(v.string(), v.string()), 'The secrets that the config grants, by the names that the manifest requests.'),
});

export const InitializeResultSchema = v.looseObject({
  protocol: told(v.number(), 'The version that the connector speaks: 1.'),
  name: v.optional(v.string()),
  version: v.optional(v.string()),
  commands: told(
    v.array(CommandDeclarationSchema),
    'The commands it has: those of the manifest. A difference is a failure to start, named.',
  ),
  concurrency: v.optional(
    told(
      v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(concurrencyMax)),
      'How many invocations this process takes at once. The lower of this and the config’s `workers.concurrency` holds.',
    ),
  ),
});

/** The engine's data is handed over as the engine sent it, and only to a command that asks for it. */
const engineData = (name: string) => v.optional(told(json, `The engine’s own, where the manifest’s \`context\` names \`${name}\`.`));

const InvocationContextSchema = v.object({
  invocationId: told(v.string(), 'Names the invocation in `cancel`, `log` and `progress`, and in the proxy’s own logs.'),
  deadline: told(v.number(), 'When the answer stops being of use: milliseconds since the epoch.'),
  attempt: told(v.number(), 'Always 1: a retry of the engine is a new invocation.'),
  traceparent: v.optional(told(v.string(), 'W3C trace context of the caller.')),
  taskData: engineData('task_data'),
  processInstanceId: engineData('process_instance_id'),
  processModelIdentifier: engineData('process_model_identifier'),
  taskId: engineData('task_id'),
  callbackUrl: engineData('callback_url'),
});

export const InvokeParamsSchema = v.object({
  command: told(v.string(), 'The command’s name.'),
  input: told(jsonObject, 'The values of its parameters, as the caller wrote them: any number of digits, keys in any order.'),
  context: told(InvocationContextSchema, 'What the command is told beside its input.'),
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
  body: v.optional(told(json, 'The result: any JSON value. Its bytes are passed on as they are.')),
  mimetype: v.optional(told(mimetype, 'Of the body, when it is not JSON.')),
  httpStatus: v.optional(
    told(
      v.pipe(v.number(), v.integer(), v.minValue(100), v.maxValue(599)),
      'A status that came from the outside system, shown beside the body.',
    ),
  ),
  headers: v.optional(told(headers, 'Headers that came from the outside system.')),
  logs: v.optional(told(v.array(v.string()), 'Lines for the modeler, shown as `spiff__logs`.')),
  spiff: v.optional(
    told(json, 'Instead of `body`: a result in the engine’s own form, passed on as it is, without `mimetype`, `httpStatus` and `headers`.'),
  ),
  accepted: v.optional(told(v.boolean(), 'The work goes on after this answer; the connector itself will call the callback URL.')),
});

/** `data` of a JSON-RPC error that answers `invoke`; also, with `message`, the `error` of a `oneshot` reply. */
export const InvokeErrorDataSchema = v.looseObject({
  errorCode: v.optional(
    told(
      v.pipe(
        v.string(),
        v.regex(/^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$/, 'must be 1 to 128 of letters, digits, _, ., : and -, beginning with a letter or _'),
      ),
      'Matched by the engine’s boundary events: 1 to 128 of letters, digits, `_`, `.`, `:` and `-`, beginning with a letter or `_`. Default: `connector_failed`.',
    ),
  ),
  httpStatus: v.optional(
    told(
      v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599)),
      'The status of the answer. The engine retries 429 and from 500 on, and no other. Default: 503 or 422 by `retryable`, else 500.',
    ),
  ),
  retryable: v.optional(told(v.boolean(), 'Whether the same invocation may succeed later.')),
  detail: v.optional(told(json, 'Anything more, for people.')),
});

/** The other document that a `oneshot` connector may write. */
export const OneshotErrorSchema = v.looseObject({
  error: v.looseObject({ message: told(v.string(), 'What went wrong, for people.'), ...InvokeErrorDataSchema.entries }),
});

export const CancelParamsSchema = v.object({
  invocationId: v.string(),
  reason: told(v.string(), 'Why, for logs.'),
});

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

const logLevels = ['debug', 'info', 'warn', 'error'] as const;

export const LogParamsSchema = v.looseObject({
  invocationId: v.optional(told(v.string(), 'With it, the line is also shown to the modeler as one of `spiff__logs`.')),
  level: v.optional(v.picklist(logLevels), 'info'),
  message: v.string(),
  fields: v.optional(told(jsonObject, 'More, by name, for the structured log.')),
});

export const ProgressParamsSchema = v.looseObject({
  invocationId: v.string(),
  progress: told(v.number(), 'How much is done.'),
  total: v.optional(told(v.number(), 'Of how much.')),
  message: v.optional(v.string()),
});

export const ErrorObjectSchema = v.looseObject({
  code: v.optional(told(v.number(), 'JSON-RPC’s own number; not used.')),
  message: told(v.string(), 'What went wrong, for people.'),
  data: v.optional(told(json, 'The next table; anything else is shown as `detail`.')),
});

export const ConnectorMessageSchema = v.union([
  v.object({ jsonrpc: v.literal('2.0'), id, result: json }),
  v.object({ jsonrpc: v.literal('2.0'), id, error: ErrorObjectSchema }),
  notification('log', LogParamsSchema),
  notification('progress', ProgressParamsSchema),
]);

export type InitializeParams = v.InferOutput<typeof InitializeParamsSchema>;
export type InitializeResult = v.InferOutput<typeof InitializeResultSchema>;
export type LogParams = v.InferOutput<typeof LogParamsSchema>;
export type ProgressParams = v.InferOutput<typeof ProgressParamsSchema>;
