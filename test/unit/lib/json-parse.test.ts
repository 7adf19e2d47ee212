import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../../src/lib/json-parse.ts';
import { scanJson } from '../../../src/lib/json-scan.ts';
import { jsonKeys, jsonTexts } from '../../helpers/json-arbitraries.ts';

describe('parseJson', () => {
  test('reads keys of one escape after a backslash was met as a key', () => {
    // JSON.parse itself gives a backslash for some of these (nodejs/node#63785).
    parseJson('{"h":[],"\\\\":0}');
    expect(Object.keys(parseJson('{"h":1,"\\"":2}') as object)).toEqual(['h', '"']);
    expect(Object.keys(parseJson('{"h":1,"\\u00e9":2, "\\n" :3}') as object)).toEqual(['h', 'é', '\n']);
    expect(parseJson('[{"\\u0061":{"\\u0062"\n:1}},"\\n",{"x":"\\"\\n","y\\"\\n":2}]')).toEqual([
      { a: { b: 1 } },
      '\n',
      { x: '"\n', 'y"\n': 2 },
    ]);
  });

  test('the last of a key given twice wins, however each is written, and __proto__ stays a key', () => {
    expect(parseJson('{"a":1,"b":2,"\\u0061":3}')).toEqual({ a: 3, b: 2 });
    expect(Object.keys(parseJson('{"\\n":1,"__proto__":2}') as object)).toEqual(['\n', '__proto__']);
    const parsed = parseJson('{"\\n":1,"__proto__":{"\\t":[{"\\r":2}]}}') as object;
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
    expect(Object.entries(parsed)).toEqual([
      ['\n', 1],
      ['__proto__', { '\t': [{ '\r': 2 }] }],
    ]);
  });

  test('reads as many levels as a scan may let pass', () => {
    interface Nested {
      readonly é: readonly Nested[];
    }
    const levels = 10_000;
    const text = '{"\\u00e9":['.repeat(levels / 2) + ']}'.repeat(levels / 2);
    let depth = 0;
    for (let value = parseJson(text) as Nested | undefined; value !== undefined; value = value.é[0]) depth += 2;
    expect(depth).toBe(levels);
  });

  test('has the keys that the scanner has', () => {
    const object = fc.array(fc.tuple(jsonKeys(), jsonTexts(1)), { maxLength: 8 });
    void fc.assert(
      fc.property(object, (members) => {
        const text = `{${members.map(([key, value]) => `${key} :${value}`).join(', ')}}`;
        const scan = scanJson(Buffer.from(text), { nestingMax: 100 });
        if (!scan.ok) throw new Error(scan.reason);
        expect(new Set(Object.keys(parseJson(text) as object))).toEqual(new Set(scan.members.map(({ key }) => key)));
      }),
      { numRuns: 300 },
    );
  });

  test('throws like JSON.parse', () => {
    expect(() => parseJson('{"\\n":')).toThrow(SyntaxError);
    expect(() => parseJson('{"\\x":1}')).toThrow(SyntaxError);
  });
});
