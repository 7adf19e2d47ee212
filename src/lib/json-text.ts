import type { Member, ScannedJson } from './json-scan.ts';

/** UTF-8 bytes that were checked to be one JSON value and hold no line break; they may be spliced into a message as they are. */
export type JsonText = Uint8Array & { readonly [jsonText]: true };
declare const jsonText: unique symbol;

/** For bytes that the scanner has checked, or that JSON.stringify made. */
export function trustJsonText(bytes: Uint8Array): JsonText {
  return bytes as JsonText;
}

export function jsonTextOf(value: unknown): JsonText {
  return trustJsonText(Buffer.from(JSON.stringify(value)));
}

/**
 * The text of a scanned object without the members that `drop` names, as one line. A key that occurs twice stands once: in its first
 * place with its last value, as Python’s and JavaScript’s parsers have it. Every other byte stays as it was written.
 * Without anything to change the result is a view of `bytes`, not a copy.
 */
export function cutMembers(bytes: Uint8Array, scan: ScannedJson, drop: (key: string) => boolean): JsonText {
  const kept = keptMembers(scan.members, drop);
  if (kept === undefined) return oneLine(bytes.subarray(scan.start, scan.end), scan.hasLineBreak);
  const ranges = new Ranges();
  ranges.add(scan.start, scan.members[0]?.memberStart ?? scan.end);
  for (const [position, { place, member }] of kept.entries()) {
    // The separator before a member goes with its place; what comes first needs none.
    if (position > 0) ranges.add(scan.members[place - 1]?.valueEnd ?? 0, scan.members[place]?.memberStart ?? 0);
    ranges.add(member.memberStart, member.valueEnd);
  }
  ranges.add(scan.members.at(-1)?.valueEnd ?? scan.end, scan.end);
  return oneLine(ranges.copyOf(bytes), scan.hasLineBreak, 'own');
}

interface KeptMember {
  /** Index of the member in whose place it stands. */
  readonly place: number;
  readonly member: Member;
}

/** Parts of a text, in order; neighbours become one, so that many members that stay cost one copy. */
class Ranges {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  add(start: number, end: number): void {
    if (this.#ends.length > 0 && this.#ends[this.#ends.length - 1] === start) {
      this.#ends[this.#ends.length - 1] = end;
      return;
    }
    this.#starts.push(start);
    this.#ends.push(end);
  }

  copyOf(bytes: Uint8Array): Buffer {
    return Buffer.concat(this.#starts.map((start, index) => bytes.subarray(start, this.#ends[index])));
  }
}

/** Undefined when all members stay as they are. */
function keptMembers(members: readonly Member[], drop: (key: string) => boolean): readonly KeptMember[] | undefined {
  const kept = new Map<string, KeptMember>();
  for (const [index, member] of members.entries()) {
    if (!drop(member.key)) kept.set(member.key, { place: kept.get(member.key)?.place ?? index, member });
  }
  return kept.size === members.length ? undefined : [...kept.values()];
}

/** A member’s value as one line: a view of `bytes` unless line breaks had to be replaced. */
export function memberText(bytes: Uint8Array, { valueStart, valueEnd }: Member): JsonText {
  const text = bytes.subarray(valueStart, valueEnd);
  return oneLine(text, text.includes(lineFeed) || text.includes(carriageReturn));
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

/** Checked JSON has raw line breaks only between tokens, where a space means the same. */
function oneLine(text: Uint8Array, hasLineBreak: boolean, ownership: 'own' | 'shared' = 'shared'): JsonText {
  if (!hasLineBreak) return trustJsonText(text);
  const line = ownership === 'own' ? text : Buffer.from(text);
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === lineFeed || line[at] === carriageReturn) line[at] = space;
  }
  return trustJsonText(line);
}
