import * as v from 'valibot';
import { GrowingScan } from '../lib/growing-scan.ts';
import { type Member, type ScannedJson, type ScanOptions, type ScanResult, scanJson } from '../lib/json-scan.ts';
import { type JsonText, memberText, trustJsonText } from '../lib/json-text.ts';
import { byteAt, bytesOf, latin1, type Piece, slicePiece, utf8Of } from '../lib/pieces.ts';
import { type Breach, escapeUnprintable, excerptOf, type Mask, notAMessage } from './breach.ts';
import { type Checked, parseChecked } from './checked-parse.ts';
import { type ErrorReply, readErrorObject } from './error-object.ts';
import { type LineLimits, messageMembersMax } from './limits.ts';
import { type LogParams, LogParamsSchema, type ProgressParams, ProgressParamsSchema } from './messages.ts';

export type Incoming =
  | {
      readonly type: 'result';
      readonly id: string;
      readonly result: JsonText;
      /** Members of an object `result`, when the reader met them on its way: handed to `readReply` they save a second scan. */
      readonly members?: readonly Member[];
      readonly lineBytes: number;
    }
  | { readonly type: 'error'; readonly id: string; readonly error: ErrorReply; readonly lineBytes: number }
  /** An answer to `id` that cannot be passed on. Only that invocation fails; the connector lives. */
  | { readonly type: 'invalid'; readonly id: string; readonly breach: Breach }
  | { readonly type: 'notification'; readonly method: 'log'; readonly params: LogParams }
  | { readonly type: 'notification'; readonly method: 'progress'; readonly params: ProgressParams };

export type LineReading = { readonly ok: true; readonly message: Incoming } | { readonly ok: false; readonly breach: Breach };

const idCharactersMax = 64;

/** The scan of a long line whose end is still to come. */
export interface BegunLine {
  /** Where it began: at the result of a plain answer, or at 0. */
  readonly start: number;
  readonly scan: GrowingScan;
}

/** `beginning` holds the id, if the line is laid out as usual. What of the line comes next goes to the scan, without the LF. */
export function beginLine(beginning: Buffer, limits: LineLimits): BegunLine {
  const start = plainStart(beginning)?.start ?? 0;
  // The last two bytes may be the brace and the CR behind a result.
  const options = start === 0 ? lineOptions(limits) : { ...resultOptions(limits), heldBytes: 2 };
  const scan = new GrowingScan(options);
  scan.advance(beginning.subarray(start));
  return { start, scan };
}

function lineOptions({ nestingMax }: LineLimits): ScanOptions {
  return { nestingMax, allowNonFinite: true, membersMax: messageMembersMax };
}

function resultOptions({ nestingMax }: LineLimits): ScanOptions {
  return { nestingMax: nestingMax - 1, membersMax: messageMembersMax };
}

/** One line without its LF, whose first byte that is not blank is a brace. */
export function readLine(line: Buffer, limits: LineLimits, mask: Mask, begun?: BegunLine): LineReading {
  const answer = readPlainAnswer(line, limits, begun);
  if (answer !== undefined) return { ok: true, message: answer };
  const scan = begun?.start === 0 ? begun.scan.finish(line) : scanJson(line, lineOptions(limits));
  if (!scan.ok) return { ok: false, breach: notAMessage(line, mask, `byte ${scan.offset}: ${scan.reason}`) };
  const parts = partsOf(line, scan);
  if (typeof parts === 'string') return violation(parts);
  if (parts.jsonrpc === undefined || !isText(parts.jsonrpc, '"2.0"')) return violation('without the member "jsonrpc": "2.0"');
  if (parts.method !== undefined) return readNotification(parts.method, { parts, limits, mask, lineBytes: line.length, scan });
  return readAnswer(parts, { line, scan, mask });
}

/** The layouts that JSON.stringify and Python's json.dumps give `{jsonrpc, id, result}`: nothing to find but the id and one value. */
const layouts = [
  { head: '{"jsonrpc":"2.0","id":"', middle: '","result":' },
  { head: '{"jsonrpc": "2.0", "id": "', middle: '", "result": ' },
] as const;

/** The id, and where the result begins. */
function plainStart(line: Piece): { readonly id: string; readonly start: number } | undefined {
  const layout = layouts[byteAt(line, 11) === 0x20 ? 1 : 0];
  const idStart = layout.head.length;
  const id = plainId(line, idStart);
  if (id === undefined || !holdsAt(line, layout.head, 0) || !holdsAt(line, layout.middle, idStart + id.length)) return undefined;
  return { id, start: idStart + id.length + layout.middle.length };
}

/** Of a line that is laid out as usual; undefined: it is to be read the long way round. */
export function readPlainAnswer(line: Piece, limits: LineLimits, begun?: BegunLine): Incoming | undefined {
  const plain = plainStart(line);
  if (plain === undefined) return undefined;
  const { id, start } = plain;
  const end = line.length - (byteAt(line, line.length - 1) === 0x0d ? 2 : 1);
  if (byteAt(line, end) !== 0x7d) return undefined;
  const value = slicePiece(line, start, end);
  const scan: ScanResult = begun?.start === start ? begun.scan.finish(bytesOf(value)) : scanJson(value, resultOptions(limits));
  // What is odd in any way is read again the long way round, which also finds the words for it.
  if (!scan.ok || scan.start !== 0 || scan.hasLineBreak) return undefined;
  return { type: 'result', id, result: trustJsonText(slicePiece(value, 0, scan.end)), members: scan.members, lineBytes: line.length };
}

/** The id in a message of one of the layouts, also when only its beginning is there. */
export function idOfBeginning(beginning: Buffer): string | undefined {
  const layout = layouts[beginning[11] === 0x20 ? 1 : 0];
  return holdsAt(beginning, layout.head, 0) ? plainId(beginning, layout.head.length) : undefined;
}

/** An id as the proxy makes them: letters, digits, `-` and `_`. */
function plainId(line: Piece, start: number): string | undefined {
  let at = start;
  while (at <= start + idCharactersMax && isIdByte(byteAt(line, at))) at += 1;
  const length = at - start;
  return length === 0 || length > idCharactersMax || byteAt(line, at) !== 0x22 ? undefined : latin1(slicePiece(line, start, at));
}

function isIdByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (
    (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d || byte === 0x5f
  );
}

function isText(piece: Piece, text: string): boolean {
  return piece.length === text.length && holdsAt(piece, text, 0);
}

function holdsAt(line: Piece, text: string, start: number): boolean {
  if (typeof line === 'string') return line.startsWith(text, start);
  return line.length >= start + text.length && latin1(slicePiece(line, start, start + text.length)) === text;
}

interface Parts {
  jsonrpc?: JsonText;
  id?: JsonText;
  method?: JsonText;
  params?: JsonText;
  result?: JsonText;
  error?: JsonText;
}

const partNames = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;

/** The members that mean something, or what is wrong with them. */
function partsOf(line: Uint8Array, { members, hasLineBreak }: ScannedJson): Parts | string {
  const parts: Parts = {};
  for (const member of members) {
    if (member.key === '__proto__') return 'with a key __proto__';
    const name = partNames.find((known) => known === member.key);
    if (name === undefined) continue;
    if (parts[name] !== undefined) return `with the member ${name} twice`;
    parts[name] = memberText(line, member, hasLineBreak);
  }
  return parts;
}

interface NotificationScene {
  readonly parts: Parts;
  readonly limits: LineLimits;
  readonly mask: Mask;
  readonly lineBytes: number;
  readonly scan: ScannedJson;
}

function readNotification(methodText: JsonText, { parts, limits, mask, lineBytes, scan }: NotificationScene): LineReading {
  if (parts.id !== undefined) return violation('that is a request; a connector may send only the notifications log and progress');
  if (lineBytes > limits.notificationBytesMax) return violation(`that is a notification of more than ${limits.notificationBytesMax} bytes`);
  if (scan.nonFinite) return violation('that is a notification with NaN or Infinity, which are not JSON');
  const params = parts.params ?? trustJsonText('{}');
  switch (utf8Of(methodText)) {
    case '"log"':
      return notification('log', parseChecked(LogParamsSchema, params), (value) => ({
        type: 'notification',
        method: 'log',
        params: value,
      }));
    case '"progress"':
      return notification('progress', parseChecked(ProgressParamsSchema, params), (value) => {
        return { type: 'notification', method: 'progress', params: value };
      });
    default:
      return violation(`with the method ${excerptOf(methodText, mask)}; a connector may send only the notifications log and progress`);
  }
}

function notification<T>(method: string, params: Checked<T>, make: (params: T) => Incoming): LineReading {
  if (!params.ok) return violation(`that is a notification ${method} with wrong params: ${escapeUnprintable(params.reason)}`);
  return { ok: true, message: make(params.value) };
}

interface AnswerScene {
  readonly line: Buffer;
  readonly scan: ScannedJson;
  readonly mask: Mask;
}

function readAnswer({ id: idText, result, error }: Parts, { line, scan, mask }: AnswerScene): LineReading {
  if (idText === undefined) return violation('with neither an id nor a method');
  if (isText(idText, 'null') && error !== undefined) {
    return violation(`that answers no request (id null): it could not read what it was sent: ${excerptOf(error, mask)}`);
  }
  const id = readId(idText);
  if (!id.ok) return violation(`with an id that the proxy never sent: ${id.reason}`);
  if ((result === undefined) === (error === undefined)) return violation('that has not exactly one of result and error', id.value);
  if (scan.nonFinite) return { ok: true, message: { type: 'invalid', id: id.value, breach: nonFiniteResult(id.value) } };
  if (result !== undefined) return { ok: true, message: { type: 'result', id: id.value, result, lineBytes: line.length } };
  const reply = readErrorObject(error ?? idText, mask);
  if (typeof reply === 'string') return violation(`with a wrong error: ${reply}`, id.value);
  return { ok: true, message: { type: 'error', id: id.value, error: reply, lineBytes: line.length } };
}

/** What is no text may hold NaN, which cannot be parsed. */
function readId(text: JsonText): Checked<string> {
  return byteAt(text, 0) === 0x22 ? parseChecked(idSchema, text) : { ok: false, reason: 'expected string' };
}

const idSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(idCharactersMax));

export function nonFiniteResult(id?: string): Breach {
  const message = 'The command ran, but its result holds NaN or Infinity, which JSON does not have. Replace them, e.g. by null.';
  return { code: 'invalid_result', message, ...(id === undefined ? {} : { id }) };
}

function violation(what: string, id?: string): { readonly ok: false; readonly breach: Breach } {
  const message = `The connector wrote a message ${what}. See docs/protocol.md.`;
  return { ok: false, breach: { code: 'protocol_violation', message, ...(id === undefined ? {} : { id }) } };
}
