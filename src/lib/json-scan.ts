import {
  MachineScan,
  memberFields,
  membersMaxDefault,
  nestingCapacity,
  type ScanNumbers,
  type ScanOptions,
  scanAscii,
} from './json-machine.ts';
import { byteAt, bytesOf, type Piece } from './pieces.ts';
import { firstInvalidUtf8 } from './utf8.ts';

export { membersMaxDefault, nestingCapacity, type ScanOptions } from './json-machine.ts';

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

/** One member of an object, by offsets, so that it can be cut out or passed on without being parsed. */
export interface Member {
  /** Decoded: escapes are resolved, lone surrogates kept. */
  readonly key: string;
  /** Offset of the key’s opening quote. */
  readonly memberStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

interface ScanFailure {
  readonly ok: false;
  readonly offset: number;
  /** What is wrong, without any of the input; reads well after “is not JSON: ”. */
  readonly reason: string;
}

type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';
export type SeenType = JsonType | 'integer';

/**
 * Checks that bytes, or a text of one character a byte, are one JSON value (RFC 8259, UTF-8) and finds the members of a top-level
 * object. Builds no values, is linear in the bytes whatever they hold, and never throws.
 */
export function scanJson(text: Piece, options: ScanOptions): ScanResult {
  const numbers = typeof text === 'string' ? scanAscii(text, options) : undefined;
  if (numbers !== undefined) return scanResult(text, numbers, options);
  const bytes = bytesOf(text);
  const scan = new MachineScan(options);
  scan.advance(bytes);
  return scanResult(bytes, scan.end(bytes.length), options);
}

/** `text` is ASCII where it is no bytes. */
export function scanResult(text: Piece, numbers: ScanNumbers, options: ScanOptions): ScanResult {
  if (numbers.reason !== 0) return { ok: false, offset: numbers.failureAt, reason: reasonText(numbers.reason, options) };
  if (!numbers.isWhole) return { ok: false, offset: text.length, reason: 'it ends too early' };
  if (numbers.doubtfulFrom !== undefined)
    return { ok: false, offset: firstInvalidUtf8(bytesOf(text), numbers.doubtfulFrom), reason: 'it is not UTF-8' };
  const { start, end, hasLineBreak, nonFinite } = numbers;
  return { ok: true, type: typeAt(text, start), start, end, members: listMembers(text, numbers), hasLineBreak, nonFinite };
}

function reasonText(reason: number, { nestingMax, membersMax = membersMaxDefault }: ScanOptions): string {
  if (reason === tooDeep) return `it is nested deeper than ${Math.min(nestingMax, nestingCapacity)}`;
  return reason === tooManyMembers ? `it has more than ${membersMax} members` : (reasons[reason] as string);
}

// By the numbers that json-machine.as.ts gives them.
const reasons = [
  '',
  'a value is expected',
  'a key in double quotes is expected',
  'a colon is expected',
  'a comma or the end of an object is expected',
  'a comma or the end of an array is expected',
  'something follows the value',
  'a string holds a raw control character',
  'a string has an escape that JSON does not know',
  'a \\u escape needs four hexadecimal digits',
  'a number lacks a digit',
  'NaN and Infinity are not JSON',
];
const tooDeep = 12;
const tooManyMembers = 13;

function listMembers(text: Piece, { members: numbers, membersLength }: ScanNumbers): readonly Member[] {
  const members: Member[] = [];
  for (let at = 0; at < membersLength; at += memberFields) {
    const memberStart = numbers[at] as number;
    const key = keyText(text, memberStart, numbers[at + 1] as number, numbers[at + 2] !== 0);
    members.push({ key, memberStart, valueStart: numbers[at + 3] as number, valueEnd: numbers[at + 4] as number });
  }
  return members;
}

/** `start` and `end` are outside the quotes. */
function keyText(text: Piece, start: number, end: number, isEscaped: boolean): string {
  const quoted = typeof text === 'string' ? text.slice(start, end) : bytesOf(text).toString('utf8', start, end);
  return isEscaped ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** Longest number that is seen to be an integer; every such one is exact as a double. */
const integerDigitsMax = 15;

/**
 * Of a value in text that `scanJson` has accepted, by its first byte; a number of few digits and nothing else is an `integer`. Others may be
 * one, too (1.0, 1e3), which shows once they are read.
 */
export function seenType(text: Piece, { valueStart, valueEnd }: Pick<Member, 'valueStart' | 'valueEnd'>): SeenType {
  const type = typeAt(text, valueStart);
  return type === 'number' && isShortInteger(text, valueStart, valueEnd) ? 'integer' : type;
}

function isShortInteger(text: Piece, start: number, end: number): boolean {
  const first = byteAt(text, start) === minus ? start + 1 : start;
  if (end - first > integerDigitsMax) return false;
  for (let at = first; at < end; at += 1) if (!isDigit(byteAt(text, at))) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

const minus = 0x2d;

function typeAt(text: Piece, start: number): JsonType {
  switch (byteAt(text, start)) {
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
