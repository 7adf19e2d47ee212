import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GrowingScan } from '../../../src/lib/growing-scan.ts';
import { type ScanOptions, type ScanResult, scanJson } from '../../../src/lib/json-scan.ts';
import { parsesAsJson } from '../../helpers/json-arbitraries.ts';

// What is judged 64 bytes at once: texts that JSON.stringify or json.dumps wrote, and such with a few bytes wrong.

const options: ScanOptions = { nestingMax: 12 };
const runs = 4000;

/** In steps that are shorter than a block, so that every byte is looked at alone. */
function scanByBytes(bytes: Uint8Array): ScanResult {
  const scan = new GrowingScan(options);
  for (let end = 1; end <= bytes.length; end += 7) scan.advance(bytes.subarray(Math.max(0, end - 7), end));
  return scan.finish(bytes);
}

function values(): fc.Arbitrary<unknown> {
  const text = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('', 'ä€😀', ' ,:{}[]', 'x'.repeat(70), ', "a": [', 'true', '-1.5'));
  const scalar = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -1, 0.5, 10, -0.25, 1e21, true, false, null),
    text,
  );
  return fc.letrec<{ any: unknown; object: unknown; array: unknown }>((tie) => ({
    any: fc.oneof({ maxDepth: 5 }, scalar, scalar, tie('object'), tie('array')),
    object: fc.array(fc.tuple(text, tie('any')), { maxLength: 6 }).map((members) => Object.fromEntries(members)),
    array: fc.array(tie('any'), { maxLength: 6 }),
  })).any;
}

/** As Python's json.dumps writes it, whose separators have a blank. */
function dumps(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${dumps(inner)}`);
  return `{${members.join(', ')}}`;
}

/** Long enough for blocks, and below the outermost level. */
function texts(): fc.Arbitrary<string> {
  const inner = fc.array(values(), { minLength: 3, maxLength: 12 });
  return fc.tuple(inner, fc.boolean(), fc.boolean()).map(([value, isPython, isKept]) => {
    const write = isPython ? dumps : JSON.stringify;
    return `{"rows":${write(value)}${isKept ? `,"more":${write([value, value])}` : ''}}`;
  });
}

const marks = '{}[]",:\\u019-+.eE tfnrulas\n\x1f ';

function broken(): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('replace', 'insert', 'remove', 'swap'),
    byte: fc.constantFrom(...Buffer.from(marks)),
  });
  return fc.tuple(texts(), fc.array(edit, { minLength: 1, maxLength: 3 })).map(([text, edits]) =>
    edits.reduce<Buffer>((bytes, { at, kind, byte }) => {
      const place = at % bytes.length;
      const [before, rest] = [bytes.subarray(0, place), bytes.subarray(place)];
      if (kind === 'insert') return Buffer.concat([before, Buffer.of(byte), rest]);
      if (kind === 'replace') return Buffer.concat([before, Buffer.of(byte), rest.subarray(1)]);
      if (kind === 'remove') return Buffer.concat([before, rest.subarray(1)]);
      return Buffer.concat([before, rest.subarray(0, 2).reverse(), rest.subarray(2)]);
    }, Buffer.from(text)),
  );
}

describe('the same as byte by byte, and as JSON.parse', () => {
  test('of JSON', () => {
    void fc.assert(
      fc.property(texts(), (text) => {
        const bytes = Buffer.from(text);
        expect(scanJson(bytes, options)).toEqual(scanByBytes(bytes));
      }),
      { numRuns: runs },
    );
  });

  test('of JSON with a few bytes wrong', () => {
    void fc.assert(
      fc.property(broken(), (bytes) => {
        const result = scanJson(bytes, options);
        expect(result).toEqual(scanByBytes(bytes));
        const isTooDeep = !result.ok && result.reason.includes('nested');
        if (!isTooDeep) expect(result.ok).toBe(parsesAsJson(bytes));
      }),
      { numRuns: runs },
    );
  });
});

/** Behind a head of every length, so that what is wrong stands at each place of a block, and across its end. */
function atEveryPlace(middle: string): readonly ScanResult[] {
  return Array.from({ length: 70 }, (_, length) => {
    const row = `{"id":1,"name":"Ann","tags":["a","b"],"none":null}`;
    const text = `{"rows":["${'x'.repeat(length)}",${row},${middle},${row},${row},${row}]}`;
    const bytes = Buffer.from(text);
    expect(scanJson(bytes, options)).toEqual(scanByBytes(bytes));
    return scanJson(bytes, options);
  });
}

/** Two blanks between them. */
function listed(...lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => line.split('  '));
}

describe('wherever it stands', () => {
  test.each([
    ...listed('0.5  -0  -12.25  1e5  1E+2  1  true  false  null  ""  "a\u007f"  "€"', '[]  {}  [{}]  [ 1]  [1 ]  [1 ,2]  [[1,2],[3]]'),
    ...listed('{"a":[]}  {"":""}  {"a":{"b":[{"c":1}]}}  {"a": 1, "b": [1, 2]}  {"a" :1}  {"a":1 }'),
    '"\\n"',
  ])('%s is JSON', (middle) => {
    expect(atEveryPlace(middle).every(({ ok }) => ok)).toBe(true);
  });

  test.each([
    ...listed(
      '01  -01  00.5  1.  .5  1.2.3  -  --1  +1  1-  1.-5  1a  1_0  1.5.',
      'tru  truex  true1  true.5  nul  falsee  nulltrue  1true  NaN',
    ),
    ...listed(
      '1 2  "a" "b"  "a""b"  "a"1  1"a"  1 "a"  [1]2  [1][2]  [1] [2]  {}{}',
      ',  1,,2  [,1]  [1,]  [1, ]  {,}  {"a":1,}  {"a":1, }',
    ),
    ...listed('{"a":}  {"a": }  {"a"}  {"a",1}  {1:2}  {"a":1:2}  {"a":"b":"c"}  {:1}  ["a":1]  "a":1  {true:1}  [1:2]'),
    ...listed('{"a":1 "b":2}  {"a":1,"b"}  {"a":1,2}  {"a":1,[2]:3}  {"a":1,{}:3}', '[1}  {"a":1]  {]  [}  ]  }  [[1}'),
    ...['"a\tb"', '"a\nb"', '"a\u001fb"', '\u00a01'],
  ])('%s is none', (middle) => {
    expect(atEveryPlace(middle).some(({ ok }) => ok)).toBe(false);
  });
});

test('the limit of nesting holds, and what a block that failed had done is undone', () => {
  const nested = (depth: number): string => `{"a":${'['.repeat(depth)}1${']'.repeat(depth)}}`;
  for (const depth of [options.nestingMax - 1, options.nestingMax, 40, 100]) {
    for (const before of ['', '{"b":[1,{"c":2}]},'.repeat(20)]) {
      const bytes = Buffer.from(`{"x":[${before}${nested(depth - 3)},1]}`);
      const result = scanJson(bytes, options);
      expect(result).toEqual(scanByBytes(bytes));
      expect(result.ok).toBe(depth <= options.nestingMax);
    }
  }
  const closing = Buffer.from(`{"x":[[{"a":[{"b":[${'1,'.repeat(30)}1]}]}],[{"c":[[1}]]]}`);
  expect(scanJson(closing, options)).toEqual(scanByBytes(closing));
});
