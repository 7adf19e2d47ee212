/** What stands on one line of plain YAML (plain-yaml.ts). */

/** Thrown to give up. */
export const unusual = Symbol('unusual YAML');

/** Keys that are plain words. */
const plainKey = /^[A-Za-z_][\w.$/*-]{0,99}$/;
/** A key in quotes without escapes, and its colon. */
const quotedEntry = /^"([^"\\]{1,99})":(?: +|$)/;
/** These are not text as keys, or not the text they look like. */
const doubtfulKey = /^(?:__proto__|null|true|false)$/i;
const comment = /^(?: +#.*)?$/;

/** The key of a line that begins with one. By hand, since what a regular expression tells of a match is much to make and throw away. */
export function keyOf(text: string): string | undefined {
  if (text[0] === '"') return quotedEntry.exec(text)?.[1];
  const colon = text.indexOf(':');
  if (colon === -1 || (colon + 1 < text.length && text[colon + 1] !== ' ')) return undefined;
  const key = text.slice(0, colon);
  return plainKey.test(key) ? key : undefined;
}

export function put(mapping: Record<string, unknown>, key: string, value: unknown): void {
  if (doubtfulKey.test(key) || Object.hasOwn(mapping, key)) throw unusual;
  mapping[key] = value;
}

/** A value of the line: a plain text, a quoted one, or a collection, with nothing but a comment behind it. */
export function readInline(text: string, depthLeft: number): unknown {
  if (!/^[{["']/.test(text)) return readPlain(text);
  const flow = new FlowReader(text);
  const value = flow.read(depthLeft);
  if (flow.at < text.length && !comment.test(text.slice(flow.at))) throw unusual;
  return value;
}

/** Text up to the end of the line or a comment. */
function readPlain(text: string): unknown {
  const at = text.indexOf(' #');
  return scalarOf(at === -1 ? text : text.slice(0, at).trimEnd());
}

const plainStart = /^(?:[A-Za-z0-9_/.$+(^\u00a1-\ud7ff]|-[A-Za-z0-9./_-])/;

function scalarOf(text: string): unknown {
  if (!plainStart.test(text) || text.includes(': ') || text.endsWith(':')) throw unusual;
  switch (text.toLowerCase()) {
    case 'true':
    case 'false':
    case 'null':
      if (text === 'null') return null;
      if (text === 'true' || text === 'false') return text === 'true';
      throw unusual;
    default:
      if (!maybeNumber.test(text)) return text;
      if (plainNumber.test(text)) return Number(text);
      throw unusual;
  }
}

/** Covers every number of the core schema. */
const maybeNumber = /^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.inf|\.nan)$/i;
/** Up to 15 digits, so that the number is exact, or as near as its text. */
const plainNumber = /^-?(?:[1-9][0-9]{0,14}|0\.[0-9]{0,14}[1-9]|[1-9][0-9]{0,6}\.[0-9]{0,6}[1-9])$|^0$/;

const quotedKey = /"[^"\\]{1,99}"(?=: )/y;
const doubleQuoted = /"(?:[^"\\]|\\["\\/bfnrt])*"/y;
const singleQuoted = /'(?:[^']|'')*'/y;
/** A colon only within a word, as in a URL. */
const flowPlain = /(?:[^,[\]{}:#"'&*!|>%@`?]|:(?=[A-Za-z0-9/]))+/y;

/** Quoted texts, and collections on one line. */
class FlowReader {
  readonly #text: string;
  /** Behind what was read. */
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(depthLeft: number): unknown {
    if (depthLeft <= 0) throw unusual;
    switch (this.#text[this.at]) {
      case '{':
        return this.#mapping(depthLeft - 1);
      case '[':
        return this.#list(depthLeft - 1);
      case '"':
        return JSON.parse(this.#match(doubleQuoted));
      case "'":
        return this.#match(singleQuoted).slice(1, -1).replaceAll("''", "'");
      default:
        return scalarOf(this.#match(flowPlain).trimEnd());
    }
  }

  #mapping(depthLeft: number): unknown {
    const mapping: Record<string, unknown> = {};
    for (let isFirst = true; !this.#ends('}', isFirst); isFirst = false) {
      const key = this.#key();
      this.at = afterSpaces(this.#text, this.at + 1);
      put(mapping, key, this.read(depthLeft));
    }
    return mapping;
  }

  #list(depthLeft: number): unknown {
    const list: unknown[] = [];
    for (let isFirst = true; !this.#ends(']', isFirst); isFirst = false) list.push(this.read(depthLeft));
    return list;
  }

  /** Goes to the next item, or behind the closing sign. The opening one, or an item, was read before. */
  #ends(closing: string, isFirst: boolean): boolean {
    this.at = afterSpaces(this.#text, this.at + (isFirst ? 1 : 0));
    if (this.#text[this.at] === closing) {
      this.at += 1;
      return true;
    }
    if (isFirst) return false;
    if (this.#text[this.at] !== ',') throw unusual;
    this.at = afterSpaces(this.#text, this.at + 1);
    return false;
  }

  /** Up to its colon, behind which is a space. */
  #key(): string {
    if (this.#text[this.at] === '"') return this.#match(quotedKey).slice(1, -1);
    const colon = this.#text.indexOf(':', this.at);
    const key = this.#text.slice(this.at, colon);
    if (colon === -1 || this.#text[colon + 1] !== ' ' || !plainKey.test(key)) throw unusual;
    this.at = colon;
    return key;
  }

  /** What the sticky pattern takes. By its end, since what else is told of a match is much to make and throw away. */
  #match(pattern: RegExp): string {
    const start = this.at;
    pattern.lastIndex = start;
    if (!pattern.test(this.#text)) throw unusual;
    this.at = pattern.lastIndex;
    return this.#text.slice(start, this.at);
  }
}

export function afterSpaces(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ') at += 1;
  return at;
}
