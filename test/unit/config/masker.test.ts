import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMasker, mask, maskedCharsMin } from '../../../src/config/masker.ts';

const secret = 'p@ss/wörd "1"+~\\ end';

describe('createMasker finds a secret', () => {
  it.each([
    ['as it is', secret],
    ['JSON-escaped', JSON.stringify({ a: secret })],
    ['JSON-escaped in ASCII', JSON.stringify(secret).replace('ö', '\\u00f6')],
    ['JSON-escaped twice', JSON.stringify(JSON.stringify({ a: secret }))],
    ['JSON-escaped with \\/', JSON.stringify(secret).replaceAll('/', '\\/')],
    ['URL-encoded', `https://x/?a=${encodeURIComponent(secret)}&b=1`],
    ['URL-encoded in lower case', encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())],
    ['form-encoded', new URLSearchParams({ a: secret }).toString()],
    ['URL-encoded with slashes kept', encodeURIComponent(secret).replaceAll('%2F', '/')],
    ['in hexadecimal', Buffer.from(secret).toString('hex')],
    ['in upper-case hexadecimal', Buffer.from(secret).toString('hex').toUpperCase()],
    ['in base64', Buffer.from(secret).toString('base64')],
    ['in base64url', Buffer.from(secret).toString('base64url')],
  ])('%s', (_, text) => {
    const masked = createMasker([secret])(`before ${text} after`);
    expect(masked).toContain(mask);
    expect(masked).toMatch(/^before .* after$/s);
    for (const part of ['wörd', 'w%C3', 'w%c3', 'w\\u00f6', Buffer.from('wörd').toString('hex')])
      expect(masked.toLowerCase()).not.toContain(part.toLowerCase());
  });

  it.each([0, 1, 2, 3, 4, 5])('in base64 of user:password, behind %d characters', (length) => {
    const header = Buffer.from(`${'u'.repeat(length)}:${secret}:more`).toString('base64');
    const masked = createMasker([secret])(`Authorization: Basic ${header}`);
    expect(masked).toContain(mask);
    // What is left decodes to nothing of the secret but the bits shared with its neighbours.
    const rest = masked.replace('Authorization: Basic ', '').split(mask);
    for (const piece of rest)
      for (const part of ['wörd', 'pass', 'end', '"1"']) expect(Buffer.from(piece, 'base64').toString()).not.toContain(part);
  });

  it('in each line of a secret of many lines', () => {
    const pem = '-----BEGIN KEY-----\nMIIabcdefgh\nMIIijklmnop\n-----END KEY-----';
    const masker = createMasker([pem]);
    expect(masker('bad key: MIIijklmnop')).toBe(`bad key: ${mask}`);
    expect(masker(pem)).toBe(mask);
  });

  it('as a form writes it, with an asterisk beside a quote', () => {
    const text = "*'   ";
    expect(createMasker([text])(`a=${new URLSearchParams({ text })}`)).toBe(`a=text=${mask}`);
  });

  it('several times, overlapping, and the longer of two', () => {
    expect(createMasker(['abcd', 'cdef', 'abcdefgh'])('xabcdefx abcdefgh abcdabcd')).toBe(`x${mask}x ${mask} ${mask}${mask}`);
  });
});

describe('createMasker', () => {
  it('leaves other text as it is, and short secrets alone', () => {
    expect(createMasker([secret, 'abc', ''])('abc is short, and p@ss alone is none')).toBe('abc is short, and p@ss alone is none');
    expect(createMasker([])('x')).toBe('x');
    expect(maskedCharsMin).toBe(4);
  });

  it('leaves nothing of any secret in any text, in any form', () => {
    const secretText = fc
      .string({ unit: 'grapheme', minLength: 4, maxLength: 24 })
      .filter((text) => text.length >= maskedCharsMin && text.isWellFormed());
    fc.assert(
      fc.property(
        fc.array(secretText, { minLength: 1, maxLength: 4 }),
        fc.string({ maxLength: 20 }),
        fc.nat({ max: 5 }),
        (secrets, between, form) => {
          const write = [
            (text: string) => text,
            (text: string) => JSON.stringify(text).slice(1, -1),
            (text: string) => encodeURIComponent(text),
            (text: string) => new URLSearchParams({ a: text }).toString().slice(2),
            (text: string) => Buffer.from(text).toString('hex'),
            (text: string) => Buffer.from(text).toString('base64'),
          ][form];
          if (write === undefined) return;
          const masked = createMasker(secrets)(secrets.map(write).join(` ${between} `));
          for (const one of secrets)
            if (!mask.includes(write(one)) && !between.includes(write(one))) expect(masked.replaceAll(mask, '')).not.toContain(write(one));
        },
      ),
    );
  });

  it('masks at a cut what begins as a secret does, from the shortest secret’s length on', () => {
    const masker = createMasker([secret, 'ünïcödé-sécrét']);
    expect(masker('before p@ss/w', 'cut')).toBe(`before ${mask}`);
    expect(masker('before p@s', 'cut')).toBe('before p@s');
    expect(masker('before p@ss/w', 'whole')).toBe('before p@ss/w');
    expect(masker('before p@ss/w', undefined)).toBe('before p@ss/w');
    expect(masker('p@ss/w goes on', 'cut')).toBe('p@ss/w goes on');
    expect(masker(`${secret} and ${Buffer.from(secret).toString('hex').slice(0, 9)}`, 'cut')).toBe(`${mask} and ${mask}`);
    // A cut within a character.
    const bytes = Buffer.from('before ünïcödé-sécrét');
    expect(masker(bytes.subarray(0, bytes.indexOf('ö') + 1).toString(), 'cut')).toBe(`before ${mask}`);
  });

  it('leaves of a secret at a cut less than the shortest secret has, wherever the cut and in any form', () => {
    const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), Buffer.from(secret).toString('base64')];
    const masker = createMasker([secret]);
    for (const form of forms)
      for (let length = maskedCharsMin; length <= form.length; length += 1)
        expect(masker(`a: ${form.slice(0, length)}`, 'cut')).toBe(`a: ${mask}`);
  });

  it('is linear: a text of 4 MB against 64 secrets with a common beginning', () => {
    const secrets = Array.from({ length: 64 }, (_, index) => `${'a'.repeat(500)}${index}`);
    const masker = createMasker(secrets);
    const text = 'a'.repeat(4_000_000);
    const startedAt = performance.now();
    expect(masker(text)).toBe(text);
    expect(performance.now() - startedAt).toBeLessThan(8000);
  });
});
