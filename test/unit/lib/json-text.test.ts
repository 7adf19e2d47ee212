import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ScannedJson, scanJson } from '../../../src/lib/json-scan.ts';
import { cutMembers, memberText, repeatsKey } from '../../../src/lib/json-text.ts';
import { latin1, utf8Of } from '../../../src/lib/pieces.ts';
import { jsonKeys, jsonTexts, trimJson } from '../../helpers/json-arbitraries.ts';

function scanned(bytes: Uint8Array): ScannedJson {
  const scan = scanJson(bytes, { nestingMax: 1000 });
  if (!scan.ok) throw new Error(`${scan.reason} at ${scan.offset}`);
  return scan;
}

function cut(text: string, drop: (key: string) => boolean = () => false): string {
  const bytes = Buffer.from(text);
  const scan = scanned(bytes);
  const rest = utf8Of(cutMembers(bytes, scan, drop));
  expect(utf8Of(cutMembers(latin1(bytes), scan, drop)), 'the same of a text').toBe(rest);
  expect(bytes.toString(), 'what is shared stays as it is').toBe(text);
  expect(utf8Of(cutMembers(bytes, scan, drop, 'own')), 'the same of its own bytes').toBe(rest);
  return rest;
}

const isEngineData = (key: string) => key.startsWith('spiff__');

describe('cutMembers', () => {
  test.each([
    ['{"spiff__a":1,"b":2}', '{"b":2}'],
    ['{"b":2,"spiff__a":1}', '{"b":2}'],
    ['{"a":1, "spiff__x": {"y":[1,2]} , "b":2 }', '{"a":1 , "b":2 }'],
    ['{ "spiff__a" : 1 , "spiff__b":2 }', '{  }'],
    ['{"\\u0073piff__a":1,"b":2}', '{"b":2}'],
    ['{"a":{"spiff__kept":1}}', '{"a":{"spiff__kept":1}}'],
    ['{"n":1.0,"big":123456789012345678901234567890,"10":1,"9":2,"s":"\\ud800"}', undefined],
  ])('%s', (text, expected) => {
    expect(cut(text, isEngineData)).toBe(expected ?? text);
  });

  test('a key that occurs twice stands in its first place with its last value, as Python has it', () => {
    expect(cut('{"a":1,"b":2,"a":3}')).toBe('{"a":3,"b":2}');
    expect(cut('{"a":1,"\\u0061":[2]}')).toBe('{"\\u0061":[2]}');
    expect(cut('{"spiff__x":0,"a":1,"a":2,"spiff__x":1,"__proto__":3,"__proto__":4}', isEngineData)).toBe('{"a":2,"__proto__":4}');
  });

  test('raw line breaks between tokens become spaces, escaped ones stay', () => {
    expect(cut('{\r\n  "a": "x\\ny",\n  "spiff__b": 1\n}\n', isEngineData)).toBe('{    "a": "x\\ny" }');
    expect(cut('{\n"a":\r1}')).toBe('{ "a": 1}');
  });

  test('nothing to change gives a view, not a copy, and the caller’s bytes are never written to', () => {
    const bytes = Buffer.from(' {"a": 1}\n');
    const text = cutMembers(bytes, { ...scanned(bytes), hasLineBreak: false }, () => false);
    expect(text).toMatchObject({ buffer: bytes.buffer });
    expect(utf8Of(text)).toBe('{"a": 1}');
    const pretty = Buffer.from('{\n"a":1}');
    cutMembers(pretty, scanned(pretty), () => false);
    expect(pretty.toString()).toBe('{\n"a":1}');
  });

  test('of its own bytes what stays is moved together within them, and the largest part not at all', () => {
    const value = JSON.stringify('x'.repeat(100_000));
    const bytes = Buffer.from(`{"a":1,"spiff__b":2,"c":${value},"spiff__d":3,\n"e":4}`);
    const rest = cutMembers(bytes, scanned(bytes), isEngineData, 'own');
    expect(rest).toMatchObject({ buffer: bytes.buffer });
    expect(utf8Of(rest)).toBe(`{"a":1,"c":${value}, "e":4}`);
    expect(bytes.toString().indexOf(value)).toBe('{"a":1,"spiff__b":2,"c":'.length);
    const pretty = Buffer.from('{\n"a":1}');
    expect(cutMembers(pretty, scanned(pretty), () => false, 'own')).toMatchObject({ buffer: pretty.buffer });
  });

  test('is the same object without the members, on one line, for any object', () => {
    const object = fc.array(fc.tuple(jsonKeys(), jsonTexts(2)), { maxLength: 8 });
    void fc.assert(
      fc.property(object, (members) => {
        const text = `{\n${members.map(([key, value]) => `${key} :${value}`).join(' ,\n')} }`;
        const drop = (key: string) => key.startsWith('spiff__') || key === 'b';
        const result = cut(text, drop);
        expect(result).not.toMatch(/[\r\n]/);
        const expected = new Map(members.map(([key, value]) => [JSON.parse(key) as string, trimJson(value).replace(/[\r\n]/g, ' ')]));
        for (const key of [...expected.keys()]) if (drop(key)) expected.delete(key);
        const bytes = Buffer.from(result);
        const found = scanned(bytes).members.map((member) => [member.key, utf8Of(memberText(bytes, member, false))]);
        expect(found).toEqual([...expected]);
      }),
      { numRuns: 200 },
    );
  });

  test('cuts 8 MB of engine data without parsing it', () => {
    const bytes = Buffer.from(`{"a":1,"spiff__task_data":{"rows":[${'{"x":"0123456789"},'.repeat(400_000)}null]}}`);
    expect(utf8Of(cutMembers(bytes, scanned(bytes), isEngineData))).toBe('{"a":1}');
  });

  test('many members, all twice, take linear time', () => {
    const half = Array.from({ length: 30_000 }, (_, index) => `"k${index}":${index}`).join(',');
    const text = cut(`{${half},${half}}`);
    expect(text).toBe(`{${half}}`);
  });
});

describe('memberText', () => {
  test('is a view of one line, or a copy with spaces for line breaks', () => {
    const bytes = Buffer.from('{"a": [1, 2.0], "b": {\n"c": "\\n"\r\n}}');
    const [a, b] = scanned(bytes).members;
    const text = memberText(bytes, a!, true);
    expect(utf8Of(text)).toBe('[1, 2.0]');
    expect(text).toMatchObject({ buffer: bytes.buffer });
    expect(utf8Of(memberText(bytes, b!, true))).toBe('{ "c": "\\n"  }');
    expect(memberText(latin1(bytes), a!, true)).toBe('[1, 2.0]');
    expect(memberText(latin1(bytes), b!, true)).toBe('{ "c": "\\n"  }');
    expect(bytes.includes(0x0a)).toBe(true);
  });
});

describe('repeatsKey', () => {
  test.each([2, 8, 9, 100])('tells whether one of %d keys occurs twice', (count) => {
    const members = Array.from({ length: count }, (_, index) => ({ key: `k${index}`, memberStart: 0, valueStart: 0, valueEnd: 0 }));
    expect(repeatsKey(members)).toBe(false);
    expect(repeatsKey([...members.slice(1), members.at(-1)!])).toBe(true);
  });
});
