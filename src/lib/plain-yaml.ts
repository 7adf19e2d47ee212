/**
 * The plain YAML that people write, read at a fiftieth of what a full parser costs: block mappings and lists, `{…}` and `[…]` on one line,
 * scalars on one line, comments. Whatever is out of the ordinary – or wrong – is left to the full parser, which also finds the words for
 * it: anchors, tags, directives, several documents, text over several lines, tabs, odd numbers, keys twice, keys that are not plain words.
 */

import { afterSpaces, keyOf, put, readInline, unusual } from './plain-yaml-line.ts';

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

/** Tabs, returns, control characters, marks of byte order, line separators, surrogates, and spaces that are none in YAML but in JavaScript. */
const unusualCharacter = /[^\n\x20-\x7e\u00a1-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2060-\u2fff\u3001-\ud7ff]/;

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
      const { text } = line;
      const key = keyOf(text);
      if (key === undefined) throw unusual;
      this.#at += 1;
      const rest = text.slice(afterSpaces(text, key.length + (text[0] === '"' ? 3 : 1)));
      put(mapping, key, rest === '' || rest.startsWith('#') ? this.#nested(indent, true) : this.#inline(rest, indent));
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
      } else if (keyOf(content) !== undefined) {
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
    return readInline(text, this.#depthMax - this.#depth);
  }
}

function isItem({ text }: Line): boolean {
  return text === '-' || text.startsWith('- ');
}
