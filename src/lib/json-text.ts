import type { Member, ScannedJson } from './json-scan.ts';
import { type Piece, slicePiece } from './pieces.ts';

/**
 * One JSON value in UTF-8, checked, and without line breaks: it may be spliced into a message as it is. What it says is read by `utf8Of`: as
 * a text it has a character for each byte.
 */
export type JsonText = Piece & { readonly [jsonText]: true };
declare const jsonText: unique symbol;

/** For what the scanner has checked, or JSON.stringify made. */
export function trustJsonText(piece: Piece): JsonText {
  return piece as JsonText;
}

export function jsonTextOf(value: unknown): JsonText {
  return trustJsonText(Buffer.from(JSON.stringify(value)));
}

/**
 * The text of a scanned object without the members that `drop` names, as one line. A key that occurs twice stands once: in its first
 * place with its last value, as Python’s and JavaScript’s parsers have it. Every other byte stays as it was written.
 * Without anything to change the result is a part of `text`, not a copy. `own`: nobody looks at `text` any more; bytes that stay are then
 * moved together within it, which costs no memory, and least where one member is nearly all of it.
 */
export function cutMembers(text: Piece, scan: ScannedJson, drop: (key: string) => boolean, ownership: Ownership = 'shared'): JsonText {
  const kept = keptMembers(scan.members, drop);
  if (kept === undefined) return oneLine(slicePiece(text, scan.start, scan.end), scan.hasLineBreak, ownership);
  const ranges = new Ranges();
  ranges.add(scan.start, scan.members[0]?.memberStart ?? scan.end);
  for (const [position, { place, member }] of kept.entries()) {
    // The separator before a member goes with its place; what comes first needs none.
    if (position > 0) ranges.add(scan.members[place - 1]?.valueEnd ?? 0, scan.members[place]?.memberStart ?? 0);
    ranges.add(member.memberStart, member.valueEnd);
  }
  ranges.add(scan.members.at(-1)?.valueEnd ?? scan.end, scan.end);
  const gathered = ownership === 'own' && typeof text !== 'string' ? ranges.gatherIn(text) : undefined;
  return oneLine(gathered ?? ranges.copyOf(text), scan.hasLineBreak, 'own');
}

type Ownership = 'own' | 'shared';

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

  /** Overwrites what lies between: the largest part stays where it is, and the others move to it. Undefined: parts stand in another order. */
  gatherIn(text: Uint8Array): Uint8Array | undefined {
    const count = this.#starts.length;
    let largest = 0;
    for (let index = 1; index < count; index += 1) {
      if (this.#start(index) < this.#end(index - 1)) return undefined;
      if (this.#length(index) > this.#length(largest)) largest = index;
    }
    let [start, end] = [this.#start(largest), this.#end(largest)];
    for (let index = largest - 1; index >= 0; index -= 1) {
      start -= this.#length(index);
      text.copyWithin(start, this.#start(index), this.#end(index));
    }
    for (let index = largest + 1; index < count; index += 1) {
      text.copyWithin(end, this.#start(index), this.#end(index));
      end += this.#length(index);
    }
    return text.subarray(start, end);
  }

  copyOf(text: Piece): Piece {
    if (typeof text !== 'string') return Buffer.concat(this.#starts.map((start, index) => text.subarray(start, this.#ends[index])));
    let copy = '';
    for (const [index, start] of this.#starts.entries()) copy += text.slice(start, this.#ends[index]);
    return copy;
  }

  #start(index: number): number {
    return this.#starts[index] as number;
  }

  #end(index: number): number {
    return this.#ends[index] as number;
  }

  #length(index: number): number {
    return this.#end(index) - this.#start(index);
  }
}

/** Undefined when all members stay as they are. */
function keptMembers(members: readonly Member[], drop: (key: string) => boolean): readonly KeptMember[] | undefined {
  if (!repeatsKey(members)) return members.some(({ key }) => drop(key)) ? keptInPlace(members, drop) : undefined;
  const kept = new Map<string, KeptMember>();
  for (const [index, member] of members.entries()) {
    if (!drop(member.key)) kept.set(member.key, { place: kept.get(member.key)?.place ?? index, member });
  }
  return [...kept.values()];
}

function keptInPlace(members: readonly Member[], drop: (key: string) => boolean): readonly KeptMember[] {
  const kept: KeptMember[] = [];
  for (const [place, member] of members.entries()) if (!drop(member.key)) kept.push({ place, member });
  return kept;
}

/** Up to so many, comparing each with each is faster than a set. */
const fewMembers = 8;

/** Whether a key occurs twice. */
export function repeatsKey(members: readonly Member[]): boolean {
  if (members.length > fewMembers) return new Set(members.map(({ key }) => key)).size < members.length;
  for (let index = 1; index < members.length; index += 1) {
    const key = members[index]?.key;
    for (let before = 0; before < index; before += 1) if (members[before]?.key === key) return true;
  }
  return false;
}

/**
 * A member’s value as one line: a part of `text`, not a copy, unless line breaks had to be replaced. `hasLineBreak`: of all of `text`, as its
 * scan has it; not of a JsonText. To look for one in 10 MB takes 2 ms.
 */
export function memberText(text: Piece, { valueStart, valueEnd }: Member, hasLineBreak: boolean): JsonText {
  const value = slicePiece(text, valueStart, valueEnd);
  return oneLine(value, hasLineBreak && holdsLineBreak(value));
}

function holdsLineBreak(text: Piece): boolean {
  if (typeof text === 'string') return text.includes('\n') || text.includes('\r');
  return text.includes(lineFeed) || text.includes(carriageReturn);
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

/** Checked JSON has raw line breaks only between tokens, where a space means the same. */
function oneLine(text: Piece, hasLineBreak: boolean, ownership: Ownership = 'shared'): JsonText {
  if (!hasLineBreak) return trustJsonText(text);
  if (typeof text === 'string') return trustJsonText(text.replace(/[\r\n]/g, ' '));
  const line = ownership === 'own' ? text : Buffer.from(text);
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === lineFeed || line[at] === carriageReturn) line[at] = space;
  }
  return trustJsonText(line);
}
