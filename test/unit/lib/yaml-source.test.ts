import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aliasesMax, readYaml } from '../../../src/lib/yaml-source.ts';

const read = (text: string) => readYaml({ file: 'a.yaml', text, bytesMax: 100_000, depthMax: 20 });

function faultsOf(text: string): readonly { line: number; column: number; message: string; repair: string }[] {
  const result = read(text);
  return result.ok ? expect.fail(`accepted: ${JSON.stringify(result.value).slice(0, 200)}`) : result.faults;
}

const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${['b', 'c', 'd', 'e', 'f', 'g'].map((name, index) => `${name}: &${name} [${new Array(9).fill(`*${'abcdef'[index]}`).join(', ')}]`).join('\n')}\n`;

describe('hostile or doubtful YAML is refused', () => {
  it.each([
    ['an alias bomb', bomb, /anchors and aliases/, 1],
    [
      `more than ${aliasesMax} uses of an anchor`,
      `a: &a [1]\nb: [${new Array(aliasesMax + 10).fill('*a').join(', ')}]`,
      /anchors and aliases/,
      1,
    ],
    ['an alias of nothing', 'a: *b\n', /anchors and aliases|not YAML/, 1],
    ['a duplicate key', 'a: 1\nb: 2\na: 3\n', /twice/, 3],
    ['a duplicate key of a JSON object', '{"a": 1,\n "a": 2}', /twice/, 2],
    ['a key that is a number, and as text', '{ 1: x,\n "1": y }', /twice/, 2],
    ['a key that is true, and as text', 'true: x\na: 1\n"true": y\n', /twice/, 3],
    ['a custom tag', 'a: 1\nb: !!js/function "x"\n', /tag/, 2],
    ['a tag of one’s own', 'a: !secret x\n', /tag/, 1],
    ['a key __proto__', 'a: 1\n__proto__: { b: 1 }\n', /__proto__/, 2],
    ['a key that is a list', '? [a, b]\n: 1\n', /no text/, 1],
    ['a key that is null', '~: 1\n', /no text/, 1],
    ['an infinity', 'a:\n  - .inf\n', /number that JSON/, 2],
    ['a NaN', 'b: 1\na: .nan\n', /number that JSON/, 2],
    ['a whole number that is not exact', 'a: 1\nb: 12345678901234567890\n', /digits would be lost/, 2],
    ['a negative one', 'a: [-9007199254740993]\n', /digits would be lost/, 1],
    ['a hexadecimal one', 'a: 0xffffffffffffffff\n', /digits would be lost/, 1],
    ['one as a key', 'a: 1\n12345678901234567890: b\n', /digits would be lost/, 2],
    ['two documents', 'a: 1\n---\nb: 1\n', /more than one document/, 2],
    ['a tab as indentation', 'a:\n\tb: 1\n', /tab/, 2],
    ['an unclosed bracket', 'a: [1,\n', /not YAML/, 2],
    ['a million brackets', '['.repeat(90_000), /nests deeper/, 1],
    ['compact lists', `${'- '.repeat(40_000)}a`, /nests deeper/, 1],
    ['compact keys', `${'? '.repeat(40_000)}a`, /nests deeper/, 1],
    ['keys of keys', `${'a: '.repeat(30_000)}a`, /nests deeper/, 1],
    ['keys of keys in brackets', `[${'"a": '.repeat(15_000)}a]`, /nests deeper/, 1],
    ['lists in brackets that are none', `{${'- , '.repeat(20_000)}a}`, /nests deeper/, 1],
    ['deep block mappings', Array.from({ length: 300 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'), /nests deeper/, undefined],
    ['too many bytes', `a: ${'x'.repeat(100_001)}`, /larger than 100000 bytes/, 1],
  ] as const)('%s', (_, text, message, line) => {
    const startedAt = performance.now();
    const [fault] = faultsOf(text);
    expect(fault?.message).toMatch(message);
    if (line !== undefined) expect(fault?.line).toBe(line);
    expect(fault?.repair).not.toBe('');
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

describe('readYaml', () => {
  it('reads plain data, and finds its places', () => {
    const result = read('a:\n  - b: yes\n    c: 012\n"d": &x [1.0, null]\ne: *x\n');
    if (!result.ok) expect.fail(result.faults[0]?.message);
    expect(result.value).toEqual({ a: [{ b: 'yes', c: 12 }], d: [1, null], e: [1, null] });
    expect(result.source.locate(['a', 0, 'c'])).toEqual({ line: 3, column: 8 });
    expect(result.source.locate(['a', 0, 'c'], true)).toEqual({ line: 3, column: 5 });
    expect(result.source.locate(['e', 0])).toEqual({ line: 4, column: 10 });
    expect(result.source.locate(['a', 0, 'missing', 'deeper'])).toEqual({ line: 2, column: 5 });
    expect(result.source.locate(['missing'])).toEqual({ line: 1, column: 1 });
  });

  it('reads numbers up to 2^53, and larger ones in quotes or with an exponent', () => {
    const text = 'a: [9007199254740991, -9007199254740991, "12345678901234567890", 1e20, 0.1234567890123456]\n';
    expect(read(text)).toMatchObject({
      ok: true,
      value: { a: [9007199254740991, -9007199254740991, '12345678901234567890', 1e20, 0.1234567890123456] },
    });
  });

  it('reads JSON on one line, however many keys it has', () => {
    const command = (index: number) => ({ name: `C${index}`, parameters: { type: 'object', properties: { a: { type: 'string' } } } });
    const value = { commands: Array.from({ length: 500 }, (_, index) => command(index)) };
    // As Python writes it.
    const text = JSON.stringify(value).replaceAll('":', '": ').replaceAll(',"', ', "').replaceAll('},{', '}, {');
    expect(text).toMatch(/^\{"commands": \[\{"name": "C0", "parameters": /);
    expect(read(text)).toMatchObject({ ok: true, value });
  });

  it('looks each of very many keys up, and compares none with all others', () => {
    const keys = Array.from({ length: 40_000 }, (_, index) => `"\\x6b${index}": 1`);
    const text = [...keys, '"\\x6b7": 2', ''].join('\n');
    const result = readYaml({ file: 'x.yaml', text, bytesMax: 1 << 20, depthMax: 8 });
    expect(result).toMatchObject({ ok: false, faults: [{ line: 40_001, message: 'has this key twice' }] });
  });

  it('tells several faults of syntax at once', () => {
    expect(faultsOf('a: 1\na: 2\nb: !x 1\n').map(({ line }) => line)).toEqual([2, 3]);
  });

  it('never throws on any text, and always names a place', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.stringMatching(/^[-?:a{}[\]&*!|>'"#%@`,\n ]{0,80}$/)),
        (text) => {
          const result = read(text);
          if (!result.ok) for (const { line, column } of result.faults) expect(Math.min(line, column)).toBeGreaterThan(0);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
