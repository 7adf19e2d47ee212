import type { Document, LineCounter, Node, Pair, Scalar } from 'yaml';
import type { Fault, Source } from './faults.ts';
import { fullYaml } from './full-yaml.ts';
import { readPlainYaml } from './plain-yaml.ts';

/** Expansions of one anchor that a document may make before it counts as an attack. */
export const aliasesMax = 64;
/** Faults of syntax that are told; more are noise after the first. */
const syntaxFaultsMax = 20;

export interface YamlOptions {
  readonly file: string;
  readonly text: string;
  readonly bytesMax: number;
  /** Levels of nesting; the parser itself calls itself once a level. */
  readonly depthMax: number;
}

export type YamlResult =
  | { readonly ok: true; readonly value: unknown; readonly source: Source }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/**
 * One YAML 1.2 document (JSON is YAML) as plain data: no custom tags, no duplicate keys, no keys but text, no `__proto__`, aliases
 * bounded, no infinities, no whole numbers that would lose digits.
 */
export function readYaml({ file, text, bytesMax, depthMax }: YamlOptions): YamlResult {
  if (Buffer.byteLength(text) > bytesMax) return whole(file, `is larger than ${bytesMax} bytes`, 'shorten it');
  if (nestsDeeper(text, depthMax)) return whole(file, `nests deeper than ${depthMax} levels`, 'flatten it');
  const plain = readPlainYaml(text, depthMax);
  if (plain !== undefined) return { ok: true, value: plain.value, source: lazySource(file, text) };
  return readAnyYaml({ file, text, depthMax });
}

/** Finds its places only when there is something to tell, which is what a full parser is needed for. */
function lazySource(file: string, text: string): Source {
  let source: Source | undefined;
  return {
    file,
    locate(path, key) {
      if (source === undefined) {
        const lines = newLineCounter();
        source = sourceOf(file, parse(text, lines), lines);
      }
      return source.locate(path, key);
    },
  };
}

function newLineCounter(): LineCounter {
  return new (fullYaml().LineCounter)();
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  return fullYaml().parseDocument(text, {
    lineCounter,
    // It compares each key with each; `keysAgain` looks each up.
    uniqueKeys: false,
    schema: 'core',
    customTags: [],
    logLevel: 'error',
    prettyErrors: false,
  });
}

/** With the full parser. */
export function readAnyYaml({ file, text, depthMax }: Omit<YamlOptions, 'bytesMax'>): YamlResult {
  const lines = newLineCounter();
  try {
    const document = parse(text, lines);
    const source = sourceOf(file, document, lines);
    const faults = [...syntaxFaults(file, document, lines), ...contentFaults(document, source, lines, depthMax)];
    if (faults.length > 0) return { ok: false, faults: faults.slice(0, syntaxFaultsMax) };
    return { ok: true, value: document.toJS({ maxAliasCount: aliasesMax }), source };
  } catch (error) {
    if (error instanceof RangeError) return whole(file, `nests deeper than ${depthMax} levels`, 'flatten it');
    // The parser throws a ReferenceError for too many or unresolved aliases.
    return whole(file, 'uses anchors and aliases in a way that cannot be read', 'write the values out');
  }
}

function whole(file: string, message: string, repair: string): YamlResult {
  return { ok: false, faults: [{ file, line: 1, column: 1, path: '', message, repair }] };
}

/**
 * A cheap upper bound before the recursive parser runs: flow brackets, block indentation, and what nests within one line – `- - -`, `? ? ?`,
 * and keys, but those only that follow each other: of a JSON text on one line all keys are, and a comma or a bracket parts them.
 */
function nestsDeeper(text: string, depthMax: number): boolean {
  const most = 16 * depthMax;
  let flow = 0;
  let marks = 0;
  let keys = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x5b || code === 0x7b || code === 0x5d || code === 0x7d || code === 0x2c) {
      keys = 0;
      if (code === 0x5b || code === 0x7b) flow += 1;
      else if (code !== 0x2c) flow = Math.max(0, flow - 1);
    } else if (code === 0x0a) {
      marks = 0;
      keys = 0;
    } else if ((code === 0x2d || code === 0x3f) && isBlank(text.charCodeAt(index + 1))) marks += 1;
    else if (code === 0x3a && isBlank(text.charCodeAt(index + 1))) keys += 1;
    if (flow > most || marks > most || keys > most) return true;
  }
  return false;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a;
}

function syntaxFaults(file: string, document: Document.Parsed, lines: LineCounter): readonly Fault[] {
  const again = { message: 'has this key twice', repair: 'keep one of them' };
  const repeated = keysAgain(document).map((key) => ({ file, ...positionOf(key, lines), path: '', ...again }));
  // A warning is an unknown tag or directive: what is not understood is not ignored.
  const others = [...document.errors, ...document.warnings].map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { file, line, column: Math.max(1, col), path: '', ...syntaxMessage(error.code) };
  });
  return [...repeated, ...others].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** Keys whose name their mapping had before. By the name that they get: of `1` and "1" the second would replace the first. */
function keysAgain(document: Document.Parsed): readonly Scalar[] {
  const { isScalar, visit } = fullYaml();
  const found: Scalar[] = [];
  visit(document, {
    Map(_, { items }) {
      const names = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (names.has(name)) found.push(key);
        names.add(name);
      }
    },
  });
  return found;
}

function syntaxMessage(code: string): { readonly message: string; readonly repair: string } {
  switch (code) {
    case 'TAG_RESOLVE_FAILED':
      return { message: 'has a tag that is not known here', repair: 'remove the !tag' };
    case 'MULTIPLE_DOCS':
      return { message: 'holds more than one document', repair: 'keep one document a file' };
    case 'TAB_AS_INDENT':
      return { message: 'is indented by a tab', repair: 'indent by spaces' };
    default:
      return { message: `is not YAML (${code.toLowerCase().replaceAll('_', ' ')})`, repair: 'correct the syntax at this place' };
  }
}

function contentFaults(document: Document.Parsed, source: Source, lines: LineCounter, depthMax: number): readonly Fault[] {
  const { isCollection, isScalar, visit } = fullYaml();
  const faults: Fault[] = [];
  const add = (node: unknown, message: string, repair: string): void => {
    faults.push({ file: source.file, ...positionOf(node, lines), path: '', message, repair });
  };
  visit(document, {
    Pair(_, pair) {
      const key: unknown = isScalar(pair.key) ? pair.key.value : pair.key;
      if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'boolean')
        add(pair.key ?? pair.value, 'has a key that is no text', 'write a plain key');
      else if (key === '__proto__') add(pair.key, 'has the key __proto__', 'remove it');
    },
    Scalar(_, node) {
      if (typeof node.value !== 'number') return;
      if (!Number.isFinite(node.value)) add(node, 'has a number that JSON does not have', 'write a finite number');
      else if (losesDigits(node.value, node.format)) add(node, 'has a whole number of which digits would be lost', 'write it in quotes');
    },
    Collection(_, node, path) {
      if (path.filter(isCollection).length <= depthMax) return undefined;
      add(node, `nests deeper than ${depthMax} levels`, 'flatten it');
      return visit.BREAK;
    },
  });
  return faults;
}

/** Beyond 2^53 not every whole number is one of JavaScript; with an exponent (`1e20`) nobody writes all digits. */
function losesDigits(value: number, format: string | undefined): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value) && format !== 'EXP';
}

function sourceOf(file: string, document: Document.Parsed, lines: LineCounter): Source {
  const { isAlias, isCollection } = fullYaml();
  const locate: Source['locate'] = (path, key = false) => {
    let node: unknown = document.contents;
    let place: unknown = node;
    for (const [index, step] of path.entries()) {
      const resolved: unknown = isAlias(node) ? node.resolve(document) : node;
      const child = childOf(resolved, step);
      if (child === undefined) break;
      place = key && index === path.length - 1 ? child.place : (child.value ?? child.place);
      // A block collection begins on its first entry's line; the key that holds it is the better place to point at.
      if (isCollection(place)) place = child.place ?? place;
      node = child.value;
    }
    return positionOf(place, lines);
  };
  return { file, locate };
}

function childOf(node: unknown, step: string | number): { readonly place: unknown; readonly value: unknown } | undefined {
  const { isCollection, isMap, isScalar } = fullYaml();
  if (isMap(node)) {
    const pair = node.items.find((item: Pair) => String(isScalar(item.key) ? item.key.value : item.key) === String(step));
    return pair === undefined ? undefined : { place: pair.key, value: pair.value };
  }
  if (!isCollection(node)) return undefined;
  const item = node.items[Number(step)];
  return item === undefined ? undefined : { place: item, value: item };
}

function positionOf(node: unknown, lines: LineCounter): { readonly line: number; readonly column: number } {
  const offset = fullYaml().isNode(node) ? ((node as Node).range?.[0] ?? 0) : 0;
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}
