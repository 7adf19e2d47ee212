import type { Mask, TextEnd } from '../protocol/breach.ts';

/**
 * Secrets masked in text that leaves the proxy: stderr of connectors, logs, errors. A secret is found as it is, in its lines, JSON-escaped,
 * URL-encoded, in hexadecimal and in base64 at any alignment. This is a net for accidents: a connector that means to can always write a
 * secret in a form of its own.
 */

/** Shorter secrets are not masked: they would be found everywhere, and the holes would tell them. Nor are shorter beginnings of one at a cut. */
export const maskedCharsMin = 4;
/** Shorter lines of a secret of many lines are not masked on their own. */
const lineCharsMin = 8;
/** What is left of a base64 form when its uncertain ends are cut must still be this long. */
const base64CharsMin = 5;

export const mask = '[secret]';

/**
 * Linear in the text, however many secrets there are. Give text from the beginning of a line: what follows on a cut in a secret is not found.
 * Where the end is cut, what may be the beginning of a secret is masked there.
 */
export function createMasker(secrets: readonly string[]): Mask {
  const forms = new Set(secrets.filter((secret) => secret.length >= maskedCharsMin).flatMap(formsOf));
  if (forms.size === 0) return (text) => text;
  const automaton = buildAutomaton(forms);
  return (text, end) => (end === 'cut' ? replaceAll(withoutTornCharacter(text), automaton, end) : replaceAll(text, automaton, 'whole'));
}

// ---- the forms of a secret ----------------------------------------------------------------------------------------------------

function formsOf(secret: string): readonly string[] {
  const lines = secret.includes('\n') ? secret.split(/\r?\n/).filter((line) => line.length >= lineCharsMin) : [];
  return [secret, ...lines]
    .flatMap((piece) => [piece, ...jsonForms(piece), ...urlForms(piece), ...byteForms(piece)])
    .filter((form) => form.length >= maskedCharsMin);
}

function jsonForms(text: string): readonly string[] {
  const plain = JSON.stringify(text).slice(1, -1);
  const ascii = plain.replace(/[^\0-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  // A JSON text inside of a JSON text, as in a logged body.
  const twice = JSON.stringify(plain).slice(1, -1);
  return [plain, ascii, ascii.replaceAll('/', '\\/'), plain.replaceAll('/', '\\/'), twice];
}

function urlForms(text: string): readonly string[] {
  // A lone surrogate has no UTF-8 form.
  const component = encodeURIComponent(text.toWellFormed());
  const strict = component.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  // What browsers and URLSearchParams write: `*` stays, and all else that encodeURIComponent leaves of punctuation does not.
  const form = new URLSearchParams([['', text]]).toString().slice(1);
  return [component, strict, strict.replaceAll('~', '%7E'), form]
    .flatMap((written) => [written, written.replaceAll('%20', '+'), written.replaceAll('%2F', '/')])
    .flatMap((written) => [written, written.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())]);
}

function byteForms(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const whole = bytes.toString('base64');
  const base64 = [whole, ...[0, 1, 2].map((offset) => base64Core(bytes, offset))].filter((form) => form.length >= base64CharsMin);
  const hex = bytes.toString('hex');
  return [...base64.flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]), hex, hex.toUpperCase()];
}

/** What base64 of any text shows of these bytes when they begin `offset` bytes into a group of three, without the characters shared with neighbours. */
function base64Core(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}

// ---- finding all of them at once: Aho and Corasick -----------------------------------------------------------------------------

interface Node {
  readonly next: Map<number, Node>;
  /** Characters from the root: of the longest beginning of a form that the text read so far ends with. */
  readonly depth: number;
  fail: Node | undefined;
  /** Length of the longest form that ends here; 0 for none. */
  length: number;
}

function buildAutomaton(forms: ReadonlySet<string>): Node {
  const root: Node = { next: new Map(), depth: 0, fail: undefined, length: 0 };
  for (const form of forms) insert(root, form);
  const queue = [...root.next.values()];
  for (const node of queue) node.fail = root;
  // The queue grows while it is walked.
  for (const node of queue) {
    for (const [unit, child] of node.next) {
      child.fail = step(root, node.fail ?? root, unit);
      child.length = Math.max(child.length, child.fail.length);
      queue.push(child);
    }
  }
  return root;
}

function insert(root: Node, form: string): void {
  let node = root;
  for (let index = 0; index < form.length; index += 1) {
    const unit = form.charCodeAt(index);
    let child = node.next.get(unit);
    if (child === undefined) {
      child = { next: new Map(), depth: index + 1, fail: undefined, length: 0 };
      node.next.set(unit, child);
    }
    node = child;
  }
  node.length = form.length;
}

function step(root: Node, from: Node, unit: number): Node {
  for (let node: Node | undefined = from; node !== undefined; node = node.fail) {
    const child = node.next.get(unit);
    if (child !== undefined) return child;
  }
  return root;
}

/** What is left of a character whose bytes were cut in two would hide the beginning of a secret before it. */
function withoutTornCharacter(text: string): string {
  return text.endsWith('\ufffd') ? text.slice(0, -1) : text;
}

function replaceAll(text: string, root: Node, end: TextEnd): string {
  const holes: { from: number; to: number }[] = [];
  let node = root;
  for (let index = 0; index < text.length; index += 1) {
    node = step(root, node, text.charCodeAt(index));
    if (node.length > 0) addHole(holes, index + 1 - node.length, index + 1);
  }
  if (end === 'cut' && node.depth >= maskedCharsMin) addHole(holes, text.length - node.depth, text.length);
  if (holes.length === 0) return text;
  let masked = '';
  let at = 0;
  for (const { from, to } of holes) {
    masked += text.slice(at, from) + mask;
    at = to;
  }
  return masked + text.slice(at);
}

/** Holes come in order of their ends; one that reaches back swallows those before it. */
function addHole(holes: { from: number; to: number }[], from: number, to: number): void {
  let start = from;
  for (let last = holes.at(-1); last !== undefined && last.to > start; last = holes.at(-1)) {
    start = Math.min(start, last.from);
    holes.pop();
  }
  holes.push({ from: start, to });
}
