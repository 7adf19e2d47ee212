/// <reference types="assemblyscript/std/assembly" />
/**
 * A check of JSON (RFC 8259) that can stop after any byte and go on, and finds the members of an outermost object. It is written in
 * AssemblyScript, since WebAssembly has what JavaScript lacks for it, sixteen bytes at once; `npm run generate` makes json-machine.wasm
 * of it, and json-machine.ts is the only one to use that. Builds no values, calls nothing, and reads and writes within its own memory only.
 */

/** What is kept between two calls of `run`; json-machine.ts knows the order. It can be put aside for another text. */
class Progress {
  state: u32;
  /** Objects and arrays that are open. */
  depth: u32;
  /** Bytes before those in the window. */
  base: u32;
  /** Of the outermost value. */
  start: u32;
  end: u32;
  members: u32;
  /** Of the members that ended in this run, those of the table. */
  tableLength: u32;
  /** One of the reasons below, and where; 0 while all is well. */
  reason: u32;
  failureAt: u32;
  hasLineBreak: u32;
  nonFinite: u32;
  nestingMax: u32;
  membersMax: u32;
  allowNonFinite: u32;
  /** Whether the string that is being read is a key. */
  isKey: u32;
  /** Of an escape, still to come. */
  hexDigits: u32;
  /** Of a word, still to come, the next one lowest. */
  letters: u64;
  /** The member that is being read. */
  keyStart: u32;
  keyEnd: u32;
  isEscaped: u32;
  valueStart: u32;
}

class Member {
  keyStart: u32;
  keyEnd: u32;
  isEscaped: u32;
  valueStart: u32;
  valueEnd: u32;
}

// Memory: signs; what `stride` saves; progress and stack, which are put aside together; the table; the window, and behind it room to read on.
const signsAt: usize = 0;
const signCount: usize = 128;
const savedStackAt: usize = signsAt + signCount;
const progressAt: usize = savedStackAt + 64;
const stackAt: usize = progressAt + offsetof<Progress>();
const nestingCapacity: usize = 1 << 20;
const tableAt: usize = stackAt + nestingCapacity;
const windowBytes: usize = 1 << 16;
/** The shortest member, `"":0,`, has five bytes. */
const tableCapacity: usize = windowBytes / 5 + 1;
const windowAt: usize = tableAt + tableCapacity * offsetof<Member>();
const progress = changetype<Progress>(progressAt);
// Each at the place of its number, for `sixteen`.
for (let sign: usize = 0; sign < signCount; sign += 1) store<u8>(signsAt + sign, <u8>sign);

const quote: u32 = 0x22;
const backslash: u32 = 0x5c;
const comma: u32 = 0x2c;
const colonSign: u32 = 0x3a;
const openObject: u32 = 0x7b;
const closeObject: u32 = 0x7d;
const openArray: u32 = 0x5b;
const closeArray: u32 = 0x5d;
const zeroDigit: u32 = 0x30;
const lastControl: u32 = 0x1f;

// States, by what comes next. Up to `done` blanks may stand before it.
const value: u32 = 0;
const firstItem: u32 = 1;
const key: u32 = 2;
const firstKey: u32 = 3;
const colon: u32 = 4;
const separator: u32 = 5;
const done: u32 = 6;
const text: u32 = 7;
const escaped: u32 = 8;
const hexDigit: u32 = 9;
const letter: u32 = 10;
/** Behind a minus. */
const number: u32 = 11;
const integer: u32 = 12;
/** Behind a zero, to which no digit may come. */
const zero: u32 = 13;
/** Behind the point. */
const point: u32 = 14;
const fraction: u32 = 15;
/** Behind the e. */
const exponent: u32 = 16;
/** Behind the sign of an exponent. */
const power: u32 = 17;
const powerDigits: u32 = 18;

// Letters behind the first, the next one lowest.
const trueLetters: u64 = 0x657572;
const falseLetters: u64 = 0x65736c61;
const nullLetters: u64 = 0x6c6c75;
const nanLetters: u64 = 0x4e61;
// biome-ignore lint/correctness/noPrecisionLoss: a whole number of 64 bits here.
const infinityLetters: u64 = 0x7974696e69666e;

// Reasons; json-scan.ts has the words.
const wrongValue: u32 = 1;
const wrongKey: u32 = 2;
const wrongColon: u32 = 3;
const wrongInObject: u32 = 4;
const wrongInArray: u32 = 5;
const somethingFollows: u32 = 6;
const controlCharacter: u32 = 7;
const unknownEscape: u32 = 8;
const wrongHexDigit: u32 = 9;
const digitMissing: u32 = 10;
const nonFiniteWord: u32 = 11;
const tooDeep: u32 = 12;
const tooManyMembers: u32 = 13;

export function progressOffset(): usize {
  return progressAt;
}

export function stackOffset(): usize {
  return stackAt;
}

export function tableOffset(): usize {
  return tableAt;
}

export function windowOffset(): usize {
  return windowAt;
}

export function windowSize(): usize {
  return windowBytes;
}

export function nestingLimit(): usize {
  return nestingCapacity;
}

/** Whether the first `length` bytes of the window are ASCII. */
export function isAscii(length: usize): bool {
  const end = windowAt + length;
  v128.store(end, i8x16.splat(0));
  let bits = i8x16.splat(0);
  for (let at = windowAt; at < end; at += 16) bits = v128.or(bits, v128.load(at));
  return i8x16.bitmask(bits) === 0;
}

/** Takes the first `length` bytes of the window, all of them or up to the first that is wrong. */
export function run(length: usize): void {
  const end = windowAt + length;
  progress.tableLength = 0;
  // No token goes on over a zero, so what follows never looks for the end.
  store<u64>(end, 0);
  let at = windowAt;
  strideFrom = at + 1;
  failures = 0;
  while (at < end) {
    at = step(at);
    if (progress.reason !== 0) return;
    if (progress.depth > 1 && progress.state <= firstKey && at >= strideFrom) at = stride(at, end);
    if (progress.depth > 1 && progress.state <= key) at = glide(at);
  }
  progress.base += <u32>length;
}

/** Whether the value is complete if nothing follows: a lone number is told to end only by the end. */
export function finish(): bool {
  if (progress.depth === 0 && endsNumber(progress.state)) endValue(windowAt);
  return progress.state === done;
}

function endsNumber(state: u32): bool {
  return state === integer || state === zero || state === fraction || state === powerDigits;
}

function offsetOf(at: usize): u32 {
  return progress.base + <u32>(at - windowAt);
}

function fail(at: usize, reason: u32): usize {
  progress.reason = reason;
  progress.failureAt = offsetOf(at);
  return at;
}

function goOn(at: usize, state: u32): usize {
  progress.state = state;
  return at;
}

/** Takes a byte, or a part of a string or number as long as it goes. What it says of the byte it does not take holds for the next step. */
function step(at: usize): usize {
  const byte: u32 = load<u8>(at);
  const state = progress.state;
  if (state <= done && isBlank(byte)) return skipBlanks(at + 1);
  switch (state) {
    case value:
    case firstItem:
      return beginValue(at, byte);
    case key:
    case firstKey:
      return beginKey(at, byte);
    case colon:
      return endKey(at, byte);
    case separator:
      return separate(at, byte);
    case done:
      return fail(at, somethingFollows);
    case text:
      return readText(at);
    case escaped:
      return readEscape(at, byte);
    case hexDigit:
      return readHexDigit(at, byte);
    case letter:
      return readLetter(at, byte);
    default:
      return readNumber(at, byte);
  }
}

function isBlank(byte: u32): bool {
  if (byte > 0x20) return false;
  if (byte === 0x0a || byte === 0x0d) progress.hasLineBreak = 1;
  else if (byte !== 0x20 && byte !== 0x09) return false;
  return true;
}

function beginValue(at: usize, byte: u32): usize {
  if (byte === closeArray && progress.state === firstItem) return close(at);
  if (progress.depth === 0) progress.start = offsetOf(at);
  if (progress.depth === 1) progress.valueStart = offsetOf(at);
  switch (byte) {
    case quote:
      progress.isKey = 0;
      return goOn(at + 1, text);
    case openObject:
    case openArray:
      return open(at, byte);
    case 0x2d: // minus
      return goOn(at + 1, number);
    case 0x74: // true
      return expectLetters(at + 1, trueLetters);
    case 0x66: // false
      return expectLetters(at + 1, falseLetters);
    case 0x6e: // null
      return expectLetters(at + 1, nullLetters);
    case 0x4e: // NaN
      return expectNonFinite(at, nanLetters);
    case 0x49: // Infinity
      return expectNonFinite(at, infinityLetters);
    default:
      return isDigit(byte) ? goOn(at, number) : fail(at, wrongValue);
  }
}

function open(at: usize, byte: u32): usize {
  if (progress.depth >= progress.nestingMax) return fail(at, tooDeep);
  push(byte + 2);
  return goOn(at + 1, byte === openObject ? firstKey : firstItem);
}

/** The stack holds what will close each object and array. */
function push(closing: u32): void {
  store<u8>(stackAt + progress.depth, <u8>closing);
  progress.depth += 1;
}

function closing(): u32 {
  return load<u8>(stackAt + progress.depth - 1);
}

function close(at: usize): usize {
  progress.depth -= 1;
  return endValue(at + 1);
}

/** `at` is behind the value. */
function endValue(at: usize): usize {
  if (progress.depth === 0) {
    progress.end = offsetOf(at);
    return goOn(at, done);
  }
  if (progress.depth === 1 && closing() === closeObject) listMember(at);
  return goOn(at, separator);
}

function listMember(at: usize): void {
  const member = changetype<Member>(tableAt + progress.tableLength * offsetof<Member>());
  member.keyStart = progress.keyStart;
  member.keyEnd = progress.keyEnd;
  member.isEscaped = progress.isEscaped;
  member.valueStart = progress.valueStart;
  member.valueEnd = offsetOf(at);
  progress.tableLength += 1;
}

function separate(at: usize, byte: u32): usize {
  const closer = closing();
  if (byte === comma) return goOn(at + 1, closer === closeObject ? key : value);
  if (byte === closer) return close(at);
  return fail(at, closer === closeObject ? wrongInObject : wrongInArray);
}

function beginKey(at: usize, byte: u32): usize {
  if (byte === closeObject && progress.state === firstKey) return close(at);
  if (byte !== quote) return fail(at, wrongKey);
  progress.isKey = 1;
  if (progress.depth === 1) {
    progress.keyStart = offsetOf(at);
    progress.isEscaped = 0;
  }
  return goOn(at + 1, text);
}

function endKey(at: usize, byte: u32): usize {
  if (byte !== colonSign) return fail(at, wrongColon);
  if (progress.depth === 1) {
    if (progress.members >= progress.membersMax) {
      progress.failureAt = progress.keyStart;
      progress.reason = tooManyMembers;
      return at;
    }
    progress.members += 1;
  }
  return goOn(at + 1, value);
}

function readText(from: usize): usize {
  const at = skipPlain(from);
  const byte: u32 = load<u8>(at);
  if (byte === backslash) {
    if (progress.isKey) progress.isEscaped = 1;
    return goOn(at + 1, escaped);
  }
  // The zero behind the window; one within it is met again, as the first byte.
  if (byte !== quote) return at > from ? at : fail(at, controlCharacter);
  if (!progress.isKey) return endValue(at + 1);
  if (progress.depth === 1) progress.keyEnd = offsetOf(at + 1);
  return goOn(at + 1, colon);
}

/** To the first quote, backslash or control character. */
function skipPlain(from: usize): usize {
  let at = from;
  let ends = endsOfPlain(at);
  while (ends === 0) {
    at += 16;
    ends = endsOfPlain(at);
  }
  return at + ctz(ends);
}

/** One bit for each of sixteen bytes, the first lowest. */
function endsOfPlain(at: usize): u32 {
  const bytes = v128.load(at);
  const signs = v128.or(i8x16.eq(bytes, sixteen(quote)), i8x16.eq(bytes, sixteen(backslash)));
  return i8x16.bitmask(v128.or(signs, i8x16.le_u(bytes, sixteen(lastControl))));
}

/** Sixteen times a sign of ASCII. From memory, where it takes one instruction: V8 makes a constant anew for each use of it, by three. */
function sixteen(sign: u32): v128 {
  return v128.load8_splat(signsAt + <usize>sign);
}

function readEscape(at: usize, byte: u32): usize {
  switch (byte) {
    case quote:
    case backslash:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return goOn(at + 1, text);
    case 0x75: // u
      progress.hexDigits = 4;
      return goOn(at + 1, hexDigit);
    default:
      return fail(at, unknownEscape);
  }
}

function readHexDigit(at: usize, byte: u32): usize {
  if (!isDigit(byte) && (byte | 0x20) - 0x61 > 5) return fail(at, wrongHexDigit);
  progress.hexDigits -= 1;
  return goOn(at + 1, progress.hexDigits === 0 ? text : hexDigit);
}

function expectLetters(at: usize, letters: u64): usize {
  progress.letters = letters;
  return goOn(at, letter);
}

function expectNonFinite(at: usize, letters: u64): usize {
  if (!progress.allowNonFinite) return fail(at, nonFiniteWord);
  progress.nonFinite = 1;
  return expectLetters(at + 1, letters);
}

function readLetter(at: usize, byte: u32): usize {
  if (byte !== <u32>(progress.letters & 0xff)) return fail(at, wrongValue);
  progress.letters >>= 8;
  return progress.letters === 0 ? endValue(at + 1) : at + 1;
}

function isDigit(byte: u32): bool {
  return byte - 0x30 < 10;
}

function skipDigits(from: usize): usize {
  let at = from;
  let ends = endsOfDigits(at);
  while (ends === 0) {
    at += 16;
    ends = endsOfDigits(at);
  }
  return at + ctz(ends);
}

function endsOfDigits(at: usize): u32 {
  return i8x16.bitmask(i8x16.gt_u(i8x16.sub(v128.load(at), sixteen(zeroDigit)), sixteen(9)));
}

function readNumber(at: usize, byte: u32): usize {
  switch (progress.state) {
    case number:
      if (byte === 0x49 && progress.allowNonFinite) return expectNonFinite(at, infinityLetters);
      return byte === zeroDigit ? goOn(at + 1, zero) : expectDigits(at, byte, integer);
    case integer:
    case zero:
      if (byte === 0x2e) return goOn(at + 1, point);
      break;
    case point:
      return expectDigits(at, byte, fraction);
    case exponent:
      return goOn(byte === 0x2b || byte === 0x2d ? at + 1 : at, power);
    case power:
      return expectDigits(at, byte, powerDigits);
  }
  if (progress.state !== zero && isDigit(byte)) return skipDigits(at);
  if (progress.state !== powerDigits && (byte | 0x20) === 0x65) return goOn(at + 1, exponent);
  return endValue(at);
}

function expectDigits(at: usize, byte: u32, state: u32): usize {
  return isDigit(byte) ? goOn(skipDigits(at), state) : fail(at, digitMissing);
}

const blockBytes: usize = 64;
/** From here on `stride` is tried again: further on each time that it could not take a step. */
let strideFrom: usize = 0;
let failures: u32 = 0;
const failuresMax: u32 = 6;

/**
 * The fastest way through what stands below the outermost level, and is laid out as JSON.stringify and Python's json.dumps do it: 64 bytes
 * at once, each class of characters as the bits of one word, where the grammar is a matter of neighbours. What cannot be judged so is left
 * to `glide`. `from` is behind a comma, a colon, or what opens an object or array, as all states before a value or a key are.
 */
function stride(from: usize, end: usize): usize {
  let mark = from - 1;
  if (!isMark(load<u8>(mark))) {
    strideFrom = from + 1;
    return from;
  }
  while (mark + blockBytes <= end) {
    const next = takeBlock(mark);
    if (next === mark) break;
    mark = next;
  }
  failures = mark + 1 === from ? min(failures + 1, failuresMax) : 0;
  strideFrom = mark + blockBytes <= end ? mark + (blockBytes << failures) : end;
  const byte: u32 = load<u8>(mark);
  if (byte === comma) return goOn(mark + 1, closing() === closeObject ? key : value);
  if (byte === colonSign) return goOn(mark + 1, value);
  if (isOpen(byte)) return goOn(mark + 1, byte === openObject ? firstKey : firstItem);
  return goOn(mark + 1, separator);
}

function isMark(byte: u32): bool {
  return byte === comma || byte === colonSign || isOpen(byte);
}

/**
 * Takes 64 bytes up to their last mark, which is a comma, colon, or bracket or brace of any kind, and returns where that is; or `at`, a mark
 * that is taken already, when something in them cannot be judged.
 */
function takeBlock(at: usize): usize {
  const a = v128.load(at);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  if (hasOddBytes(a, b, c, d)) return at;
  const quotes = whereIs(a, b, c, d, quote);
  // From each opening quote to before the closing one.
  const text = parities(quotes);
  const outside = ~(text | quotes);
  const commas = whereIs(a, b, c, d, comma) & outside;
  const colons = whereIs(a, b, c, d, colonSign) & outside;
  const blanks = whereIs(a, b, c, d, 0x20) & outside;
  // Brackets differ from braces by one bit.
  const bit = sixteen(0x20);
  const opens = whereIs(v128.or(a, bit), v128.or(b, bit), v128.or(c, bit), v128.or(d, bit), openObject) & outside;
  const closes = whereIs(v128.or(a, bit), v128.or(b, bit), v128.or(c, bit), v128.or(d, bit), closeObject) & outside;
  const marks = commas | colons | opens | closes;
  const judged = (<u64>-1 >> clz(marks)) & ~1;
  const scalars = outside & ~(marks | blanks);
  const scalarStarts = scalars & ~(scalars << 1);

  // A value begins where one is due, behind a mark and one blank at most, and nowhere else: so behind a value comes a mark, too.
  const separators = (commas | colons) << 1;
  const gaps = separators & blanks;
  const empties = (opens << 1) & closes;
  const due = (opens << 1) | (separators ^ gaps) | (gaps << 1);
  const openQuotes = quotes & text;
  if (((openQuotes | opens | scalarStarts | empties) ^ due) & judged) return at;
  const digits = whereDigits(a, b, c, d);
  const zeros = whereIs(a, b, c, d, zeroDigit) & scalarStarts;
  if ((zeros << 1) & digits & scalars & judged) return at;
  const others = scalars & ~digits;
  if (!areScalars(at, others & ~(others << 1) & judged, scalarStarts)) return at;

  // A text is a key when it stands behind a comma or brace and before a colon; which it must be in an object, and may not be in an array.
  const behindCommas = commas << 1;
  const firsts = (opens << 1) | (behindCommas & ~gaps) | ((behindCommas & gaps) << 1);
  // The sum carries the bit of each beginning to its closing quote.
  const firstTextEnds = (text + (openQuotes & firsts)) & ~text;
  if (colons & ~(firstTextEnds << 1) & judged) return at;
  const depth = progress.depth;
  saveStack(depth);
  const objects = followBrackets(at, (opens | closes) & judged, opens);
  const keyEnds = firstTextEnds & objects;
  const wrong = (colons & ~objects) | ((keyEnds << 1) & ~colons) | (firsts & objects & ~(openQuotes | empties));
  if (bracketsFit && !(wrong & judged)) return at + 63 - <usize>clz(marks);
  restoreStack(depth);
  return at;
}

/** Whether there are some that need a closer look: control characters, line breaks among them, and backslashes. */
function hasOddBytes(a: v128, b: v128, c: v128, d: v128): bool {
  const sign = sixteen(backslash);
  const backslashes = v128.or(v128.or(i8x16.eq(a, sign), i8x16.eq(b, sign)), v128.or(i8x16.eq(c, sign), i8x16.eq(d, sign)));
  const lowest = i8x16.min_u(i8x16.min_u(a, b), i8x16.min_u(c, d));
  return v128.any_true(v128.or(backslashes, i8x16.le_u(lowest, sixteen(lastControl))));
}

function whereDigits(a: v128, b: v128, c: v128, d: v128): u64 {
  const first = sixteen(zeroDigit);
  const nine = sixteen(9);
  return bitsOf(
    i8x16.le_u(i8x16.sub(a, first), nine),
    i8x16.le_u(i8x16.sub(b, first), nine),
    i8x16.le_u(i8x16.sub(c, first), nine),
    i8x16.le_u(i8x16.sub(d, first), nine),
  );
}

function whereIs(a: v128, b: v128, c: v128, d: v128, sign: u32): u64 {
  const wanted = sixteen(sign);
  return bitsOf(i8x16.eq(a, wanted), i8x16.eq(b, wanted), i8x16.eq(c, wanted), i8x16.eq(d, wanted));
}

/** One bit for each of 64 bytes, the first lowest. */
function bitsOf(a: v128, b: v128, c: v128, d: v128): u64 {
  const low = <u32>i8x16.bitmask(a) | ((<u32>i8x16.bitmask(b)) << 16);
  const high = <u32>i8x16.bitmask(c) | ((<u32>i8x16.bitmask(d)) << 16);
  return <u64>low | ((<u64>high) << 32);
}

/** Each bit becomes the parity of those up to it. */
function parities(bits: u64): u64 {
  let all = bits ^ (bits << 1);
  all ^= all << 2;
  all ^= all << 4;
  all ^= all << 8;
  all ^= all << 16;
  return all ^ (all << 32);
}

/** Whether at each of the bits of `odd`, where something else than digits begins, is a word, or the sign or point of a number. */
function areScalars(at: usize, odd: u64, starts: u64): bool {
  for (let rest = odd; rest !== 0; rest &= rest - 1) {
    const place = ctz(rest);
    const begins = ((starts >> place) & 1) !== 0;
    const here = at + <usize>place;
    // What does not begin the scalar is behind a digit of it.
    const end = begins ? glideScalar(here, load<u8>(here)) : glideFraction(here);
    if (!endsScalar(load<u8>(end))) return false;
  }
  return true;
}

function endsScalar(byte: u32): bool {
  return byte === comma || (byte | 0x20) === closeObject;
}

/** Whether all brackets that `followBrackets` met had their counterpart, and left the outermost level and the limit of nesting alone. */
let bracketsFit: bool = false;

/** Takes the brackets to the stack; returns the bits of what is directly within an object, a bracket counted to what it stands in. */
function followBrackets(at: usize, brackets: u64, opens: u64): u64 {
  let closer = closing();
  let depth = progress.depth;
  let within: u64 = closer === closeObject ? -1 : 0;
  let objects = within;
  let rest = brackets;
  for (; rest !== 0; rest &= rest - 1) {
    const place = ctz(rest);
    const byte: u32 = load<u8>(at + <usize>place);
    if (((opens >> place) & 1) !== 0) {
      if (depth >= progress.nestingMax) break;
      closer = byte + 2;
      store<u8>(stackAt + depth, <u8>closer);
      depth += 1;
    } else {
      if (byte !== closer || depth === 2) break;
      depth -= 1;
      closer = load<u8>(stackAt + depth - 1);
    }
    const now: u64 = closer === closeObject ? -1 : 0;
    objects ^= (now ^ within) & ((<u64>-2) << place);
    within = now;
  }
  progress.depth = depth;
  bracketsFit = rest === 0;
  return objects;
}

/** A block has 64 brackets at most, so changes no more of the stack than so much of its top; below a low one is `progress`, as it was. */
function saveStack(depth: u32): void {
  copyTop(savedStackAt, stackAt + depth - blockBytes);
}

function restoreStack(depth: u32): void {
  copyTop(stackAt + depth - blockBytes, savedStackAt);
  progress.depth = depth;
}

function copyTop(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

/**
 * The fast way through what stands below the outermost level, where no token is cut and no string has an escape, no number an exponent.
 * It stops before a member or item in which anything else is met, and leaves that to `step`.
 */
function glide(from: usize): usize {
  let at = from;
  let state = progress.state;
  let closer = closing();
  while (at < strideFrom) {
    let next = skipBlanks(at);
    if (state >= key) next = glideKey(next);
    const byte: u32 = load<u8>(next);
    if (isOpen(byte) && progress.depth >= progress.nestingMax) break;
    if (isOpen(byte) && load<u8>(next + 1) !== <u8>(byte + 2)) {
      closer = byte + 2;
      push(closer);
      at = next + 1;
      state = byte === openObject ? firstKey : firstItem;
      continue;
    }
    next = skipBlanks(glideScalar(next, byte));
    let follower: u32 = load<u8>(next);
    if (follower !== comma && follower !== closer) break;
    while (follower === closer) {
      progress.depth -= 1;
      next += 1;
      if (progress.depth === 1) return endValue(next);
      closer = closing();
      next = skipBlanks(next);
      follower = load<u8>(next);
    }
    if (follower !== comma) return goOn(next, separator);
    at = next + 1;
    state = closer === closeObject ? key : value;
  }
  return goOn(at, state);
}

function skipBlanks(from: usize): usize {
  let at = from;
  while (isBlank(load<u8>(at))) at += 1;
  return at;
}

function isOpen(byte: u32): bool {
  return (byte | 0x20) === openObject;
}

/** Where a byte stands that nothing takes: so that what is odd is found by the next look. */
const nowhere: usize = windowAt + windowBytes;

function glideKey(at: usize): usize {
  if (load<u8>(at) !== quote) return nowhere;
  const end = skipPlain(at + 1);
  if (load<u8>(end) !== quote) return nowhere;
  const next = skipBlanks(end + 1);
  return load<u8>(next) === colonSign ? skipBlanks(next + 1) : nowhere;
}

/** The end of a string, a number, a word, or an object or array that is empty. */
function glideScalar(at: usize, byte: u32): usize {
  if (byte === quote) {
    const end = skipPlain(at + 1);
    return load<u8>(end) === quote ? end + 1 : nowhere;
  }
  if (isDigit(byte)) return glideNumber(at);
  switch (byte) {
    case 0x2d: // minus
      return glideNumber(at + 1);
    case 0x74:
      return load<u32>(at) === 0x65757274 ? at + 4 : nowhere;
    case 0x66:
      return load<u32>(at + 1) === 0x65736c61 ? at + 5 : nowhere;
    case 0x6e:
      return load<u32>(at) === 0x6c6c756e ? at + 4 : nowhere;
    default:
      return isOpen(byte) ? at + 2 : nowhere;
  }
}

function glideNumber(at: usize): usize {
  const whole = skipDigits(at);
  if (whole === at || (whole > at + 1 && load<u8>(at) === <u8>zeroDigit)) return nowhere;
  return load<u8>(whole) === 0x2e ? glideFraction(whole) : whole;
}

/** The end of digits behind the point that should stand at `at`. */
function glideFraction(at: usize): usize {
  const end = skipDigits(at + 1);
  return load<u8>(at) === 0x2e && end > at + 1 ? end : nowhere;
}
