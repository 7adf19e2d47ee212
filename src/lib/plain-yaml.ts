/**
 * The plain YAML that people write, read at a fiftieth of what a full parser costs: block mappings and lists, `{…}` and `[…]` on one line,
 * scalars on one line, comments. Whatever is out of the ordinary – or wrong – is left to the full parser, which also finds the words for
 * it: anchors, tags, directives, several documents, text over several lines, tabs, odd numbers, keys twice, keys that are not plain words.
 */

/** Undefined for a text that is not plain. What it returns is what a parser of YAML 1.2 (core schema) returns. */
export function readPlainYaml(text: string, depthMax: number): { readonly value: unknown } | undefined {
  if (unusualCharacter.test(text)) return undefined;
  const lines = linesOf(text);
  if (lines[0]?.indent !== 0) return undefined;
  try {
    const reader = new PlainReader(lines, depthMax);
    return { value: reader.read() };
  } catch (error) {
    if (error === unusual) return undefined;
    throw error;
  }
}

/** Thrown to give up. */
const unusual = Symbol('unusual YAML');

/** Tabs, returns, control characters, marks of byte order, line separators, surrogates. */
const unusualCharacter = /[^\n\x20-\x7e\u00a1-\u1fff\u2010-\u2027\u2030-\ud7ff]/;

interface Line {
  readonly indent: number;
  readonly text: string;
}

/** Lines that hold more than a comment, without the spaces around them. */
function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (const line of text.split('\n')) {
    const rest = line.trimStart();
    if (rest !== '' && !rest.startsWith('#')) lines.push({ indent: line.length - rest.length, text: rest.trimEnd() });
  }
  return lines;
}

/** A plain word or a quoted one without escapes, and its colon. */
const entry = /^(?:([A-Za-z_][\w.$/*-]{0,99})|"([^"\\]{1,99})"):(?: +|$)/;
/** These are not text as keys, or not the text they look like. */
const doubtfulKey = /^(?:__proto__|null|true|false)$/i;
const comment = /^(?: +#.*)?$/;

class PlainReader {
  readonly #lines: Line[];
  readonly #depthMax: number;
  #at = 0;
  #depth = 0;

  constructor(lines: Line[], depthMax: number) {
    this.#lines = lines;
    this.#depthMax = depthMax;
  }

  read(): unknown {
    const value = this.#block();
    if (this.#at < this.#lines.length) throw unusual;
    return value;
  }

  #block(): unknown {
    const line = this.#lines[this.#at];
    if (line === undefined) throw unusual;
    this.#depth += 1;
    if (this.#depth > this.#depthMax) throw unusual;
    const value = isItem(line) ? this.#list(line.indent) : this.#mapping(line.indent);
    this.#depth -= 1;
    return value;
  }

  #mapping(indent: number): unknown {
    const mapping: Record<string, unknown> = {};
    for (let line = this.#lineAt(indent); line !== undefined; line = this.#lineAt(indent)) {
      // A list that is not indented ended here, or this is no mapping at all.
      const found = entry.exec(line.text);
      if (found === null) throw unusual;
      this.#at += 1;
      const rest = line.text.slice(found[0].length);
      put(mapping, found, rest === '' || rest.startsWith('#') ? this.#nested(indent, true) : this.#inline(rest, indent));
    }
    return mapping;
  }

  #list(indent: number): unknown {
    const list: unknown[] = [];
    for (let line = this.#lineAt(indent); line !== undefined && isItem(line); line = this.#lineAt(indent)) {
      const content = line.text.slice(1).trimStart();
      if (content === '' || content.startsWith('#')) {
        this.#at += 1;
        list.push(this.#nested(indent, false));
      } else if (entry.test(content)) {
        this.#lines[this.#at] = { indent: indent + line.text.length - content.length, text: content };
        list.push(this.#block());
      } else {
        this.#at += 1;
        list.push(this.#inline(content, indent));
      }
    }
    return list;
  }

  /** The line to go on with, if it is on this level. Deeper than expected is the second line of a text, or a mistake. */
  #lineAt(indent: number): Line | undefined {
    const line = this.#lines[this.#at];
    if (line === undefined || line.indent < indent) return undefined;
    if (line.indent > indent) throw unusual;
    return line;
  }

  /** What stands below a key or a dash. The items of a key's list need not be indented. */
  #nested(indent: number, isOfKey: boolean): unknown {
    const line = this.#lines[this.#at];
    if (line === undefined || line.indent < indent) return null;
    if (line.indent === indent && !(isOfKey && isItem(line))) return null;
    return this.#block();
  }

  #inline(text: string, indent: number): unknown {
    const line = this.#lines[this.#at];
    if (line !== undefined && line.indent > indent) throw unusual;
    const [value, end] = isFlow(text, 0) || isQuoted(text, 0) ? readFlow(text, 0, this.#depthMax - this.#depth) : readPlain(text);
    if (!comment.test(text.slice(end))) throw unusual;
    return value;
  }
}

function isItem({ text }: Line): boolean {
  return text === '-' || text.startsWith('- ');
}

function put(mapping: Record<string, unknown>, [, plain, quoted]: RegExpExecArray, value: unknown): void {
  const key = plain ?? quoted;
  if (key === undefined || doubtfulKey.test(key) || Object.hasOwn(mapping, key)) throw unusual;
  mapping[key] = value;
}

type ValueAndEnd = readonly [value: unknown, end: number];

/** Text up to the end of the line or a comment. */
function readPlain(text: string): ValueAndEnd {
  const at = text.indexOf(' #');
  const end = at === -1 ? text.length : at;
  return [scalarOf(text.slice(0, end).trimEnd()), end];
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

function isFlow(text: string, at: number): boolean {
  return text[at] === '{' || text[at] === '[';
}

function isQuoted(text: string, at: number): boolean {
  return text[at] === '"' || text[at] === "'";
}

/** A quoted text, or a collection on one line. */
function readFlow(text: string, at: number, depthLeft: number): ValueAndEnd {
  if (depthLeft <= 0) throw unusual;
  switch (text[at]) {
    case '{':
      return readFlowMapping(text, at + 1, depthLeft - 1);
    case '[':
      return readFlowList(text, at + 1, depthLeft - 1);
    case '"':
    case "'":
      return readQuoted(text, at);
    default:
      return readFlowPlain(text, at);
  }
}

const flowEntry = /(?:([A-Za-z_][\w.$/*-]{0,99})|"([^"\\]{1,99})"): +/y;

function readFlowMapping(text: string, start: number, depthLeft: number): ValueAndEnd {
  const mapping: Record<string, unknown> = {};
  let at = afterSpaces(text, start);
  if (text[at] === '}') return [mapping, at + 1];
  for (;;) {
    flowEntry.lastIndex = at;
    const found = flowEntry.exec(text);
    if (found === null) throw unusual;
    const [value, end] = readFlow(text, at + found[0].length, depthLeft);
    put(mapping, found, value);
    at = afterSpaces(text, end);
    if (text[at] === '}') return [mapping, at + 1];
    at = nextItem(text, at);
  }
}

function readFlowList(text: string, start: number, depthLeft: number): ValueAndEnd {
  const list: unknown[] = [];
  let at = afterSpaces(text, start);
  if (text[at] === ']') return [list, at + 1];
  for (;;) {
    const [value, end] = readFlow(text, at, depthLeft);
    list.push(value);
    at = afterSpaces(text, end);
    if (text[at] === ']') return [list, at + 1];
    at = nextItem(text, at);
  }
}

function nextItem(text: string, at: number): number {
  if (text[at] !== ',') throw unusual;
  return afterSpaces(text, at + 1);
}

function afterSpaces(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ') at += 1;
  return at;
}

const doubleQuoted = /"(?:[^"\\]|\\["\\/bfnrt])*"/y;
const singleQuoted = /'(?:[^']|'')*'/y;

function readQuoted(text: string, at: number): ValueAndEnd {
  const pattern = text[at] === '"' ? doubleQuoted : singleQuoted;
  pattern.lastIndex = at;
  const found = pattern.exec(text)?.[0];
  if (found === undefined) throw unusual;
  const value: unknown = pattern === doubleQuoted ? JSON.parse(found) : found.slice(1, -1).replaceAll("''", "'");
  return [value, at + found.length];
}

/** A colon only within a word, as in a URL. */
const flowPlain = /(?:[^,[\]{}:#"'&*!|>%@`?]|:(?=[A-Za-z0-9/]))+/y;

function readFlowPlain(text: string, at: number): ValueAndEnd {
  flowPlain.lastIndex = at;
  const found = flowPlain.exec(text)?.[0];
  if (found === undefined) throw unusual;
  return [scalarOf(found.trimEnd()), at + found.length];
}
