import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GrowingScan } from '../../../src/lib/growing-scan.ts';
import type { GrowingScanOptions } from '../../../src/lib/json-machine.ts';
import { type ScanOptions, type ScanResult, scanJson } from '../../../src/lib/json-scan.ts';
import { jsonTexts, misaligned, mutatedJson, parsesAsJson } from '../../helpers/json-arbitraries.ts';

const deep: ScanOptions = { nestingMax: 1000 };

/** Scanned in chunks that end at each of the lengths, and are overwritten afterwards; they lie oddly in memory when `moves` says so. */
function grown(bytes: Uint8Array, lengths: readonly number[], options: GrowingScanOptions = deep, moves = false): ScanResult {
  const scan = new GrowingScan(options);
  let from = 0;
  for (const length of lengths.toSorted((a, b) => a - b)) {
    const part = new Uint8Array(bytes.subarray(from, length));
    const chunk = moves ? misaligned(part, length & 3) : part;
    scan.advance(chunk);
    chunk.fill(0xff);
    from = length;
  }
  return scan.finish(bytes);
}

function everyLength(bytes: Uint8Array): readonly number[] {
  return Array.from({ length: bytes.length }, (_, index) => index + 1);
}

describe('however a text is split, the result is that of the scan in one go', () => {
  test('of JSON', () => {
    void fc.assert(
      fc.property(jsonTexts(), fc.array(fc.nat(400), { maxLength: 6 }), fc.boolean(), (text, cuts, moves) => {
        const bytes = Buffer.from(text);
        const lengths = cuts.map((cut) => cut % (bytes.length + 1));
        expect(grown(bytes, lengths, deep, moves)).toEqual(scanJson(bytes, deep));
      }),
      { numRuns: 2000 },
    );
  });

  test('of JSON that comes byte by byte', () => {
    void fc.assert(
      fc.property(jsonTexts(), (text) => {
        const bytes = Buffer.from(text);
        expect(grown(bytes, everyLength(bytes))).toEqual(scanJson(bytes, deep));
      }),
      { numRuns: 1000 },
    );
  });

  test('of broken JSON, with the same words for what is wrong, and as JSON.parse has it', () => {
    void fc.assert(
      fc.property(mutatedJson(), fc.array(fc.nat(400), { maxLength: 4 }), (bytes, cuts) => {
        const lengths = cuts.map((cut) => cut % (bytes.length + 1));
        const result = grown(bytes, lengths);
        expect(result).toEqual(scanJson(bytes, deep));
        expect(result.ok).toBe(parsesAsJson(bytes));
        expect(grown(bytes, everyLength(bytes))).toEqual(result);
      }),
      { numRuns: 3000 },
    );
  });

  test('of a text behind which came what is no part of it', () => {
    const heldBytes = 2;
    const behind = fc.constantFrom('', '}', '}\r');
    void fc.assert(
      fc.property(jsonTexts(), behind, fc.array(fc.nat(400), { maxLength: 6 }), (text, more, cuts) => {
        const bytes = Buffer.from(text);
        const scan = new GrowingScan({ ...deep, heldBytes });
        const come = Buffer.from(text + more);
        let from = 0;
        for (const length of [...cuts.map((cut) => cut % (come.length + 1)), come.length].toSorted((a, b) => a - b)) {
          scan.advance(come.subarray(from, length));
          from = length;
        }
        expect(scan.finish(bytes)).toEqual(scanJson(bytes, deep));
      }),
      { numRuns: 1000 },
    );
  });

  test('of random bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((inner) => Buffer.concat([Buffer.from('"'), inner, Buffer.from('"')])),
      fc.array(fc.constantFrom(...Buffer.from('{}[]",:01-.eE \\u')), { maxLength: 14 }).map((list) => Buffer.from(list)),
    );
    void fc.assert(
      fc.property(bytes, (sample) => {
        expect(grown(sample, everyLength(sample))).toEqual(scanJson(sample, deep));
      }),
      { numRuns: 6000 },
    );
  });

  test.each([
    ['a number at the top', '1234567890'],
    ['a number with all its parts', '[-12.75e+10,0]'],
    ['an empty array', '[ ]'],
    ['an empty object', '{ }'],
    ['words', '[true,false,null,NaN,-Infinity]'],
    ['an escape', '{"\\u0061\\\\":"\\ud83d\\ude00\\""}'],
    ['sequences of two to four bytes', '["é€😀"]'],
    ['line breaks', '{\r\n"a"\r\n:\r\n1\r\n,\r\n"b":2}\r\n'],
    ['too deep', '[[[[1]]]]'],
    ['too many members', '{"a":1,"b":2,"c":3,"d":4}'],
    ['something behind it', '{"a":1} x'],
    ['nothing', '  '],
  ])('%s', (_name, text) => {
    const bytes = Buffer.from(text);
    const options = { nestingMax: 3, membersMax: 3, allowNonFinite: true };
    const expected = scanJson(bytes, options);
    expect(grown(bytes, everyLength(bytes), options)).toEqual(expected);
    for (let cut = 1; cut < bytes.length; cut += 1) expect(grown(bytes, [cut], options)).toEqual(expected);
  });

  test('of bytes that are not UTF-8, far into a long string', () => {
    const bytes = Buffer.from(`{"a":"${'é'.repeat(100_000)}"}`);
    bytes[150_001] = 0xff;
    const expected = scanJson(bytes, deep);
    expect(expected.ok).toBe(false);
    for (const step of [1000, 65_536, 100_001]) {
      const lengths = Array.from({ length: Math.floor(bytes.length / step) }, (_, index) => (index + 1) * step);
      expect(grown(bytes, lengths)).toEqual(expected);
    }
  });
});

describe('several scans that take turns', () => {
  test('do not know of one another', () => {
    const sample = fc.record({
      text: fc.oneof(
        jsonTexts().map((text) => Buffer.from(text)),
        mutatedJson(),
      ),
      stepBytes: fc.integer({ min: 1, max: 20 }),
    });
    void fc.assert(
      fc.property(fc.array(sample, { minLength: 2, maxLength: 4 }), (samples) => {
        const scans = samples.map(() => new GrowingScan(deep));
        const longest = Math.max(...samples.map(({ text, stepBytes }) => text.length / stepBytes));
        for (let turn = 1; turn < longest; turn += 1) {
          for (const [index, { text, stepBytes }] of samples.entries())
            scans[index]!.advance(text.subarray((turn - 1) * stepBytes, turn * stepBytes));
        }
        for (const [index, { text }] of samples.entries()) expect(scans[index]!.finish(text)).toEqual(scanJson(text, deep));
      }),
      { numRuns: 1000 },
    );
  });

  test('keep what is open, however deep', () => {
    const nested = (depth: number) => Buffer.from(`${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`);
    const [first, second] = [nested(400), nested(3)];
    const scans = [new GrowingScan(deep), new GrowingScan(deep)] as const;
    for (let length = 1; length < first.length; length += 7) {
      scans[0].advance(first.subarray(Math.max(0, length - 7), length));
      scans[1].advance(second.subarray(Math.max(0, length - 7), length));
    }
    expect(scans[0].finish(first)).toMatchObject({ ok: true, type: 'array' });
    expect(scans[1].finish(second)).toMatchObject({ ok: true, type: 'array' });
  });
});

describe('no step costs more than what is new', () => {
  const megabytes10 = 10_000_000;
  const chunkBytes = 65_536;

  test.each([
    ['records', (bytes: number) => `[${'{"id":1,"name":"x"},'.repeat(bytes / 20)}0]`],
    ['one long string', (bytes: number) => `{"a":"${'x'.repeat(bytes)}"}`],
    ['one long string of escapes', (bytes: number) => `{"a":"${'\\n'.repeat(bytes / 2)}"}`],
    ['one long string outside ASCII', (bytes: number) => `{"a":"${'é'.repeat(bytes / 2)}"}`],
    ['one long key', (bytes: number) => `{"${'k'.repeat(bytes)}":1}`],
  ])('%s', (_shape, make) => {
    const bytes = Buffer.from(make(megabytes10));
    const steps: number[] = [];
    const scan = new GrowingScan({ nestingMax: 64 });
    for (let length = chunkBytes; length < bytes.length; length += chunkBytes) {
      const before = performance.now();
      scan.advance(bytes.subarray(length - chunkBytes, length));
      steps.push(performance.now() - before);
    }
    const before = performance.now();
    expect(scan.finish(bytes).ok).toBe(true);
    steps.push(performance.now() - before);
    // A step takes about 0.2 ms; the median holds on a busy machine, and the whole in one step at the end would not pass.
    expect(steps.toSorted((a, b) => a - b)[steps.length >> 1]).toBeLessThan(5);
    expect(steps.at(-1)).toBeLessThan(100);
  });

  test.each([
    ['a long number', (bytes: number) => '1'.repeat(bytes)],
    ['blanks', (bytes: number) => `[${' '.repeat(bytes)}]`],
    ['a long number in an array', (bytes: number) => `[${'1'.repeat(bytes)}]`],
  ])('%s is linear, however finely it is split', (_shape, make) => {
    const bytes = Buffer.from(make(megabytes10));
    const scan = new GrowingScan({ nestingMax: 64 });
    const before = performance.now();
    for (let length = 1024; length < bytes.length; length += 1024) scan.advance(bytes.subarray(length - 1024, length));
    expect(scan.finish(bytes).ok).toBe(true);
    // Tens of milliseconds on an idle machine; read again at each of the ten thousand steps, it would take a minute.
    expect(performance.now() - before).toBeLessThan(5000);
  });
});
