import { isUtf8 } from 'node:buffer';
import { type Cursor, createCursor, fail, skipSpace } from './json-tokens.ts';
import { endsWithDigit, type Member, type MemberList, type Place, scanValue } from './json-values.ts';
import { firstInvalidUtf8, sequenceStart } from './utf8.ts';

export type { Member } from './json-values.ts';

const failed = -1;

export interface ScanOptions {
  /** Objects and arrays within one another; a lone scalar has nesting 0, `[]` has 1. */
  readonly nestingMax: number;
  /** Also takes the NaN, Infinity and -Infinity that Python’s json module writes, and reports them as `nonFinite`. Default false. */
  readonly allowNonFinite?: boolean;
  /** Members of the top-level object, duplicates counted. Default `membersMaxDefault`. */
  readonly membersMax?: number;
}

export type ScanResult = ScannedJson | ScanFailure;

export interface ScannedJson {
  readonly ok: true;
  readonly type: JsonType;
  /** The value without white space around it. */
  readonly start: number;
  readonly end: number;
  /** Of a top-level object, in the order of the text, duplicates included; empty for every other type. */
  readonly members: readonly Member[];
  /** Whether a raw CR or LF stands between tokens. (Within strings JSON has none.) */
  readonly hasLineBreak: boolean;
  readonly nonFinite: boolean;
}

interface ScanFailure {
  readonly ok: false;
  readonly offset: number;
  /** What is wrong, without any of the input; reads well after “is not JSON: ”. */
  readonly reason: string;
}

type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/** More top-level members than any request has, few enough that their list stays small beside the text. */
export const membersMaxDefault = 65_536;

/**
 * Checks that bytes are one JSON value (RFC 8259, UTF-8) and finds the members of a top-level object. Builds no values, is linear in
 * the bytes whatever they hold, and never throws.
 */
export function scanJson(
  bytes: Uint8Array,
  { nestingMax, allowNonFinite = false, membersMax = membersMaxDefault }: ScanOptions,
): ScanResult {
  const cursor = createCursor(bytes, allowNonFinite);
  const start = skipSpace(cursor, 0);
  const list: MemberList = { members: [], membersMax, buffer: undefined };
  let end = scanValue(cursor, { at: start, isEnded: false, stack: [] }, nestingMax, list);
  if (end !== failed) end = checkRest(cursor, end);
  if (cursor.failure !== undefined) return { ok: false, ...cursor.failure };
  // Bytes from 0x80 on have passed only within strings, so a text without them needs no second look.
  if (cursor.seen >= 0x80 && !isUtf8(bytes)) return notUtf8(firstInvalidUtf8(bytes, 0));
  return scanned(cursor, start, end, list);
}

function checkRest(cursor: Cursor, end: number): number {
  const rest = skipSpace(cursor, end);
  return rest < cursor.bytes.length ? fail(cursor, rest, 'something follows the value') : end;
}

/** A failure at the end of the bytes may be none once more of them are there. */
function forgetIfCutShort(cursor: Cursor): void {
  if (cursor.failure !== undefined && cursor.failure.offset >= cursor.bytes.length) cursor.failure = undefined;
}

function notUtf8(offset: number): ScanFailure {
  return { ok: false, offset, reason: 'it is not UTF-8' };
}

function scanned({ bytes, hasLineBreak, nonFinite }: Cursor, start: number, end: number, { members }: MemberList): ScannedJson {
  return { ok: true, type: typeAt(bytes, start), start, end, members, hasLineBreak, nonFinite };
}

/** Bytes that must come before it is worth while to go on; they take about a tenth of a millisecond. */
const stepBytesDefault = 32 * 1024;

/**
 * The scan of a text that is still coming: what has come is scanned as it comes, so that the last byte of a large text does not cost a
 * stall of the event loop. The result is that of `scanJson`, however the text is split. Linear in the bytes.
 */
export class GrowingScan {
  readonly #nestingMax: number;
  readonly #cursor: Cursor;
  readonly #place: Place = { at: 0, isEnded: false, stack: [] };
  readonly #list: MemberList;
  #start: number | undefined;
  /** Where the whole value ended. */
  #end: number | undefined;
  /** Up to here the bytes are UTF-8. */
  #valid = 0;
  #isInvalid = false;
  readonly #stepBytes: number;
  /** How many bytes there must be for the next step. */
  #nextBytes: number;

  constructor({ nestingMax, allowNonFinite = false, membersMax = membersMaxDefault }: ScanOptions, stepBytes = stepBytesDefault) {
    this.#stepBytes = stepBytes;
    this.#nextBytes = stepBytes;
    this.#nestingMax = nestingMax;
    this.#cursor = createCursor(Buffer.of(), allowNonFinite);
    this.#list = { members: [], membersMax, buffer: undefined };
  }

  /** `bytes` are all that came so far; those of an earlier call must not have changed, but may have moved. Cheap when little is new. */
  advance(bytes: Uint8Array): void {
    const cursor = this.#cursor;
    if (bytes.length < this.#nextBytes || cursor.failure !== undefined) return;
    this.#validate(bytes, sequenceStart(bytes, this.#valid));
    this.#scan(bytes);
    forgetIfCutShort(cursor);
    if (this.#end === bytes.length && endsWithDigit(bytes)) this.#end = undefined;
    // A string is read on from where the bytes ended. Other tokens are read again, and so only when twice as much of them is there.
    const againBytes = this.#end === undefined ? bytes.length - Math.max(this.#place.at, cursor.heldAt) : 0;
    this.#nextBytes = bytes.length + Math.max(this.#stepBytes, againBytes);
  }

  /** `bytes` are the whole text: all of the last call of `advance` and what came since. */
  finish(bytes: Uint8Array): ScanResult {
    const cursor = this.#cursor;
    if (cursor.failure === undefined) this.#scan(bytes);
    if (cursor.failure === undefined) checkRest(cursor, this.#end ?? 0);
    if (cursor.failure !== undefined) return { ok: false, ...cursor.failure };
    this.#validate(bytes, bytes.length);
    if (this.#isInvalid) return notUtf8(firstInvalidUtf8(bytes, this.#valid));
    return scanned(cursor, this.#start ?? 0, this.#end ?? 0, this.#list);
  }

  #scan(bytes: Uint8Array): void {
    const cursor = this.#cursor;
    const place = this.#place;
    cursor.bytes = bytes;
    cursor.words = undefined;
    this.#list.buffer = undefined;
    if (this.#end !== undefined) return;
    if (!place.isEnded) place.at = skipSpace(cursor, place.at);
    this.#start ??= place.at < bytes.length ? place.at : undefined;
    const end = scanValue(cursor, place, this.#nestingMax, this.#list);
    if (end !== failed) this.#end = end;
  }

  #validate(bytes: Uint8Array, end: number): void {
    if (this.#isInvalid) return;
    if (isUtf8(bytes.subarray(this.#valid, end))) this.#valid = end;
    else this.#isInvalid = true;
  }
}

/**
 * The members of an object within bytes that `scanJson` has accepted, which the object then cannot break; none for any other type.
 * `start` is the offset of its brace; offsets are those of `bytes`.
 */
export function scanMembers(bytes: Uint8Array, start: number, end: number): readonly Member[] {
  const scan = scanJson(bytes.subarray(start, end), {
    nestingMax: Number.POSITIVE_INFINITY,
    membersMax: Number.POSITIVE_INFINITY,
    allowNonFinite: true,
  });
  if (!scan.ok || start === 0) return scan.ok ? scan.members : [];
  return scan.members.map(({ key, memberStart, valueStart, valueEnd }) => ({
    key,
    memberStart: memberStart + start,
    valueStart: valueStart + start,
    valueEnd: valueEnd + start,
  }));
}

function typeAt(bytes: Uint8Array, start: number): JsonType {
  switch (bytes[start]) {
    case 0x7b:
      return 'object';
    case 0x5b:
      return 'array';
    case 0x22:
      return 'string';
    case 0x74:
    case 0x66:
      return 'boolean';
    case 0x6e:
      return 'null';
    default:
      return 'number';
  }
}
