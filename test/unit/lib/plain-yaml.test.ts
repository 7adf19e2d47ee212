import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPlainYaml } from '../../../src/lib/plain-yaml.ts';
import { readAnyYaml, readYaml } from '../../../src/lib/yaml-source.ts';

const depthMax = 20;
const root = join(import.meta.dirname, '../../..');
const written = [
  ...['example', 'example-python', 'example-shell', 'http'].map((name) => `connector-images/${name}/connector.yaml`),
  'examples/quickstart/bulkhead.yaml',
].map((file) => readFileSync(join(root, file), 'utf8'));

/** A plain text must be one that the full parser accepts, as the same value with its keys in the same order. */
function expectSame(text: string): void {
  const plain = readPlainYaml(text, depthMax);
  if (plain === undefined) return;
  const full = readAnyYaml({ file: 'a.yaml', text, depthMax });
  if (!full.ok) expect.fail(`the full parser refuses it: ${full.faults[0]?.message}\n${text}`);
  expect(plain.value, text).toEqual(full.value);
  expect(JSON.stringify(plain.value)).toBe(JSON.stringify(full.value));
}

describe('plain YAML', () => {
  it.each(written.map((text) => [text.slice(0, 40), text]))('is what people write: %s', (_, text) => {
    expect(readPlainYaml(text, depthMax)).toBeDefined();
    expectSame(text);
  });

  it.each([
    ['a: 1\nb: -12\nc: 1.5\nd: 0.25\ne: 1.2.0\nf: 5m\ng: 256MiB\n', { a: 1, b: -12, c: 1.5, d: 0.25, e: '1.2.0', f: '5m', g: '256MiB' }],
    ['a: true\nb: false\nc: null\nd:\ne: yes\nf: ""\n', { a: true, b: false, c: null, d: null, e: 'yes', f: '' }],
    ['a:\n- 1\n- b: 2\n  c: 3\n-\n  - d\n-\nb: 1\n', { a: [1, { b: 2, c: 3 }, ['d'], null], b: 1 }],
    ['a: { b: [1, "x, y"], c: {}, d: [] } # why\n', { a: { b: [1, 'x, y'], c: {}, d: [] } }],
    ["a: 'it''s' # said\nb: \"a\\nb\"\nc: http://a:80/#b # c\n", { a: "it's", b: 'a\nb', c: 'http://a:80/#b' }],
    ['# first\n\na: # below\n  # more\n  b: c d\n', { a: { b: 'c d' } }],
    ['- a\n-   b: 1\n    c: 2\n', ['a', { b: 1, c: 2 }]],
  ])('%j', (text, value) => {
    expect(readPlainYaml(text, depthMax)).toEqual({ value });
    expectSame(text);
  });

  it.each([
    ['an anchor', 'a: &x 1\nb: *x\n'],
    ['a tag', 'a: !!str 1\n'],
    ['a key twice', 'a: 1\na: 2\n'],
    ['a key twice in braces', 'a: { b: 1, b: 2 }\n'],
    ['a key __proto__', '__proto__: 1\n'],
    ['a key that is no text', 'null: 1\n'],
    ['two documents', 'a: 1\n---\nb: 1\n'],
    ['a directive', '%YAML 1.2\n---\na: 1\n'],
    ['a tab', 'a:\tb\n'],
    ['text on two lines', 'a: b\n  c\n'],
    ['a block of text', 'a: |\n  b\n'],
    ['braces over two lines', 'a: {\n  b: 1 }\n'],
    ['an odd number', 'a: 0o17\n'],
    ['a number that is not exact', 'a: 123456789012345678\n'],
    ['an infinity', 'a: .inf\n'],
    ['a list in a line', '- - a\n'],
    ['a mapping in a line', 'a: b: c\n'],
    ['wrong indentation', 'a:\n    b: 1\n  c: 2\n'],
    ['too much nesting', Array.from({ length: 30 }, (_, index) => `${' '.repeat(index)}a:`).join('\n')],
    ['nothing', '# only this\n'],
    ['a wide space at the end of a text', 'a: b\u3000\n'],
    ['a mark of Ogham, a space to JavaScript', 'a: b\u1680\n'],
    ['a mathematical space', '\u205fa: b\n'],
  ])('%s is left to the full parser', (_, text) => {
    expect(readPlainYaml(text, depthMax)).toBeUndefined();
  });

  it('agrees with the full parser on lines that resemble YAML', () => {
    const piece = fc.constantFrom(
      ...['a', 'b', 'key', 'true', 'null', '1', '-1', '1.50', '0x1', '"', "'", '"x"', "'y'", ':', ': ', ' ', '  ', '- ', '-', '#', ' # c'],
      ...[
        '{',
        '}',
        '[',
        ']',
        ', ',
        ',',
        '~',
        '.',
        '*',
        '&',
        '!',
        '|',
        '>',
        '?',
        '%',
        '@',
        '`',
        '\\',
        '\n',
        '\n  ',
        '\n- ',
        'é',
        '<<',
        '://',
      ],
      ...['a: ', 'b: ', '\na: ', '\n  b: ', '\n  - ', '{ a: ', '[a, ', ' }', '1e3', '+1', '.5', '_', '$', '/'],
    );
    const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
    void fc.assert(fc.property(text, expectSame), { numRuns: 20_000 });
  }, 120_000);

  it('agrees with the full parser on what is written, with a few characters changed', () => {
    const character = fc.oneof(
      fc.constantFrom(...'\n :-#{}[],"\'\\&*!|>%@?a1.~\t\r\0'),
      fc.string({ unit: 'grapheme-composite', maxLength: 1 }),
    );
    const edit = fc.record({ at: fc.nat(), removed: fc.nat(2), character });
    const lines = fc.constantFrom(...written).chain((whole) => {
      const all = whole.split('\n');
      return fc.tuple(fc.nat(all.length), fc.nat(12)).map(([from, count]) => dedented(all.slice(from, from + count + 1)));
    });
    const text = fc.tuple(lines, fc.array(edit, { maxLength: 3 })).map(([start, edits]) => {
      return edits.reduce((current, { at, removed, character: added }) => {
        const place = at % (current.length + 1);
        return current.slice(0, place) + added + current.slice(place + removed);
      }, start);
    });
    void fc.assert(fc.property(text, expectSame), { numRuns: 10_000 });
  }, 120_000);

  it('is found again by the full parser when a place is asked for', () => {
    const read = readYaml({ file: 'a.yaml', text: 'a:\n  - b: 1\n    c: 2\n', bytesMax: 1000, depthMax });
    if (!read.ok) expect.fail();
    expect(read.source.locate(['a', 0, 'c'])).toEqual({ line: 3, column: 8 });
    expect(read.source.locate(['a', 0, 'c'], true)).toEqual({ line: 3, column: 5 });
  });
});

function dedented(lines: readonly string[]): string {
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length);
  const least = Math.min(...indents);
  return lines.map((line) => line.slice(Number.isFinite(least) ? least : 0)).join('\n');
}
