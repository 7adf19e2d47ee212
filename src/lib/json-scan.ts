import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { byteAt, bytesOf, type Piece, slicePiece } from './pieces.ts';
import { firstInvalidUtf8, sequenceStart } from './utf8.ts';

export interface ScanOptions {
  /** Objects and arrays within one another; a lone scalar has nesting 0, `[]` has 1. At most `nestingCapacity`. */
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

/** More top-level members than any request has, few enough that their list stays small beside the text. */
export const membersMaxDefault = 65_536;

/** TypeScript knows it only as a part of browsers. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

/** What json-machine.as.ts exports. */
interface Machine {
  readonly memory: { readonly buffer: ArrayBuffer };
  progressOffset(): number;
  stackOffset(): number;
  tableOffset(): number;
  windowOffset(): number;
  windowSize(): number;
  nestingLimit(): number;
  isAscii(length: number): number;
  run(length: number): void;
  finish(): number;
}

const machine = loadMachine();
const memory = new Uint8Array(machine.memory.buffer);
const progressStart = machine.progressOffset();
const stackStart = machine.stackOffset();
const progress = new Uint32Array(machine.memory.buffer, progressStart, (stackStart - progressStart) / 4);
const table = new Uint32Array(machine.memory.buffer, machine.tableOffset(), (machine.windowOffset() - machine.tableOffset()) / 4);
const window = Buffer.from(machine.memory.buffer, machine.windowOffset(), machine.windowSize());
/** The deepest nesting that a scan can be allowed. */
export const nestingCapacity = machine.nestingLimit();

/** Places in `progress`, in the order of its class. */
const field = {
  depth: 1,
  start: 3,
  end: 4,
  tableLength: 6,
  reason: 7,
  failureAt: 8,
  hasLineBreak: 9,
  nonFinite: 10,
  nestingMax: 11,
  membersMax: 12,
  allowNonFinite: 13,
} as const;
/** Numbers that the table has of a member. */
const memberFields = 5;

function loadMachine(): Machine {
  const module = new WebAssembly.Module(readFileSync(new URL('json-machine.wasm', import.meta.url)));
  return new WebAssembly.Instance(module).exports as Machine;
}

/**
 * Checks that bytes, or a text of one character a byte, are one JSON value (RFC 8259, UTF-8) and finds the members of a top-level
 * object. Builds no values, is linear in the bytes whatever they hold, and never throws.
 */
export function scanJson(text: Piece, options: ScanOptions): ScanResult {
  if (typeof text === 'string' && text.length <= window.length) {
    window.write(text, 'latin1');
    if (machine.isAscii(text.length) !== 0) return scanWindow(text, options);
  }
  return new GrowingScan(options).finish(bytesOf(text));
}

/** The text, which is ASCII, stands in the window already. */
function scanWindow(text: string, options: ScanOptions): ScanResult {
  GrowingScan.makeWay();
  begin(options);
  machine.run(text.length);
  const isWhole = machine.finish() !== 0;
  if (numberOf('reason') !== 0) return failure(options);
  if (!isWhole) return endsTooEarly(text);
  const members: Member[] = [];
  listMembers(text, table, numberOf('tableLength') * memberFields, members);
  return success(text, members);
}

function begin({ nestingMax, membersMax = membersMaxDefault, allowNonFinite = false }: ScanOptions): void {
  progress.fill(0);
  progress[field.nestingMax] = Math.min(nestingMax, nestingCapacity);
  progress[field.membersMax] = Math.min(membersMax, 0xffff_ffff);
  progress[field.allowNonFinite] = allowNonFinite ? 1 : 0;
}

function success(text: Piece, members: readonly Member[]): ScannedJson {
  const start = numberOf('start');
  return {
    ok: true,
    type: typeAt(text, start),
    start,
    end: numberOf('end'),
    members,
    hasLineBreak: numberOf('hasLineBreak') !== 0,
    nonFinite: numberOf('nonFinite') !== 0,
  };
}

function failure({ nestingMax, membersMax = membersMaxDefault }: ScanOptions): ScanFailure {
  const offset = numberOf('failureAt');
  const reason = numberOf('reason');
  if (reason === tooDeep) return { ok: false, offset, reason: `it is nested deeper than ${Math.min(nestingMax, nestingCapacity)}` };
  if (reason === tooManyMembers) return { ok: false, offset, reason: `it has more than ${membersMax} members` };
  return { ok: false, offset, reason: reasons[reason] as string };
}

function endsTooEarly({ length }: Piece): ScanFailure {
  return { ok: false, offset: length, reason: 'it ends too early' };
}

/** Whose progress is in the machine. There is one machine, which takes turns between the texts that are coming. */
let holder: GrowingScan | undefined;

export interface GrowingScanOptions extends ScanOptions {
  /** So many bytes of what has come may turn out to be no part of the text, and wait for what follows. Default 0, at most 4. */
  readonly heldBytes?: number;
}

/**
 * The scan of a text that is still coming: what has come is scanned as it comes, so that the last byte of a large text does not cost a
 * stall of the event loop. The result is that of `scanJson`, however the text is split. Linear in the bytes. Each chunk is read where it
 * is, and while it is still in the processor’s cache, not as a part of the whole: a view of large memory costs more than a copy of 64 KB.
 */
export class GrowingScan {
  readonly #options: GrowingScanOptions;
  /** Numbers of the members that have ended, as the table has them. */
  readonly #members: number[] = [];
  /** Bytes that the machine has taken. */
  #taken = 0;
  #hasFailed = false;
  /** Up to here the bytes are UTF-8. */
  #valid = 0;
  #isInvalid = false;
  /** What has come and waits for what follows. */
  #held: Uint8Array | undefined;
  /** Progress and stack, while another text is in the machine. */
  #aside: Uint8Array | undefined;

  constructor(options: GrowingScanOptions) {
    this.#options = options;
  }

  /** `chunk` follows those of earlier calls. It is not kept. */
  advance(chunk: Uint8Array): void {
    if (this.#hasFailed) return;
    this.#hold();
    let at = 0;
    do {
      const held = this.#held?.length ?? 0;
      if (this.#held !== undefined) window.set(this.#held);
      const end = Math.min(chunk.length, at + window.length - held);
      window.set(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end), held);
      const length = held + end - at;
      this.#run(sequenceStart(window, 0, Math.max(0, length - (this.#options.heldBytes ?? 0))), length);
      at = end;
    } while (at < chunk.length && !this.#hasFailed);
  }

  /** `bytes` are the whole text: all chunks, and what came since. To be called once. */
  finish(bytes: Uint8Array): ScanResult {
    this.#held = undefined;
    this.#hold();
    while (this.#taken < bytes.length && !this.#hasFailed) {
      const end = Math.min(bytes.length, this.#taken + window.length);
      window.set(this.#taken === 0 && end === bytes.length ? bytes : bytes.subarray(this.#taken, end));
      const length = end - this.#taken;
      const taken = end === bytes.length ? length : sequenceStart(window, 0, length);
      this.#run(taken, taken);
    }
    const isWhole = machine.finish() !== 0;
    holder = undefined;
    if (this.#hasFailed) return failure(this.#options);
    if (!isWhole) return endsTooEarly(bytes);
    if (this.#isInvalid) return { ok: false, offset: firstInvalidUtf8(bytes, this.#valid), reason: 'it is not UTF-8' };
    const members: Member[] = [];
    listMembers(bytes, this.#members, this.#members.length, members);
    return success(bytes, members);
  }

  /** Puts aside what another text left in the machine. */
  static makeWay(): void {
    if (holder !== undefined) holder.#putAside();
    holder = undefined;
  }

  /** Takes bytes of the window, and holds back those between `taken` and `length`. */
  #run(taken: number, length: number): void {
    this.#held = taken === length ? undefined : new Uint8Array(window.subarray(taken, length));
    this.#validate(taken);
    machine.run(taken);
    this.#taken += taken;
    this.#hasFailed = numberOf('reason') !== 0;
    const end = numberOf('tableLength') * memberFields;
    for (let at = 0; at < end; at += 1) this.#members.push(table[at] as number);
  }

  #hold(): void {
    if (holder === this) return;
    GrowingScan.makeWay();
    holder = this;
    if (this.#aside === undefined) begin(this.#options);
    else memory.set(this.#aside, progressStart);
    this.#aside = undefined;
  }

  #putAside(): void {
    this.#aside = memory.slice(progressStart, stackStart + numberOf('depth'));
  }

  #validate(length: number): void {
    if (this.#isInvalid) return;
    if (isUtf8(length === window.length ? window : window.subarray(0, length))) this.#valid += length;
    else this.#isInvalid = true;
  }
}

function numberOf(name: keyof typeof field): number {
  return progress[field[name]] as number;
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

/** `numbers` are those that the table has of each, up to `end`. `text` is ASCII where it is no bytes. */
function listMembers(text: Piece, numbers: ArrayLike<number>, end: number, members: Member[]): void {
  for (let at = 0; at < end; at += memberFields) {
    const memberStart = numbers[at] as number;
    const key = keyText(text, memberStart, numbers[at + 1] as number, numbers[at + 2] !== 0);
    members.push({ key, memberStart, valueStart: numbers[at + 3] as number, valueEnd: numbers[at + 4] as number });
  }
}

/** `start` and `end` are outside the quotes. */
function keyText(text: Piece, start: number, end: number, isEscaped: boolean): string {
  const quoted = typeof text === 'string' ? text.slice(start, end) : bytesOf(text).toString('utf8', start, end);
  return isEscaped ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/**
 * The members of an object within bytes that `scanJson` has accepted, which the object then cannot break; none for any other type.
 * `start` is the offset of its brace; offsets are those of `text`.
 */
export function scanMembers(text: Piece, start: number, end: number): readonly Member[] {
  const scan = scanJson(slicePiece(text, start, end), {
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
