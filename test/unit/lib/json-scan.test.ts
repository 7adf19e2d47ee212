import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Member,
  membersMaxDefault,
  nestingCapacity,
  type ScannedJson,
  type ScanOptions,
  type ScanResult,
  scanJson as scanPiece,
  seenType,
} from '../../../src/lib/json-scan.ts';
import { latin1 } from '../../../src/lib/pieces.ts';
import { jsonKeys, jsonTexts, misaligned, mutatedJson, parsesAsJson, trimJson } from '../../helpers/json-arbitraries.ts';

const deep: ScanOptions = { nestingMax: 1000 };

/** The scan of the bytes; that of the same as a text of one character a byte must be equal. */
function scanJson(bytes: Uint8Array, options: ScanOptions): ScanResult {
  const scan = scanPiece(bytes, options);
  expect(scanPiece(latin1(bytes), options)).toEqual(scan);
  return scan;
}

function scanned(text: string | Uint8Array, options: ScanOptions = deep): ScannedJson {
  const scan = scanJson(Buffer.from(text), options);
  if (!scan.ok) throw new Error(`${scan.reason} at ${scan.offset}`);
  return scan;
}

function refusal(text: string | Uint8Array, options: ScanOptions = deep): string {
  const scan = scanJson(Buffer.from(text), options);
  return scan.ok ? 'accepted' : `${scan.reason} at ${scan.offset}`;
}

function valueText(bytes: Uint8Array, { valueStart, valueEnd }: Member): string {
  return Buffer.from(bytes.subarray(valueStart, valueEnd)).toString();
}

/** JSON.parse may give a backslash for a key that is one escape (nodejs/node#63785; lib/json-parse.ts). */
function mayMeetBugOfV8(keys: readonly string[]): boolean {
  return keys.some((key) => key.startsWith('"\\') && (JSON.parse(key) as string).length === 1);
}

describe('against JSON.parse', () => {
  test('accepts every JSON text, at every alignment', () => {
    void fc.assert(
      fc.property(jsonTexts(), fc.nat(7), (text, shift) => {
        expect(scanJson(misaligned(Buffer.from(text), shift), deep).ok).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('accepts of broken JSON exactly what JSON.parse accepts', () => {
    void fc.assert(
      fc.property(mutatedJson(), fc.nat(3), (bytes, shift) => {
        expect(scanJson(misaligned(bytes, shift), deep).ok).toBe(parsesAsJson(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  test('accepts of random bytes exactly what JSON.parse accepts', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((inner) => Buffer.concat([Buffer.from('"'), inner, Buffer.from('"')])),
      fc.array(fc.constantFrom(...Buffer.from('{}[]",:01-.eE ')), { maxLength: 12 }).map((list) => Buffer.from(list)),
    );
    void fc.assert(
      fc.property(bytes, (sample) => {
        expect(scanJson(sample, deep).ok).toBe(parsesAsJson(sample));
      }),
      { numRuns: 6000 },
    );
  });

  test('tells where the value is, its type, and whether line breaks stand in it', () => {
    void fc.assert(
      fc.property(jsonTexts(), (text) => {
        const bytes = Buffer.from(text);
        const { start, end, type, hasLineBreak } = scanned(bytes);
        const value: unknown = JSON.parse(text);
        expect(bytes.toString('utf8', start, end)).toBe(trimJson(text));
        expect(type).toBe(value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
        expect(hasLineBreak).toBe(/[\r\n]/.test(text));
      }),
      { numRuns: 500 },
    );
  });

  test('finds the members of an object, keys decoded, values by offsets', () => {
    const object = fc.array(fc.tuple(jsonKeys(), jsonTexts(2)), { maxLength: 8 });
    void fc.assert(
      fc.property(object, fc.nat(3), (members, shift) => {
        const text = ` {${members.map(([key, value]) => `${key} :${value}`).join(', ')}}`;
        const bytes = misaligned(Buffer.from(text), shift);
        const scan = scanned(bytes);
        expect(scan.members.map(({ key }) => key)).toEqual(members.map(([key]) => JSON.parse(key)));
        expect(scan.members.map((member) => valueText(bytes, member))).toEqual(members.map(([, value]) => trimJson(value)));
        if (mayMeetBugOfV8(members.map(([key]) => key))) return;
        const isIndex = (key: string) => /^(0|[1-9]\d*)$/.test(key);
        const order = [...new Set(scan.members.map(({ key }) => key))];
        expect(order.filter((key) => !isIndex(key))).toEqual(Object.keys(JSON.parse(text)).filter((key) => !isIndex(key)));
      }),
      { numRuns: 500 },
    );
  });

  test('skips strings of every length at every alignment, whatever stands at their end', () => {
    for (let length = 0; length < 80; length += 1) {
      for (const shift of [0, 1, 2, 3]) {
        const filling = 'abcdefgh'.repeat(10).slice(0, length);
        expect(scanJson(misaligned(Buffer.from(`"${filling}"`), shift), deep).ok).toBe(true);
        expect(scanJson(misaligned(Buffer.from(`"${filling}\\n${filling}"`), shift), deep).ok).toBe(true);
        expect(scanJson(misaligned(Buffer.from(`"${filling}\n${filling}"`), shift), deep).ok).toBe(false);
        expect(scanJson(misaligned(Buffer.from(`"${filling}`), shift), deep).ok).toBe(false);
        expect(
          scanJson(misaligned(Buffer.from([0x22, ...Buffer.from(filling), 0xff, ...Buffer.from(filling), 0x22]), shift), deep).ok,
        ).toBe(false);
      }
    }
  });
});

/** The scanner takes 64 KiB at a time. */
describe('a token across the end of what is scanned at once', () => {
  const windowBytes = 65_536;
  const samples = [
    '{"a":{"key":"value","n":-12.75e+10,"t":true,"f":false,"z":null,"e":[],"o":{},"l":[0,10,"\\u00e9\\"x"]}}',
    '{"a" : { "key" : "é€😀" ,\n "n" : 1.5 , "l" : [ 1 , 2 ] } }',
    '{"a":[{"x":01}]}',
    '{"a":{"x":1.}}',
    '{"a":{"x":tru}}',
    '{"a":{"x":"\\u00g0"}}',
    '{"a":{"x":1,}}',
    '{"a":{"x":[1}}}',
    '{"a":{"x" "y"}}',
    '[[[[[[1]]]]]',
  ];

  test.each(samples)('%s', (sample) => {
    const expected = scanJson(Buffer.from(`["",${sample}]`), deep);
    const length = Buffer.byteLength(sample);
    for (let before = 1; before <= length; before += 1) {
      const padding = 'x'.repeat(windowBytes - before - 4);
      const scan = scanJson(Buffer.from(`["${padding}",${sample}]`), deep);
      expect(scan.ok).toBe(expected.ok);
      if (!scan.ok && !expected.ok) expect(scan).toEqual({ ...expected, offset: expected.offset + padding.length });
    }
  });

  test('finds members there, at the outermost level too', () => {
    const bytes = Buffer.from(`{"pad":"${'x'.repeat(windowBytes - 16)}","k\\u0065y":[1,2],"last":{"a":-0.5}}`);
    const { members } = scanned(bytes);
    expect(members.map(({ key }) => key)).toEqual(['pad', 'key', 'last']);
    expect(members.slice(1).map((member) => valueText(bytes, member))).toEqual(['[1,2]', '{"a":-0.5}']);
    const many = `{${Array.from({ length: 20_000 }, (_, index) => `"${index}":0`).join(',')}}`;
    expect(scanned(many).members.map(({ key }) => key)).toEqual(Array.from({ length: 20_000 }, (_, index) => String(index)));
  });
});

describe('members', () => {
  test('keeps __proto__ and a lone surrogate as ordinary keys', () => {
    const { members } = scanned('{"__proto__":{"admin":true},"\\ud800":1}');
    expect(members.map(({ key }) => key)).toEqual(['__proto__', '\ud800']);
  });

  test('lists duplicates in the order of the text', () => {
    expect(scanned('{"a":1,"b":2,"\\u0061":3}').members.map(({ key }) => key)).toEqual(['a', 'b', 'a']);
  });

  test('has none for what is not an object', () => {
    expect(scanned('[{"a":1}]').members).toEqual([]);
  });

  test('are limited in number', () => {
    const text = (count: number) => `{${Array.from({ length: count }, () => '"k":0').join(',')}}`;
    expect(scanned(text(3), { nestingMax: 1, membersMax: 3 }).members).toHaveLength(3);
    expect(refusal(text(4), { nestingMax: 1, membersMax: 3 })).toBe('it has more than 3 members at 19');
    expect(scanned(text(membersMaxDefault)).members).toHaveLength(membersMaxDefault);
    expect(refusal(text(membersMaxDefault + 1))).toContain('more than 65536 members');
    expect(scanned(`[${text(membersMaxDefault + 1)}]`).type).toBe('array');
  });
});

describe('refusals name the reason and the offset, and nothing of the input', () => {
  test.each([
    ['', 'it ends too early at 0'],
    ['   ', 'it ends too early at 3'],
    ['{"a":', 'it ends too early at 5'],
    ['["abc', 'it ends too early at 5'],
    ['{a:1}', 'a key in double quotes is expected at 1'],
    ['{"a" 1}', 'a colon is expected at 5'],
    ['{"a":1,}', 'a key in double quotes is expected at 7'],
    ['[1,]', 'a value is expected at 3'],
    ['[1 2]', 'a comma or the end of an array is expected at 3'],
    ['{"a":1]', 'a comma or the end of an object is expected at 6'],
    ['1 2', 'something follows the value at 2'],
    ['"a\u0001b"', 'a string holds a raw control character at 2'],
    ['"\\x41"', 'a string has an escape that JSON does not know at 2'],
    ['"\\u12g4"', 'a \\u escape needs four hexadecimal digits at 5'],
    ['[-]', 'a number lacks a digit at 2'],
    ['[1.]', 'a number lacks a digit at 3'],
    ['[01]', 'a comma or the end of an array is expected at 2'],
    ['[NaN]', 'NaN and Infinity are not JSON at 1'],
    ['\ufeff{}', 'a value is expected at 0'],
  ])('%j: %s', (text, reason) => {
    expect(refusal(text)).toBe(reason);
  });

  test('UTF-8 that is not is found to within three bytes', () => {
    const scan = scanJson(Buffer.concat([Buffer.from(`"${'é'.repeat(5000)}`), Buffer.of(0xc3, 0x28), Buffer.from('"')]), deep);
    expect(scan).toMatchObject({ ok: false, reason: 'it is not UTF-8' });
    if (!scan.ok) expect(Math.abs(scan.offset - 10_001)).toBeLessThanOrEqual(3);
  });

  test('a surrogate in UTF-8 and an overlong slash are not UTF-8', () => {
    expect(refusal(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toContain('not UTF-8');
    expect(refusal(Buffer.from([0x22, 0xc0, 0xaf, 0x22]))).toContain('not UTF-8');
  });
});

test.each([
  ['{}', 'object'],
  ['[]', 'array'],
  ['"1"', 'string'],
  ['true', 'boolean'],
  ['false', 'boolean'],
  ['null', 'null'],
  ['0', 'integer'],
  ['-123456789012345', 'integer'],
  ['1234567890123456', 'number'],
  ['1.0', 'number'],
  ['1e3', 'number'],
])('%s is seen to be of type %s, as text and as bytes', (value, type) => {
  const [text, place] = [`[${value}]`, { valueStart: 1, valueEnd: value.length + 1 }];
  expect([seenType(text, place), seenType(Buffer.from(text), place)]).toEqual([type, type]);
});

describe('NaN and Infinity', () => {
  test.each(['NaN', 'Infinity', '-Infinity'])('%s passes only where allowed, and is told', (word) => {
    expect(refusal(`{"a":[${word}]}`)).toContain('at');
    expect(scanned(`{"a":[${word}]}`, { ...deep, allowNonFinite: true }).nonFinite).toBe(true);
    expect(scanned(word, { ...deep, allowNonFinite: true }).type).toBe('number');
  });

  test.each(['-NaN', 'nan', 'NaNa', 'Inf', 'infinity', '+Infinity', '--Infinity', '-Infinit'])('%s never passes', (word) => {
    expect(refusal(`[${word}]`, { ...deep, allowNonFinite: true })).not.toBe('accepted');
  });

  test('numbers beyond a double are JSON and untouched', () => {
    expect(scanned('[1e400,-1e400]', { ...deep, allowNonFinite: true }).nonFinite).toBe(false);
  });
});

describe('nesting', () => {
  test('is counted by containers and limited', () => {
    expect(scanned('"x"', { nestingMax: 0 }).type).toBe('string');
    expect(scanned('[[{}]]', { nestingMax: 3 }).type).toBe('array');
    expect(refusal('[[{}]]', { nestingMax: 2 })).toBe('it is nested deeper than 2 at 2');
    expect(refusal('{"a":{"b":[]}}', { nestingMax: 2 })).toBe('it is nested deeper than 2 at 10');
    expect(scanned(`[${'[],'.repeat(1000)}[]]`, { nestingMax: 2 }).type).toBe('array');
  });

  test('has a limit of its own, whatever is allowed', () => {
    const unlimited = { nestingMax: Number.POSITIVE_INFINITY };
    expect(scanned('['.repeat(nestingCapacity) + ']'.repeat(nestingCapacity), unlimited).type).toBe('array');
    expect(refusal('['.repeat(nestingCapacity + 1), unlimited)).toBe(`it is nested deeper than ${nestingCapacity} at ${nestingCapacity}`);
    expect(refusal('{"a":['.repeat(nestingCapacity), unlimited)).toContain(`nested deeper than ${nestingCapacity}`);
  });

  test('a million levels neither overflow a stack nor take long', () => {
    const depth = 1_000_000;
    expect(refusal('['.repeat(depth), { nestingMax: 64 })).toContain('nested deeper than 64 at 64');
    expect(refusal('['.repeat(depth), { nestingMax: depth })).toContain('ends too early');
    expect(scanned('['.repeat(depth) + ']'.repeat(depth), { nestingMax: depth }).type).toBe('array');
    expect(scanned(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`, { nestingMax: depth }).members).toHaveLength(1);
  });
});

/** Twice the bytes may take twice the time; a quadratic scan would take four times, and minutes at these sizes. */
describe('is linear on hostile shapes', () => {
  const megabytes10 = 10_000_000;
  test.each<[string, (bytes: number) => string]>([
    ['backslashes', (bytes) => `"${'\\\\'.repeat(bytes / 2)}"`],
    ['escaped quotes', (bytes) => `"${'\\"'.repeat(bytes / 2)}"`],
    ['unicode escapes', (bytes) => `"${'\\u0041'.repeat(bytes / 6)}"`],
    ['one long key', (bytes) => `{"${'k'.repeat(bytes)}":1}`],
    ['one long key of escapes', (bytes) => `{"${'\\n'.repeat(bytes / 2)}":1}`],
    ['a long number', (bytes) => '1'.repeat(bytes)],
    ['blanks', (bytes) => `[${' \n'.repeat(bytes / 2)}]`],
    ['empty arrays', (bytes) => `[${'[],'.repeat(bytes / 3)}[]]`],
    ['short strings', (bytes) => `[${'"",'.repeat(bytes / 3)}""]`],
    ['strings just long enough for words', (bytes) => `[${`"${'a'.repeat(19)}",`.repeat(bytes / 22)}""]`],
    ['an open string', (bytes) => `"${'a\\\\'.repeat(bytes / 3)}`],
    ['members one level down', (bytes) => `[{${'"":0,'.repeat(bytes / 5)}"":0}]`],
  ])('%s', (_shape, make) => {
    const bytes = Buffer.from(make(megabytes10));
    const before = performance.now();
    scanJson(bytes, { nestingMax: 64 });
    // Tens of milliseconds on an idle machine; the bound is for a busy one.
    expect(performance.now() - before).toBeLessThan(5000);
  });
});
