import { isUtf8 } from 'node:buffer';
import { type Cursor, createCursor, fail, skipNumber, skipSpace, skipString, skipWord } from './json-tokens.ts';

// Kept here though json-tokens.ts has some of them too: the engine folds a constant of its own module, an imported one it loads each time,
// which made the scanner half as fast.
const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openObject = 0x7b;
const closeObject = 0x7d;
const openArray = 0x5b;
const failed = -1;

/** One member of an object, by offsets, so that it can be cut out or passed on without being parsed. */
export interface Member {
  /** Decoded: escapes are resolved, lone surrogates kept. */
  readonly key: string;
  /** Offset of the key’s opening quote. */
  readonly memberStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

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
  let end = scanValue(cursor, start, nestingMax, list);
  if (end !== failed) {
    const rest = skipSpace(cursor, end);
    if (rest < bytes.length) end = fail(cursor, rest, 'something follows the value');
  }
  if (cursor.failure !== undefined) return { ok: false, ...cursor.failure };
  // Bytes from 0x80 on have passed only within strings, so a text without them needs no second look.
  if (cursor.seen >= 0x80 && !isUtf8(bytes)) return { ok: false, offset: firstInvalidUtf8(bytes), reason: 'it is not UTF-8' };
  const { hasLineBreak, nonFinite } = cursor;
  return { ok: true, type: typeAt(bytes, start), start, end, members: list.members, hasLineBreak, nonFinite };
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

interface OpenMember {
  key: string;
  memberStart: number;
  valueStart: number;
  valueEnd: number;
}

interface MemberList {
  readonly members: OpenMember[];
  readonly membersMax: number;
  /** The scanned bytes as a Buffer, made for the first key. */
  buffer: Buffer | undefined;
}

/** One value and all within it. The stack is of our own, so that no nesting of the input can exhaust the engine’s. */
function scanValue(cursor: Cursor, start: number, nestingMax: number, list: MemberList): number {
  const { bytes } = cursor;
  /** The bytes that will close what is open. */
  const stack: number[] = [];
  let at = start;
  for (;;) {
    const byte = bytes[at];
    if (byte === openObject || byte === openArray) {
      if (stack.length >= nestingMax) return fail(cursor, at, `it is nested deeper than ${nestingMax}`);
      at = skipSpace(cursor, at + 1);
      if (bytes[at] !== byte + 2) {
        stack.push(byte + 2);
        if (byte === openObject) at = scanKey(cursor, at, stack.length, list);
        if (at === failed) return failed;
        continue;
      }
      at += 1;
    } else {
      at = skipScalar(cursor, at, byte);
      if (at === failed) return failed;
    }
    at = endValue(cursor, at, stack, list);
    if (at === failed || stack.length === 0) return at;
  }
}

/** A value ended at `from`: closes what it completes and goes on to where the next value begins. */
function endValue(cursor: Cursor, from: number, stack: number[], list: MemberList): number {
  const { bytes } = cursor;
  let at = from;
  while (stack.length > 0) {
    if (stack.length === 1) endMember(list, at);
    at = skipSpace(cursor, at);
    const close = stack[stack.length - 1] as number;
    if (bytes[at] === comma) {
      at = skipSpace(cursor, at + 1);
      return close === closeObject ? scanKey(cursor, at, stack.length, list) : at;
    }
    if (bytes[at] !== close)
      return fail(cursor, at, `a comma or the end of ${close === closeObject ? 'an object' : 'an array'} is expected`);
    stack.pop();
    at += 1;
  }
  return at;
}

function scanKey(cursor: Cursor, start: number, nesting: number, list: MemberList): number {
  const { bytes } = cursor;
  if (bytes[start] !== quote) return fail(cursor, start, 'a key in double quotes is expected');
  const keyEnd = skipString(cursor, start + 1);
  if (keyEnd === failed) return failed;
  const isEscaped = cursor.hasEscape;
  const colonAt = skipSpace(cursor, keyEnd);
  if (bytes[colonAt] !== colon) return fail(cursor, colonAt, 'a colon is expected');
  const valueStart = skipSpace(cursor, colonAt + 1);
  if (nesting > 1) return valueStart;
  if (list.members.length >= list.membersMax) return fail(cursor, start, `it has more than ${list.membersMax} members`);
  list.members.push({ key: keyText(cursor, list, start, keyEnd, isEscaped), memberStart: start, valueStart, valueEnd: failed });
  return valueStart;
}

function keyText({ bytes }: Cursor, list: MemberList, start: number, end: number, isEscaped: boolean): string {
  list.buffer ??= Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isEscaped) return JSON.parse(list.buffer.toString('utf8', start, end)) as string;
  return list.buffer.toString('utf8', start + 1, end - 1);
}

function endMember({ members }: MemberList, at: number): void {
  // A look-up at -1, for a top-level array, would cost more than all else.
  if (members.length > 0) (members[members.length - 1] as OpenMember).valueEnd = at;
}

function skipScalar(cursor: Cursor, at: number, byte: number | undefined): number {
  if (byte === quote) return skipString(cursor, at + 1);
  if (byte !== undefined && (byte === 0x2d || (byte >= 0x30 && byte <= 0x39))) return skipNumber(cursor, at);
  return skipWord(cursor, at);
}

function typeAt(bytes: Uint8Array, start: number): JsonType {
  switch (bytes[start]) {
    case openObject:
      return 'object';
    case openArray:
      return 'array';
    case quote:
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

/** Near enough to find it: at most three bytes before the first sequence that is not UTF-8. */
function firstInvalidUtf8(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isUtf8Prefix(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

/** Whether it is UTF-8 but for a sequence that is cut off at the end. */
function isUtf8Prefix(bytes: Uint8Array): boolean {
  return [0, 1, 2, 3].some((cut) => cut <= bytes.length && isUtf8(bytes.subarray(0, bytes.length - cut)));
}
