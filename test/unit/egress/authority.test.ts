import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorityCharsMax, authorityText, parseAuthority, parseName, parseTarget } from '../../../src/egress/authority.ts';

function read(text: string, defaultPort?: number): string | undefined {
  const target = parseAuthority(text, defaultPort);
  return target && `${target.type} ${authorityText(target)}`;
}

describe('parseAuthority', () => {
  it.each([
    ['api.example.com:443', 'name api.example.com:443'],
    ['API.EXAMPLE.COM:443', 'name api.example.com:443'],
    ['api.example.com.:443', 'name api.example.com:443'],
    ['api.example.com', 'name api.example.com:80'],
    ['_sip.a-b.example:1', 'name _sip.a-b.example:1'],
    ['xn--pi-xka.example.com:65535', 'name xn--pi-xka.example.com:65535'],
    ['10.1.2.3:80', 'address 10.1.2.3:80'],
    ['[::1]:443', 'address [::1]:443'],
    ['[::FFFF:169.254.169.254]:443', 'address [::ffff:a9fe:a9fe]:443'],
    ['[2001:db8:0:0::1]', 'address [2001:db8::1]:80'],
  ])('reads %j', (text, expected) => {
    expect(read(text, 80)).toBe(expected);
  });

  it.each([
    '',
    ':443',
    '.example.com:443',
    '*.example.com:443',
    'api.example.com..:443',
    'a..b:443',
    'api.example.com:',
    'api.example.com:0',
    'api.example.com:0443',
    'api.example.com:65536',
    'api.example.com:+443',
    'api.example.com:443:80',
    'api.example.com:443 ',
    ' api.example.com:443',
    'api.example.com:443\r\n',
    'user@api.example.com:443',
    'api.example.com:443@evil.org',
    'evil.org#.example.com:443',
    'evil.org/.example.com:443',
    'evil.org\\.example.com:443',
    'evil.org?.example.com:443',
    'evil.org%00.example.com:443',
    'evil.org\0.example.com:443',
    'api.example.com%2e:443',
    'ＡＰＩ.example.com:443',
    'api。example.com:443',
    '2130706433:443',
    '0x7f000001:443',
    '0x7f.1:443',
    '0177.0.0.1:443',
    '127.1:443',
    '010.1.2.3:80',
    '1.2.3.4.5:80',
    '::1:443',
    '[::1:443',
    '::1]:443',
    '[fe80::1%eth0]:443',
    '[10.1.2.3]:443',
    '[]:443',
    '-a.example.com:443',
    'a-.example.com:443',
    `${'a'.repeat(64)}.example.com:443`,
    `${'a.'.repeat(127)}aa:443`,
    `${'a'.repeat(authorityCharsMax)}:443`,
  ])('refuses %j', (text) => {
    expect(read(text, 80)).toBeUndefined();
  });

  it('needs a port where there is no default', () => {
    expect(read('api.example.com')).toBeUndefined();
  });

  it('never throws, and gives only targets whose own text it reads as the same target', () => {
    const piece = fc.constantFrom(
      'a',
      'evil.org',
      '.',
      ':',
      '443',
      '@',
      '[',
      ']',
      '::1',
      '127.0.0.1',
      '%00',
      '\0',
      '/',
      '0x7f',
      '-',
      'é',
      ' ',
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const target = parseAuthority(text, 443);
        if (!target) return;
        expect(parseAuthority(authorityText(target))).toEqual(target);
        expect(text.toLowerCase()).not.toMatch(/[^a-z0-9._:[\]-]/);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('parseTarget and parseName', () => {
  it('take names and IPv4, and IPv6 nowhere as text without brackets', () => {
    expect(parseTarget('Api.Example.com', 1)).toEqual({ type: 'name', name: 'api.example.com', port: 1 });
    expect(parseTarget('127.0.0.1', 1)?.type).toBe('address');
    expect(parseTarget('::1', 1)).toBeUndefined();
    expect(parseName('a.')).toBe('a');
    expect(parseName('.')).toBeUndefined();
  });
});
