/**
 * The tokens of JSON on bytes: each function gets the offset where a token begins and returns the offset behind it, or `failed` having
 * noted why. Nothing is allocated for a token.
 */

const quote = 0x22;
const backslash = 0x5c;
const minus = 0x2d;
const plus = 0x2b;
const point = 0x2e;
const zero = 0x30;
const nine = 0x39;

const failed = -1;

/** Where a scan is and what it has seen. */
export interface Cursor {
  /** Replaced by a longer view when more of a text has come. */
  bytes: Uint8Array;
  readonly allowNonFinite: boolean;
  /** All bytes of strings, or-ed: below 0x80 when the text is ASCII and needs no check of its UTF-8. */
  seen: number;
  /** Whether the last string had an escape. */
  hasEscape: boolean;
  hasLineBreak: boolean;
  nonFinite: boolean;
  failure: { readonly offset: number; readonly reason: string } | undefined;
  words: Words | undefined;
  /** The string at whose end the bytes ended: where it began, how far it was read, and whether it had an escape by then. */
  heldFrom: number;
  heldAt: number;
  heldEscape: boolean;
}

/** The bytes four at a time, as far as they are aligned; `first` is the offset of word 0. */
interface Words {
  readonly view: Int32Array;
  readonly first: number;
}

export function createCursor(bytes: Uint8Array, allowNonFinite: boolean): Cursor {
  return {
    bytes,
    allowNonFinite,
    seen: 0,
    hasEscape: false,
    hasLineBreak: false,
    nonFinite: false,
    failure: undefined,
    words: undefined,
    heldFrom: failed,
    heldAt: failed,
    heldEscape: false,
  };
}

export function fail(cursor: Cursor, offset: number, reason: string): typeof failed {
  cursor.failure ??= { offset, reason: offset >= cursor.bytes.length ? 'it ends too early' : reason };
  return failed;
}

export function skipSpace(cursor: Cursor, from: number): number {
  const { bytes } = cursor;
  const { length } = bytes;
  let at = from;
  while (at < length) {
    const byte = bytes[at] as number;
    if (byte > 0x20) return at;
    if (byte === 0x0a || byte === 0x0d) cursor.hasLineBreak = true;
    else if (byte !== 0x20 && byte !== 0x09) return at;
    at += 1;
  }
  return at;
}

/** After this many plain bytes a string counts as long and is read by words. */
const shortStringBytes = 16;

/** `from` is the offset behind the opening quote. */
export function skipString(cursor: Cursor, from: number): number {
  const { bytes } = cursor;
  const { length } = bytes;
  const phase = bytes.byteOffset & 3;
  let seen = 0;
  let plainBytes = 0;
  let at = from;
  cursor.hasEscape = false;
  if (from === cursor.heldFrom) {
    at = cursor.heldAt;
    cursor.hasEscape = cursor.heldEscape;
  }
  while (at < length) {
    const byte = bytes[at] as number;
    if (byte === quote) {
      cursor.seen |= seen;
      return at + 1;
    }
    if (byte === backslash) {
      const next = skipEscape(cursor, at);
      if (next === failed) return hold(cursor, from, at, seen);
      at = next;
      plainBytes = 0;
      continue;
    }
    if (byte < 0x20) return fail(cursor, at, 'a string holds a raw control character');
    seen |= byte;
    at += 1;
    plainBytes += 1;
    if (plainBytes >= shortStringBytes && ((at + phase) & 3) === 0) {
      at = skipPlainWords(cursor, at);
      plainBytes = 0;
    }
  }
  fail(cursor, length, 'a string is not ended');
  return hold(cursor, from, at, seen);
}

/** So that a long string that comes in many pieces is read once. */
function hold(cursor: Cursor, from: number, at: number, seen: number): typeof failed {
  cursor.seen |= seen;
  cursor.heldFrom = from;
  cursor.heldAt = at;
  cursor.heldEscape = cursor.hasEscape;
  return failed;
}

function skipEscape(cursor: Cursor, at: number): number {
  cursor.hasEscape = true;
  const { bytes } = cursor;
  switch (at + 1 < bytes.length ? bytes[at + 1] : 0) {
    case quote:
    case backslash:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2;
    case 0x75: // u
      for (let digit = at + 2; digit < at + 6; digit += 1) {
        if (digit >= bytes.length || !isHexDigit(bytes[digit])) return fail(cursor, digit, 'a \\u escape needs four hexadecimal digits');
      }
      return at + 6;
    default:
      return fail(cursor, at + 1, 'a string has an escape that JSON does not know');
  }
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= zero && byte <= nine) || (byte >= 0x61 && byte <= 0x66) || (byte >= 0x41 && byte <= 0x46);
}

/**
 * Skips words without a quote, a backslash or a control character: the usual bit trick, in which `x - 0x01…` borrows into the high bit
 * of a byte that is zero. Four bytes at a time are about three times as fast as one, which is what a body of 10 MB costs.
 */
function skipPlainWords(cursor: Cursor, from: number): number {
  cursor.words ??= wordsOf(cursor.bytes);
  const { view, first } = cursor.words;
  const { length } = view;
  let seen = 0;
  let index = (from - first) >> 2;
  while (index < length) {
    const word = view[index] as number;
    const quotes = word ^ 0x22222222;
    const backslashes = word ^ 0x5c5c5c5c;
    const hits = ((word - 0x20202020) & ~word) | ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes);
    if ((hits & 0x80808080) !== 0) break;
    seen |= word;
    index += 1;
  }
  if ((seen & 0x80808080) !== 0) cursor.seen |= 0x80;
  return Math.max(from, first + index * 4);
}

function wordsOf(bytes: Uint8Array): Words {
  const first = (4 - (bytes.byteOffset & 3)) & 3;
  const count = Math.max(0, (bytes.length - first) >> 2);
  return { view: new Int32Array(bytes.buffer, count === 0 ? 0 : bytes.byteOffset + first, count), first };
}

export function skipNumber(cursor: Cursor, from: number): number {
  const { bytes } = cursor;
  const { length } = bytes;
  let at = bytes[from] === minus ? from + 1 : from;
  const first = at < length ? bytes[at] : 0;
  if (first === zero) at += 1;
  else {
    if (cursor.allowNonFinite && first === 0x49) return skipNonFinite(cursor, at, 'Infinity');
    at = skipDigits(cursor, at);
    if (at === failed) return failed;
  }
  if (at < length && bytes[at] === point) {
    at = skipDigits(cursor, at + 1);
    if (at === failed) return failed;
  }
  const exponent = at < length ? bytes[at] : 0;
  if (exponent !== 0x65 && exponent !== 0x45) return at;
  const sign = at + 1 < length ? bytes[at + 1] : 0;
  return skipDigits(cursor, sign === plus || sign === minus ? at + 2 : at + 1);
}

function skipDigits(cursor: Cursor, from: number): number {
  const { bytes } = cursor;
  const { length } = bytes;
  let at = from;
  while (at < length) {
    const byte = bytes[at] as number;
    if (byte < zero || byte > nine) break;
    at += 1;
  }
  return at === from ? fail(cursor, at, 'a number lacks a digit') : at;
}

/** true, false, null and, where allowed, NaN and Infinity. */
export function skipWord(cursor: Cursor, from: number): number {
  const { bytes } = cursor;
  switch (from < bytes.length ? bytes[from] : 0) {
    case 0x74:
      return skipLetters(cursor, from, 'true');
    case 0x66:
      return skipLetters(cursor, from, 'false');
    case 0x6e:
      return skipLetters(cursor, from, 'null');
    case 0x4e:
      return skipNonFinite(cursor, from, 'NaN');
    case 0x49:
      return skipNonFinite(cursor, from, 'Infinity');
    default:
      return fail(cursor, from, 'a value is expected');
  }
}

function skipNonFinite(cursor: Cursor, from: number, word: string): number {
  if (!cursor.allowNonFinite) return fail(cursor, from, 'NaN and Infinity are not JSON');
  cursor.nonFinite = true;
  return skipLetters(cursor, from, word);
}

function skipLetters(cursor: Cursor, from: number, word: string): number {
  for (let index = 0; index < word.length; index += 1) {
    if (from + index >= cursor.bytes.length || cursor.bytes[from + index] !== word.charCodeAt(index))
      return fail(cursor, from + index, 'a value is expected');
  }
  return from + word.length;
}
