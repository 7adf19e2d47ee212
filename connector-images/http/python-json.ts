/**
 * JSON as Python's `json` reads and writes it: the same error messages, the same layout (`", "`, `": "`, ASCII only). Numbers, duplicate
 * names and the order of names stay as written, because nothing is turned into values on the way.
 */

import { AsciiText } from './ascii-text.ts';
import { charactersOf, placeOf } from './text.ts';

/** Named after Python's exception; the name is what process models catch. */
export class JSONDecodeError extends Error {
  override readonly name = 'JSONDecodeError';

  constructor(message: string, text: string, at: number) {
    const { line, lineStart } = placeOf(text, at);
    super(`${message}: line ${line} column ${charactersOf(text, lineStart, at) + 1} (char ${charactersOf(text, 0, at)})`);
  }
}

export class RecursionError extends Error {
  override readonly name = 'RecursionError';
}

/** Nesting that Python takes before it gives up. */
const depthMax = 900;

/** What `json.dumps(json.loads(text))` gives, numbers as written. Throws JSONDecodeError or RecursionError. */
export function reformat(text: string): string {
  if (text.startsWith('\ufeff')) throw new JSONDecodeError('Unexpected UTF-8 BOM (decode using utf-8-sig)', text, 0);
  const scanner = new Scanner(text);
  scanner.space();
  scanner.value(0);
  scanner.space();
  if (scanner.at < text.length) throw new JSONDecodeError('Extra data', text, scanner.at);
  return scanner.out.toString();
}

/** A string as Python's `json.dumps` writes it. */
export function quote(value: string): string {
  const json = JSON.stringify(value);
  return /[\x7f-\uffff]/.test(json) ? asciiOf(json) : json;
}

/** With an escape for each unit beyond ASCII: written as bytes, since a string for each would take fifty of them. */
function asciiOf(json: string): string {
  let length = json.length;
  for (let at = 0; at < json.length; at += 1) if (json.charCodeAt(at) >= 0x7f) length += 5;
  const bytes = Buffer.allocUnsafe(length);
  let end = 0;
  for (let at = 0; at < json.length; at += 1) {
    const unit = json.charCodeAt(at);
    if (unit < 0x7f) bytes[end++] = unit;
    else {
      bytes[end++] = 0x5c; // \
      bytes[end++] = 0x75; // u
      for (let shift = 12; shift >= 0; shift -= 4) bytes[end++] = hexDigits.charCodeAt((unit >> shift) & 0xf);
    }
  }
  return bytes.toString('latin1');
}

const hexDigits = '0123456789abcdef';
const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const constantPattern = /NaN|-?Infinity/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these
const plainPattern = /[^"\\\x00-\x1f]*/y;
const words = ['true', 'false', 'null'];

class Scanner {
  readonly #text: string;
  readonly out = new AsciiText();
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  space(): void {
    while (this.at < this.#text.length && ' \t\n\r'.includes(this.#text[this.at] as string)) this.at += 1;
  }

  value(depth: number): void {
    const c = this.#text[this.at];
    if (c === '"') this.#string();
    else if (c === '{' || c === '[') this.#container(c, depth + 1);
    else this.#scalar();
  }

  #fail(message: string, at = this.at): never {
    throw new JSONDecodeError(message, this.#text, at);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    return pattern.exec(this.#text)?.[0];
  }

  #scalar(): void {
    const word = words.find((one) => this.#text.startsWith(one, this.at)) ?? this.#match(numberPattern);
    if (word === undefined) {
      const constant = this.#match(constantPattern);
      // Python reads these; no JSON result can carry them.
      this.#fail(constant === undefined ? 'Expecting value' : `Expecting value, found ${constant}`);
    }
    this.out.add(word);
    this.at += word.length;
  }

  #container(opening: '{' | '[', depth: number): void {
    if (depth > depthMax)
      throw new RecursionError(
        `maximum recursion depth exceeded while decoding a JSON ${opening === '{' ? 'object' : 'array'} from a unicode string`,
      );
    const closing = opening === '{' ? '}' : ']';
    this.out.add(opening);
    this.at += 1;
    this.space();
    for (let first = true; first || this.#text[this.at] !== closing; first = false) {
      if (first && this.#text[this.at] === closing) break;
      if (!first) this.#comma();
      if (opening === '{') this.#name();
      this.value(depth);
      this.space();
    }
    this.out.add(closing);
    this.at += 1;
  }

  #comma(): void {
    if (this.#text[this.at] !== ',') this.#fail("Expecting ',' delimiter");
    this.out.add(', ');
    this.at += 1;
    this.space();
  }

  #name(): void {
    if (this.#text[this.at] !== '"') this.#fail('Expecting property name enclosed in double quotes');
    this.#string();
    this.space();
    if (this.#text[this.at] !== ':') this.#fail("Expecting ':' delimiter");
    this.out.add(': ');
    this.at += 1;
    this.space();
  }

  #string(): void {
    const begin = this.at;
    this.at += 1;
    for (;;) {
      this.at += (this.#match(plainPattern) as string).length;
      const c = this.#text[this.at];
      if (c === '"') break;
      if (c === undefined) this.#fail('Unterminated string starting at', begin);
      if (c !== '\\') this.#fail('Invalid control character at');
      this.#escape(begin);
    }
    this.at += 1;
    const source = this.#text.slice(begin, this.at);
    this.out.add(/^[ -[\]-~]*$/.test(source) ? source : quote(JSON.parse(source) as string));
  }

  #escape(begin: number): void {
    const c = this.#text[this.at + 1];
    if (c === undefined) this.#fail('Unterminated string starting at', begin);
    if (c === 'u') {
      // Python wants one more character after the digits, whichever.
      if (!/^[0-9a-fA-F]{4}[\s\S]$/.test(this.#text.slice(this.at + 2, this.at + 7))) this.#fail('Invalid \\uXXXX escape', this.at + 1);
      this.at += 6;
    } else if ('"\\/bfnrt'.includes(c)) this.at += 2;
    else this.#fail('Invalid \\escape');
  }
}
