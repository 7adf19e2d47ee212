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

export interface ScanFailure {
  readonly ok: false;
  readonly offset: number;
  /** What is wrong, without any of the input; reads well after “is not JSON: ”. */
  readonly reason: string;
}

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/** More top-level members than any request has, few enough that their list stays small beside the text. */
export const membersMaxDefault = 65_536;

/** Checks that bytes are one JSON value (RFC 8259, UTF-8) and finds the members of a top-level object. Linear; never throws. */
export function scanJson(_bytes: Uint8Array, _options: ScanOptions): ScanResult {
  throw new Error('not written yet');
}

/** The members of an object within bytes that `scanJson` has accepted; `start` is the offset of its brace. Offsets are those of `bytes`. */
export function scanMembers(_bytes: Uint8Array, _start: number, _end: number): readonly Member[] {
  throw new Error('not written yet');
}
