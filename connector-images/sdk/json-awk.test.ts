import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { folderOf } from '../start-connector.ts';

const script = `${folderOf('sdk')}json.awk`;
// Whatever of these the machine has; `awk` itself always.
const awks = [['awk'], ['mawk'], ['gawk'], ['busybox', 'awk'], ['original-awk']].filter(
  ([program = '', ...rest]) => spawnSync(program, [...rest, 'BEGIN { exit 0 }'], { stdio: 'ignore' }).status === 0,
);

function run([program = '', ...rest]: readonly string[], mode: string, input: string, pointers: readonly string[] = []): string {
  const { stdout, stderr, status } = spawnSync(program, [...rest, '-v', `mode=${mode}`, '-f', script, ...pointers], {
    input,
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 1 << 27,
  });
  expect(stderr.toString()).toBe('');
  expect(status).toBe(0);
  return stdout.toString();
}

/**
 * JSON text with whitespace and escapes of every kind. Names come from a small set, so pointers hit, and names repeat.
 * None is a single backslash: V8 14.6's JSON.parse, our oracle, then reads the key of {"a":0,"\\u0061":0} as that backslash.
 */
const names = ['a', 'b', 'a b', 'ü', 'a/b', 'a~b', '', '"', '\\b', '0', '10', '{', ','];
const space = fc.constantFrom('', '', '', ' ', '\n', '\t \r\n');
const written = (value: string) =>
  fc
    .boolean()
    .map((escaping) =>
      escaping
        ? `"${[...value].map((c) => (c.length > 1 ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)).join('')}"`
        : JSON.stringify(value),
    );
const name = fc.constantFrom(...names).chain(written);
const texts = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      '0',
      '-0',
      '1.0',
      '1e400',
      '123456789012345678901234567890',
      'true',
      'false',
      'null',
      '""',
      '"\\\\"',
      '"a\\"b"',
      '"\\\\\\""',
      '"[{,:}]"',
      '"\\ud800"',
    ),
    fc.string({ unit: 'grapheme' }).chain(written),
    fc.array(fc.tuple(space, tie('value'), space), { maxLength: 4 }).map((items) => `[${items.map((part) => part.join('')).join(',')}]`),
    fc
      .array(fc.tuple(space, name, space, fc.constant(':'), space, tie('value'), space), { maxLength: 5 })
      .map((members) => `{${members.map((part) => part.join('')).join(',')}}`),
  ),
})).value;
const pointers = fc.array(
  fc
    .array(fc.constantFrom(...names, '1', '2'), { maxLength: 3 })
    .map((steps) => steps.map((s) => `/${s.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')),
  { minLength: 1, maxLength: 5 },
);

function lookUp(document: unknown, pointer: string): unknown {
  let value = document;
  for (const step of pointer.split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key) || (Array.isArray(value) && !/^\d+$/.test(key)))
      return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

describe.each(awks.map((awk) => [awk.join(' '), awk] as const))('json.awk under %s', (_, awk) => {
  it('finds what JSON.parse finds, for any document and pointer', () => {
    fc.assert(
      fc.property(texts, pointers, (document, asked) => {
        const lines = run(awk, 'get', document, asked).split('\n').slice(0, -1);
        const parsed: unknown = JSON.parse(document);
        expect(lines.map((line) => (line === '' ? undefined : JSON.parse(line)))).toEqual(asked.map((pointer) => lookUp(parsed, pointer)));
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it('gives the text itself: digits, escapes and inner spaces as they were', () => {
    const document = '{"input": {"n": [1.0, 1e400,-0,  1E2], "s": "\\ud800\\u00e9\\"\\\\", "big":123456789012345678901234567890}}';
    expect(run(awk, 'get', document, ['/input/n', '/input/s', '/input/big', '/input/none'])).toBe(
      '[1.0, 1e400,-0,  1E2]\n"\\ud800\\u00e9\\"\\\\"\n123456789012345678901234567890\n\n',
    );
  });

  it('lets the last of several members with one name count, with all that was in the first', () => {
    expect(run(awk, 'get', '{"a":{"b":1},"a":{}, "c":1, "\\u0063":2}', ['/a/b', '/a', '/c'])).toBe('\n{}\n2\n');
  });

  it('encodes any text, and decodes it again', () => {
    const text = fc
      .string({ unit: 'binary' })
      .map((s) => s.toWellFormed().replaceAll('\0', ''))
      .filter((s) => !s.endsWith('\n'));
    fc.assert(
      fc.property(text, (value) => {
        expect(JSON.parse(run(awk, 'encode', value))).toBe(value);
        expect(run(awk, 'decode', JSON.stringify(value))).toBe(value);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('takes time in proportion to the input', () => {
    const document = (items: number) =>
      `{"input":{"list":[${Array.from({ length: items }, (_, i) => `{"k\\\\":"v\\"${i}"}`).join(',')}],"x":"${'y'.repeat(items * 10)}"}}`;
    const time = (input: string) => {
      const start = performance.now();
      expect(run(awk, 'get', input, ['/input/x']).length).toBeGreaterThan(10);
      return performance.now() - start;
    };
    const [small, large] = [document(4_000), document(32_000)];
    // Quadratic work would take 64 times as long; 8 is linear, and a loaded machine may double or triple it.
    expect(time(large)).toBeLessThan(Math.max(time(small), 20) * 32);
  }, 60_000);

  it.each(['a\t', '\u0001\u007f', 'a\n', '\n', '\\"', 'ü\r'])(
    'encodes and decodes much of %j at once',
    (unit) => {
      // Copying all that is there for each character took minutes.
      const text = `${unit.repeat(200_000)}.`;
      expect(JSON.parse(run(awk, 'encode', text))).toBe(text);
      expect(run(awk, 'decode', JSON.stringify(text))).toBe(text);
      expect(run(awk, 'get', `{"a":${'\n'.repeat(200_000)}1}`, ['/a'])).toBe('1\n');
    },
    60_000,
  );

  it('leaves off the last line break of what it encodes', () => {
    const encodings = ['', '\n', 'a', 'a\n', 'a\n\n'].map((text) => run(awk, 'encode', text));
    expect(encodings).toEqual(['""', '""', '"a"', '"a"', '"a\\n"']);
  });
});
