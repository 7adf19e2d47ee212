/** The values of JSON on bytes, and the members of the outermost object; see json-scan.ts. */
import { type Cursor, fail, skipNumber, skipSpace, skipString, skipWord } from './json-tokens.ts';

// Kept here though json-tokens.ts has some of them too: the engine folds a constant of its own module, an imported one it loads each time,
// which made the scanner half as fast.
const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const zero = 0x30;
const nine = 0x39;
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

interface OpenMember {
  key: string;
  memberStart: number;
  valueStart: number;
  valueEnd: number;
}

export interface MemberList {
  readonly members: OpenMember[];
  readonly membersMax: number;
  /** The scanned bytes as a Buffer, made for the first key. */
  buffer: Buffer | undefined;
}

/** Between two values, where a scan begins and from where it goes on when the bytes ended too early. */
export interface Place {
  at: number;
  /** Whether a value ended at `at`; otherwise one is expected there, or at the white space before it. */
  isEnded: boolean;
  /** The bytes that will close what is open. It is of our own, so that no nesting of the input can exhaust the engine’s stack. */
  readonly stack: number[];
}

/** One value and all within it, from the place on. When it fails, the place is the last one before the failure. */
export function scanValue(cursor: Cursor, place: Place, nestingMax: number, list: MemberList): number {
  const { bytes } = cursor;
  const { length } = bytes;
  const { stack } = place;
  let at = place.at;
  if (place.isEnded) {
    at = endValue(cursor, at, place, list);
    if (at === failed || stack.length === 0) return at;
  }
  for (;;) {
    const from = at;
    // Never reads past the end, here and below: once it has, the engine reads every byte more slowly.
    const byte = from < length ? bytes[from] : 0;
    if (byte === openObject || byte === openArray) {
      if (stack.length >= nestingMax) {
        fail(cursor, from, `it is nested deeper than ${nestingMax}`);
        return stay(place, from, false);
      }
      at = skipSpace(cursor, from + 1);
      if (at >= length || bytes[at] !== byte + 2) {
        at = byte === openObject ? scanKey(cursor, at, stack.length + 1, list) : beforeEnd(cursor, at);
        if (at === failed) return stay(place, from, false);
        stack.push(byte + 2);
        continue;
      }
      at += 1;
    } else {
      at = skipScalar(cursor, from, byte);
      if (at === failed) return stay(place, from, false);
    }
    const end = at;
    at = endValue(cursor, end, place, list);
    // More digits may follow those that the bytes ended with.
    if (at === failed && end === bytes.length && endsWithDigit(bytes)) stay(place, from, false);
    if (at === failed || stack.length === 0) return at;
  }
}

function stay(place: Place, at: number, isEnded: boolean): typeof failed {
  place.at = at;
  place.isEnded = isEnded;
  return failed;
}

/** Whether the last value, if it ends with the bytes, is a number. */
export function endsWithDigit(bytes: Uint8Array): boolean {
  const last = bytes[bytes.length - 1];
  return last !== undefined && last >= zero && last <= nine;
}

function beforeEnd(cursor: Cursor, at: number): number {
  return at < cursor.bytes.length ? at : fail(cursor, at, 'a value is expected');
}

/** A value ended at `from`: closes what it completes and goes on to where the next value begins. */
function endValue(cursor: Cursor, from: number, place: Place, list: MemberList): number {
  const { bytes } = cursor;
  const { stack } = place;
  let at = from;
  while (stack.length > 0) {
    if (stack.length === 1) endMember(list, at);
    const next = skipSpace(cursor, at);
    const close = stack[stack.length - 1] as number;
    const byte = next < bytes.length ? bytes[next] : 0;
    if (byte === comma) {
      const after = skipSpace(cursor, next + 1);
      if (close !== closeObject) return after;
      const value = scanKey(cursor, after, stack.length, list);
      return value === failed ? stay(place, at, true) : value;
    }
    if (byte !== close) {
      fail(cursor, next, `a comma or the end of ${close === closeObject ? 'an object' : 'an array'} is expected`);
      return stay(place, at, true);
    }
    stack.pop();
    at = next + 1;
  }
  return at;
}

/** Fails before it changes anything, so that it may be done again. */
function scanKey(cursor: Cursor, start: number, nesting: number, list: MemberList): number {
  const { bytes } = cursor;
  if (start >= bytes.length || bytes[start] !== quote) return fail(cursor, start, 'a key in double quotes is expected');
  const keyEnd = skipString(cursor, start + 1);
  if (keyEnd === failed) return failed;
  const isEscaped = cursor.hasEscape;
  const colonAt = skipSpace(cursor, keyEnd);
  if (colonAt >= bytes.length || bytes[colonAt] !== colon) return fail(cursor, colonAt, 'a colon is expected');
  const valueStart = skipSpace(cursor, colonAt + 1);
  if (nesting > 1) return valueStart < bytes.length ? valueStart : beforeEnd(cursor, valueStart);
  if (list.members.length >= list.membersMax) return fail(cursor, start, `it has more than ${list.membersMax} members`);
  if (valueStart >= bytes.length) return beforeEnd(cursor, valueStart);
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
