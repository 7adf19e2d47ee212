import * as v from 'valibot';
import { type Member, scanJson } from '../lib/json-scan.ts';
import { type JsonText, memberText, trustJsonText } from '../lib/json-text.ts';
import { byteAt, utf8Of } from '../lib/pieces.ts';
import { type Breach, escapeUnprintable, type Mask, notAMessage, tooLarge } from './breach.ts';
import { type Checked, parseChecked } from './checked-parse.ts';
import { type ErrorReply, readErrorMessage } from './error-object.ts';
import { nonFiniteResult } from './incoming.ts';
import { errorDetailBytesMax, messageMembersMax, parsedBytesMax, replyFieldBytesMax } from './limits.ts';
import { type InitializeResult, InitializeResultSchema, InvokeErrorDataSchema, InvokeResultSchema } from './messages.ts';
import { type Texts, textsByKey } from './texts-by-key.ts';

/** What the connector answered, its values as its own text. */
export type Reply =
  | {
      readonly type: 'body';
      readonly body: JsonText;
      readonly mimetype?: string;
      readonly httpStatus?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly logs: readonly string[];
    }
  /** A result in the engine’s own form, passed on as it is. */
  | { readonly type: 'spiff'; readonly result: JsonText; readonly logs: readonly string[] };

export type ReplyReading =
  | { readonly ok: true; readonly reply: Reply; readonly accepted: boolean }
  | { readonly ok: false; readonly breach: Breach };

/** An error of the connector’s own, as it wants the engine to see it. */
export interface ConnectorError {
  /** The connector’s own code, or `connector_failed`. */
  readonly errorCode: string;
  readonly message: string;
  readonly httpStatus?: number;
  readonly retryable?: boolean;
  readonly detail?: JsonText;
}

export type OneshotReading =
  | { readonly type: 'reply'; readonly reply: Reply; readonly accepted: boolean }
  | { readonly type: 'error'; readonly error: ConnectorError }
  | { readonly type: 'breach'; readonly breach: Breach };

export interface OneshotLimits {
  readonly messageBytesMax: number;
  readonly nestingMax: number;
}

/**
 * The `result` of an answer to `invoke`. `body` and `spiff` are taken as text and never parsed; the rest is checked. `members` are those
 * of `result` when they are known already, which saves a scan.
 */
export function readReply(result: JsonText, members?: readonly Member[]): ReplyReading {
  if (byteAt(result, 0) !== 0x7b) return invalid('it is not an object with "body" or "spiff"');
  const [only] = members ?? [];
  // What most commands answer, and nothing in it to check.
  if (only?.key === 'body' && members?.length === 1) {
    return { ok: true, accepted: false, reply: { type: 'body', body: memberText(result, only, false), logs: noLogs } };
  }
  const texts = textsByKey(result, members && { members, hasLineBreak: false });
  if (typeof texts === 'string') return invalid(texts);
  const fields = parseFields(ReplyFieldsSchema, replyFieldNames, texts);
  if (!fields.ok) return invalid(fields.reason);
  const { accepted = false, logs = [], mimetype, httpStatus, headers } = fields.value;
  const body = texts.get('body');
  const spiff = texts.get('spiff');
  if (spiff !== undefined) {
    if (body !== undefined) return invalid('it has both "body" and "spiff"; give one');
    return { ok: true, accepted, reply: { type: 'spiff', result: spiff, logs } };
  }
  if (body === undefined && !accepted) return invalid('it has neither "body" nor "spiff"');
  const reply: Reply = {
    type: 'body',
    body: body ?? trustJsonText('null'),
    logs,
    ...(mimetype === undefined ? {} : { mimetype }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(headers === undefined ? {} : { headers }),
  };
  return { ok: true, accepted, reply };
}

const noLogs: readonly string[] = [];

export function readError({ message, data }: ErrorReply): ConnectorError {
  if (data === undefined) return { errorCode: 'connector_failed', message };
  // What a library puts there on its own, a traceback say, is worth showing.
  if (byteAt(data, 0) !== 0x7b) return withDetail({ errorCode: 'connector_failed', message }, data);
  return errorOf(message, textsByKey(data));
}

/** The `result` of an answer to `initialize`, parsed and checked. */
export function readInitialize(
  result: JsonText,
): { readonly ok: true; readonly result: InitializeResult } | { readonly ok: false; readonly breach: Breach } {
  const parsed = parseChecked(InitializeResultSchema, result);
  if (parsed.ok) return { ok: true, result: parsed.value };
  const reason = result.length > parsedBytesMax ? `${parsed.reason}; leave out what is in the manifest` : parsed.reason;
  const message = `The connector’s answer to initialize is wrong: ${escapeUnprintable(reason)}. See docs/protocol.md.`;
  return { ok: false, breach: { code: 'protocol_violation', message } };
}

/** Everything that a `oneshot` connector wrote to stdout: one document, which may have line breaks. */
export function readOneshot(
  stdout: Uint8Array,
  { messageBytesMax, nestingMax }: OneshotLimits,
  mask: Mask = (text) => text,
): OneshotReading {
  if (stdout.length > messageBytesMax) return { type: 'breach', breach: tooLarge(messageBytesMax, undefined) };
  const scan = scanJson(stdout, { nestingMax, allowNonFinite: true, membersMax: messageMembersMax });
  if (!scan.ok) return { type: 'breach', breach: notAMessage(stdout, mask, `byte ${scan.offset}: ${scan.reason}`) };
  if (scan.nonFinite) return { type: 'breach', breach: nonFiniteResult() };
  const texts = textsByKey(stdout, scan);
  const error = typeof texts === 'string' ? undefined : texts.get('error');
  if (error !== undefined) return readOneshotError(error, mask);
  const document = memberText(stdout, { key: '', memberStart: 0, valueStart: scan.start, valueEnd: scan.end }, scan.hasLineBreak);
  const reading = readReply(document, scan.start === 0 ? scan.members : undefined);
  if (!reading.ok) return { type: 'breach', breach: reading.breach };
  return { type: 'reply', reply: reading.reply, accepted: reading.accepted };
}

function readOneshotError(error: JsonText, mask: Mask): OneshotReading {
  const texts = textsByKey(error);
  const messageText = typeof texts === 'string' ? undefined : texts.get('message');
  const message = messageText === undefined ? undefined : readErrorMessage(messageText, mask);
  if (message?.ok !== true) return { type: 'breach', breach: invalid('its "error" is not an object with the text "message"').breach };
  return { type: 'error', error: errorOf(message.value, texts) };
}

const ReplyFieldsSchema = v.pick(InvokeResultSchema, ['mimetype', 'httpStatus', 'headers', 'logs', 'accepted']);
const replyFieldNames = Object.keys(ReplyFieldsSchema.entries);
const ErrorFieldsSchema = v.pick(InvokeErrorDataSchema, ['errorCode', 'httpStatus', 'retryable']);
const errorFieldNames = Object.keys(ErrorFieldsSchema.entries);

/** The named members as a value of the schema; everything else in the text is left unread. */
function parseFields<S extends v.GenericSchema>(schema: S, names: readonly string[], texts: Texts): Checked<v.InferOutput<S>> {
  const present = names.filter((name) => texts.has(name));
  const tooLong = present.find((name) => (texts.get(name)?.length ?? 0) > replyFieldBytesMax);
  if (tooLong !== undefined) return { ok: false, reason: `"${tooLong}" has more than ${replyFieldBytesMax} bytes` };
  const text = `{${present.map((name) => `"${name}":${utf8Of(texts.get(name) ?? '')}`).join(',')}}`;
  return parseChecked(schema, trustJsonText(Buffer.from(text)));
}

function errorOf(message: string, texts: Texts | string): ConnectorError {
  const fields =
    typeof texts === 'string' ? ({ ok: false, reason: texts } as const) : parseFields(ErrorFieldsSchema, errorFieldNames, texts);
  if (!fields.ok) {
    const note = `(The rest of this error was not used: ${escapeUnprintable(fields.reason)}.)`;
    return { errorCode: 'connector_failed', message: `${message} ${note}` };
  }
  const { errorCode = 'connector_failed', httpStatus, retryable } = fields.value;
  const error = {
    errorCode,
    message,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(retryable === undefined ? {} : { retryable }),
  };
  return typeof texts === 'string' ? error : withDetail(error, texts.get('detail'));
}

function withDetail(error: ConnectorError, detail: JsonText | undefined): ConnectorError {
  if (detail === undefined) return error;
  if (detail.length <= errorDetailBytesMax) return { ...error, detail };
  return { ...error, message: `${error.message} (Its detail was left out: it has more than ${errorDetailBytesMax} bytes.)` };
}

function invalid(reason: string): { readonly ok: false; readonly breach: Breach } {
  const message = `The command ran, but its result cannot be passed on: ${escapeUnprintable(reason)}. See docs/protocol.md.`;
  return { ok: false, breach: { code: 'invalid_result', message } };
}
