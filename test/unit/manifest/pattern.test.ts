import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundPattern, patternCharsMax, patternTextCharsMax } from '../../../src/manifest/pattern.ts';

describe('boundPattern accepts', () => {
  it.each([
    ['^[a-z]{2}$', ['ab'], ['abc', '']],
    ['^\\d{4}-\\d{2}-\\d{2}$', ['2026-11-24'], ['24.11.2026']],
    ['^(GET|POST|PUT)$', ['PUT'], ['PATCH']],
    ['^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$', ['a@b.c'], ['a@b']],
    ['foo', ['a foo b'], ['bar']],
    ['^a|b$', ['ax', 'xb'], ['xa']],
    ['^(?:ab)+$', ['abab'], ['aba']],
    ['^(?<year>\\d+)\\/?$', ['12/'], ['x']],
    ['^[\\]a(|]*$', [']a(|'], ['b']],
    ['^\\u{61}\\p{L}\\x41$', ['aéA'], ['aéB']],
    ['^https?://', ['https://x'], ['ftp://x']],
  ] as const)('%s', (pattern, matching, others) => {
    const result = boundPattern(pattern);
    if (!result.ok) expect.fail(result.message);
    const bounded = new RegExp(result.bounded, 'u');
    for (const text of matching) expect(bounded.test(text)).toBe(true);
    for (const text of others) expect(bounded.test(text)).toBe(false);
  });
});

describe('boundPattern refuses', () => {
  it.each([
    ['(a+)+$', /repeats a group/],
    ['^(a|a)*$', /repeats a group/],
    ['^(a|aa)+$', /repeats a group/],
    ['^(a?a?)*$', /repeats a group/],
    ['^(.*)*$', /repeats a group/],
    ['^([a-z]+-?)+$', /repeats a group/],
    ['^(?:(?:a{0,3})b?){2,}$', /repeats a group/],
    [`^${'a?'.repeat(30)}${'a'.repeat(30)}$`, /too long on some texts/],
    ['^.*.*.*.*.*x$', /too long on some texts/],
    ['^(a{0,20}){0,20}$', /too long on some texts/],
    ['^(?:(?:(?:){1000}){1000}){1000}$', /repeats too much/],
    ['^(?=a)b$', /looks ahead/],
    ['^(?<!a)b$', /looks ahead or behind/],
    ['^(a+)\\1$', /refers back/],
    ['^(?<x>a+)\\k<x>$', /refers back/],
    ['[', /not a regular expression/],
    ['\\', /not a regular expression/],
    ['a'.repeat(patternCharsMax + 1), /longer than 512/],
  ] as const)('%.40s', (pattern, message) => {
    const result = boundPattern(pattern);
    if (result.ok) expect.fail(`accepted as ${result.bounded}`);
    expect(result.message).toMatch(message);
    expect(result.repair).not.toBe('');
  });
});

const piece = fc.constantFrom(
  'a',
  'b',
  '.',
  '[ab]',
  '[^a]',
  '\\w',
  'a*',
  '.*',
  'a+',
  'a?',
  '(?:a|b)',
  '(a|ab)',
  '(?:ab)*',
  '(?:a){2,4}',
  '.{0,9}',
  '(?:a*)?',
  '^',
  '$',
);

describe('a bounded pattern', () => {
  it('says the same as the pattern on short text, and no on long text', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), fc.stringMatching(/^[abc]{0,40}$/), (pieces, text) => {
        const pattern = pieces.join('');
        const result = boundPattern(pattern);
        if (!result.ok) return;
        const bounded = new RegExp(result.bounded, 'u');
        expect(bounded.test(text)).toBe(new RegExp(pattern, 'u').test(text));
        expect(bounded.test('a'.repeat(result.textCharsMax + 1))).toBe(false);
      }),
    );
  });

  it('never takes long, on the worst texts that are known', () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const result = boundPattern(`${pieces.join('')}x`);
        if (!result.ok) return;
        const bounded = new RegExp(result.bounded, 'u');
        for (const unit of ['a', 'ab', 'b']) {
          const startedAt = performance.now();
          bounded.test(unit.repeat(patternTextCharsMax).slice(0, result.textCharsMax));
          expect(performance.now() - startedAt).toBeLessThan(3000);
        }
      }),
      { numRuns: 100 },
    );
  });
});
