/**
 * XML as JSON in the form of Python's xmltodict: attributes as `@name`, repeated elements as lists, text beside attributes or children as
 * `#text`, an empty element as null, prefixes kept. Names keep their order. Entities that a document declares are refused.
 * Bounds: 900 levels. Only open elements are objects, since one for each element would take fifty times the bytes of the document.
 */
import { AsciiText } from './ascii-text.ts';
import { quote } from './python-json.ts';
import { placeOf } from './text.ts';

export class ExpatError extends Error {
  override readonly name = 'ExpatError';
}

export class ValueError extends Error {
  override readonly name = 'ValueError';
}

const depthMax = 900;
const named = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" } as const;
const nameCharacters = '[A-Za-z_:\\u0080-\\uffff][-A-Za-z0-9_:.\\u0080-\\uffff]*';
const tokenPattern = new RegExp(
  [
    '<!--(?<comment>[\\s\\S]*?)-->',
    '<!\\[CDATA\\[(?<cdata>[\\s\\S]*?)\\]\\]>',
    '<\\?(?<instruction>[\\s\\S]*?)\\?>',
    '(?<doctype><!DOCTYPE)',
    `</(?<close>${nameCharacters})\\s*>`,
    `<(?<open>${nameCharacters})(?<attributes>(?:\\s+${nameCharacters}\\s*=\\s*(?:"[^<"]*"|'[^<']*'))*)\\s*(?<empty>/?)>`,
    '(?<text>[^<]+)',
  ].join('|'),
  'y',
);
// biome-ignore lint/suspicious/noControlCharactersInRegex: no document may contain these
const invalidPattern = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;
const invalidToken = 'not well-formed (invalid token)';
const attributePattern = new RegExp(`(${nameCharacters})\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'g');

// What has a meaning in a document type declaration, and what ends the parts in which nothing else has one.
const doctypePattern = /["'[\]>]|<!--|<\?|<!ENTITY/g;
const closings: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["'", "'"],
  ['<!--', '-->'],
  ['<?', '?>'],
]);

interface Open {
  readonly name: string;
  members: Map<string, Member> | null;
  text: string;
}

/** JSON of one value. */
type Value = string | AsciiText;
/** The one value of a name, or several with commas between them. */
type Member = Value | readonly [AsciiText];

/** The document as JSON. Throws ExpatError (not well-formed) or ValueError (declared entities). */
export function xmlToJson(given: string): string {
  const text = given.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n');
  const document = new Builder(text);
  const invalidAt = text.search(invalidPattern);
  let at = 0;
  while (at < text.length) {
    tokenPattern.lastIndex = at;
    const found = tokenPattern.exec(text);
    if (invalidAt !== -1 && tokenPattern.lastIndex > invalidAt) throw document.fault(invalidToken, invalidAt);
    if (found?.groups === undefined) throw document.fault(invalidToken, at);
    at = document.take(found.groups, at, tokenPattern.lastIndex);
  }
  return document.end();
}

class Builder {
  readonly #text: string;
  readonly #stack: Open[] = [];
  #root: Value | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  fault(message: string, at: number): ExpatError {
    const { line, lineStart } = placeOf(this.#text, at);
    return new ExpatError(`${message}: line ${line}, column ${Buffer.byteLength(this.#text.slice(lineStart, at))}`);
  }

  /** Takes one token and says where the next one begins. */
  take(token: Readonly<Record<string, string | undefined>>, at: number, next: number): number {
    if (token['open'] !== undefined) this.#open(token['open'], token['attributes'] ?? '', token['empty'] === '/', at);
    else if (token['close'] !== undefined) this.#close(token['close'], at);
    else if (token['cdata'] !== undefined) this.#characters(token['cdata'], at);
    else if (token['text'] !== undefined) this.#characters(this.#expand(this.#plain(token['text'], at), at), at);
    else if (token['doctype'] !== undefined) return this.#doctype(at);
    else if (/^xml\s/i.test(token['instruction'] ?? '') && at > 0) throw this.fault('XML or text declaration not at start of entity', at);
    return next;
  }

  end(): string {
    if (this.#stack.length > 0 || this.#root === null) throw this.fault('no element found', this.#text.length);
    return this.#root.toString();
  }

  #open(name: string, attributes: string, empty: boolean, at: number): void {
    if (this.#stack.length === 0 && this.#root !== null) throw this.fault('junk after document element', at);
    if (this.#stack.length >= depthMax) throw this.fault('nested too deep', at);
    let members: Open['members'] = null;
    for (const [, key = '', double, single] of attributes.matchAll(attributePattern)) {
      members ??= new Map();
      if (members.has(`@${key}`)) throw this.fault('duplicate attribute', at);
      add(members, `@${key}`, quote(this.#expand((double ?? single ?? '').replace(/[\t\n]/g, ' '), at)));
    }
    this.#stack.push({ name, members, text: '' });
    if (empty) this.#close(name, at);
  }

  #close(name: string, at: number): void {
    const element = this.#stack.pop();
    if (element?.name !== name) throw this.fault('mismatched tag', at + 2);
    const text = element.text.trim();
    if (element.members !== null && text !== '') add(element.members, '#text', quote(text));
    const value = element.members !== null ? objectOf(element.members) : text === '' ? 'null' : quote(text);
    const parent = this.#stack.at(-1);
    if (parent === undefined)
      this.#root = new AsciiText()
        .add(`{${quote(name)}: `)
        .add(value)
        .add('}');
    else {
      parent.members ??= new Map();
      add(parent.members, name, value);
    }
  }

  #characters(text: string, at: number): void {
    const element = this.#stack.at(-1);
    if (element !== undefined) element.text += text;
    else if (text.trim() !== '') throw this.fault(this.#root === null ? 'syntax error' : 'junk after document element', at);
  }

  #plain(text: string, at: number): string {
    const end = text.indexOf(']]>');
    if (end !== -1 && this.#stack.length > 0) throw this.fault(invalidToken, at + end + 2);
    return text;
  }

  #expand(text: string, at: number): string {
    if (!text.includes('&')) return text;
    return text.replace(/&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([^;&\s]*))(;?)/g, (_, hex, decimal, name, semicolon) => {
      if (semicolon === '') throw this.fault(invalidToken, at);
      if (name !== undefined) return named[name as keyof typeof named] ?? this.#undefinedEntity(at);
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      const character = code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? '\0' : String.fromCodePoint(code);
      if (invalidPattern.test(character)) throw this.fault('reference to invalid character number', at);
      return character;
    });
  }

  #undefinedEntity(at: number): never {
    throw this.fault('undefined entity', at);
  }

  /** Skips the declaration; one that declares entities is refused, whatever they would expand to. Takes one pass. */
  #doctype(at: number): number {
    const text = this.#text;
    let inSubset = false;
    let hasEntities = false;
    doctypePattern.lastIndex = at + '<!DOCTYPE'.length;
    if (!/\s/.test(text[doctypePattern.lastIndex] ?? '')) throw this.fault('syntax error', at);
    for (;;) {
      const mark = doctypePattern.exec(text)?.[0];
      const closing = closings.get(mark ?? '');
      const end = closing === undefined ? 0 : text.indexOf(closing, doctypePattern.lastIndex);
      if (mark === undefined || end === -1) throw this.fault('syntax error', at);
      if (closing !== undefined) doctypePattern.lastIndex = end + closing.length;
      else if (mark === '<!ENTITY') hasEntities ||= inSubset;
      else if (mark !== '>') inSubset = mark === '[';
      else if (!inSubset) break;
    }
    if (hasEntities) throw new ValueError('entities are disabled');
    return doctypePattern.lastIndex;
  }
}

function add(members: Map<string, Member>, name: string, value: Value): void {
  const known = members.get(name);
  if (known === undefined) members.set(name, value);
  else if (isList(known)) known[0].add(', ').add(value);
  else members.set(name, [new AsciiText().add(known).add(', ').add(value)]);
}

function isList(member: Member): member is readonly [AsciiText] {
  return Array.isArray(member);
}

function objectOf(members: ReadonlyMap<string, Member>): Value {
  const text = new AsciiText();
  let separator = '{';
  for (const [name, member] of members) {
    text.add(`${separator}${quote(name)}: `);
    if (isList(member)) text.add('[').add(member[0]).add(']');
    else text.add(member);
    separator = ', ';
  }
  return text.add('}').value;
}
