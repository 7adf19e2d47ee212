import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkRule, parseNetworkRule, ruleCharsMax, rulePortsMax } from '../../../src/manifest/host-pattern.ts';

describe('parseNetworkRule accepts', () => {
  it.each([
    ['api.example.com:443', { type: 'exact', name: 'api.example.com' }, [[443, 443]], undefined],
    ['db:5432', { type: 'exact', name: 'db' }, [[5432, 5432]], undefined],
    ['_sip.a-b.example:1', { type: 'exact', name: '_sip.a-b.example' }, [[1, 1]], undefined],
    ['xn--pi-xka.example.com:443', { type: 'exact', name: 'xn--pi-xka.example.com' }, [[443, 443]], undefined],
    ['*.example.com:443', { type: 'suffix', suffix: 'example.com' }, [[443, 443]], undefined],
    ['*.internal:80', { type: 'suffix', suffix: 'internal' }, [[80, 80]], undefined],
    ['10.1.2.3:65535', { type: 'address', address: '10.1.2.3' }, [[65_535, 65_535]], undefined],
    ['[2001:db8::1]:443', { type: 'address', address: '2001:db8::1' }, [[443, 443]], undefined],
    ['10.0.0.0/8:443', { type: 'cidr', base: '10.0.0.0', prefix: 8 }, [[443, 443]], undefined],
    ['10.1.2.3/32:443', { type: 'cidr', base: '10.1.2.3', prefix: 32 }, [[443, 443]], undefined],
    ['[fc00::/7]:443', { type: 'cidr', base: 'fc00::', prefix: 7 }, [[443, 443]], undefined],
    ['[2001:db8::1/128]:443', { type: 'cidr', base: '2001:db8::1', prefix: 128 }, [[443, 443]], undefined],
    [
      'a.example:8443,443',
      { type: 'exact', name: 'a.example' },
      [
        [443, 443],
        [8443, 8443],
      ],
      'a.example:443,8443',
    ],
    ['a.example:8000-8100', { type: 'exact', name: 'a.example' }, [[8000, 8100]], undefined],
    [
      'a.example:8050-8100,80,8000-8049,80',
      { type: 'exact', name: 'a.example' },
      [
        [80, 80],
        [8000, 8100],
      ],
      'a.example:80,8000-8100',
    ],
  ] as const)('%s', (text, host, ports, canonical) => {
    const rule = networkRule(text);
    expect(rule.host).toEqual(host);
    expect(rule.ports.map(({ from, to }) => [from, to])).toEqual(ports);
    expect(rule.text).toBe(canonical ?? text);
  });
});

describe('parseNetworkRule refuses, with the repair', () => {
  it.each([
    ['', /no port|not host/, /add one|write/],
    ['api.example.com', /no port/, /api\.example\.com:443/],
    ['api.example.com:', /no port/, /api\.example\.com:443/],
    [':443', /no host/, /host:port/],
    ['*', /no port/, /add one/],
    ['*:443', /every host/, /unrestricted/],
    ['*.:443', /every host/, /unrestricted/],
    ['*.com:443', /top-level domain com/, /\*\.example\.com/],
    ['*.*.com:443', /not a whole first label/, /\*\.example\.com/],
    ['api.*.example.com:443', /not a whole first label/, /each host/],
    ['api*.example.com:443', /not a whole first label/, /each host/],
    ['*example.com:443', /not a whole first label/, /\*\.example\.com/],
    ['*.10.1.2.3:443', /unusual form|not a name/, /./],
    ['API.example.com:443', /upper-case/, /write api\.example\.com/],
    ['*.Example.com:443', /upper-case/, /write example\.com/],
    ['api.example.com.:443', /ends in a dot/, /write api\.example\.com$/],
    ['api.example.com..:443', /ends in a dot/, /write api\.example\.com$/],
    ['api..example.com:443', /not a host name/, /labels/],
    ['-a.example.com:443', /not a host name/, /labels/],
    ['a-.example.com:443', /not a host name/, /labels/],
    [`${'a'.repeat(64)}.example.com:443`, /not a host name/, /63/],
    [`${'a.'.repeat(127)}example:443`, /not a host name/, /labels/],
    ['2130706433:443', /unusual form/, /write 127\.0\.0\.1 if/],
    ['0x7f000001:443', /unusual form/, /127\.0\.0\.1/],
    ['0x7f.1:443', /unusual form/, /127\.0\.0\.1/],
    ['127.1:443', /unusual form/, /127\.0\.0\.1/],
    ['0177.0.0.1:443', /unusual form/, /127\.0\.0\.1/],
    ['010.1.2.3:443', /unusual form/, /8\.1\.2\.3/],
    ['1.2.3.4.5:443', /unusual form/, /four decimal numbers/],
    ['999.1.2.3:443', /unusual form/, /four decimal numbers/],
    ['ＡＰＩ.example.com:443', /visible ASCII/, /api\.example\.com:443/],
    ['bücher.example:443', /visible ASCII/, /xn--bcher-kva\.example:443/],
    ['api。example.com:443', /visible ASCII/, /api\.example\.com:443/],
    ['a b.example:443', /visible ASCII/, /remove/],
    ['a.example:443\n', /visible ASCII/, /./],
    ['a.example\0:443', /visible ASCII/, /remove/],
    ['xn--a.example:443', /punycode/, /address bar/],
    ['::1:443', /IPv6 address without brackets|no port/, /\[/],
    ['2001:db8::1', /no port/, /\[2001:db8::1\]:443/],
    ['[2001:db8::1]', /no port/, /\[2001:db8::1\]:443/],
    ['[2001:DB8::1]:443', /canonical/, /\[2001:db8::1\]/],
    ['[2001:db8:0:0::1]:443', /canonical/, /\[2001:db8::1\]/],
    ['[::ffff:10.1.2.3]:443', /IPv4 address written as IPv6/, /10\.1\.2\.3/],
    ['[::ffff:a01:203]:443', /IPv4 address written as IPv6/, /10\.1\.2\.3/],
    ['[fe80::1%eth0]:443', /zone id/, /without %/],
    ['[10.1.2.3]:443', /not an IPv6/, /\[2001:db8::1\]/],
    ['[fd00::]/8:443', /prefix outside/, /\[fd00::\/8\]/],
    ['10.1.2.3/16:443', /beyond its prefix/, /10\.1\.0\.0\/16/],
    ['[fd00::1/64]:443', /beyond its prefix/, /\[fd00::\/64\]/],
    ['0.0.0.0/0:443', /covers more than a \/8/, /unrestricted/],
    ['0.0.0.0/1:443', /covers more than a \/8/, /smaller/],
    ['[::/0]:443', /covers more than a \/7/, /smaller/],
    ['10.0.0.0/33:443', /no length/, /from 8 to 32/],
    ['10.0.0.0/08:443', /no length/, /from 8 to 32/],
    ['api.example.com/8:443', /CIDR/, /10\.1\.0\.0\/16/],
    ['a.example:0', /port "0"/, /1 to 65535/],
    ['a.example:65536', /port "65536"/, /1 to 65535/],
    ['a.example:0443', /port "0443"/, /numbers/],
    ['a.example:+443', /port/, /numbers/],
    ['a.example:https', /port "https"/, /numbers/],
    ['a.example:443,', /port ""/, /numbers/],
    ['a.example:443-', /port/, /numbers/],
    ['a.example:1-2-3', /port/, /numbers/],
    ['a.example:90-80', /empty/, /write 80-90/],
    ['a.example:*', /every port/, /a\.example:443/],
    ['a.example:443:80', /not host:port/, /api\.example\.com:443/],
    ['https://api.example.com/v1', /is a URL/, /api\.example\.com:443/],
    ['HTTP://api.example.com', /is a URL/, /api\.example\.com:80/],
    ['user@api.example.com:443', /more than a host/, /without path, user/],
    ['api.example.com/path:443', /more than a host/, /without path/],
    ['evil.org#.example.com:443', /more than a host/, /without/],
    ['evil.org\\.example.com:443', /more than a host/, /without/],
    ['api.example.com%2e:443', /escape/, /without %/],
    ['x'.repeat(ruleCharsMax + 1), /longer than 512/, /shorter/],
    [`a.example:${Array.from({ length: rulePortsMax + 1 }, (_, index) => 2 * index + 1).join(',')}`, /more than 32/, /ranges/],
  ] as const)('%j', (text, message, repair) => {
    const result = parseNetworkRule(text);
    if (result.ok) expect.fail(`accepted as ${result.rule.text}`);
    expect(result.message).toMatch(message);
    expect(result.repair).toMatch(repair);
  });
});

const octet = fc.integer({ min: 0, max: 255 });
const port = fc.integer({ min: 1, max: 65_535 });
const host = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9]{0,10}(\.[a-z][a-z0-9]{0,10}){1,3}$/),
  fc.stringMatching(/^\*\.[a-z]{1,9}\.[a-z]{2,9}$/),
  fc.tuple(octet, octet, octet, octet).map((bytes) => bytes.join('.')),
  fc
    .ipV6()
    .filter((text) => !text.includes('.'))
    .map((text) => new URL(`http://[${text}]`).hostname)
    .filter((text) => !text.startsWith('[::ffff:')),
);
const ports = fc.array(
  fc.oneof(
    port.map(String),
    fc.tuple(port, port).map((pair) => pair.toSorted((a, b) => a - b).join('-')),
  ),
  { minLength: 1, maxLength: 8 },
);

describe('parseNetworkRule', () => {
  it('reads its own canonical text as the same rule', () => {
    fc.assert(
      fc.property(host, ports, (name, list) => {
        const rule = networkRule(`${name}:${list.join(',')}`);
        expect(networkRule(rule.text)).toEqual(rule);
      }),
    );
  });

  it('never throws, and what it accepts is visible ASCII without upper case', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-fx0-9*.:[\]/,%-]{1,30}:[0-9,-]{1,9}$/)), (text) => {
        const result = parseNetworkRule(text);
        if (result.ok) expect(result.rule.text).toMatch(/^[!-@[-~]+$/);
        else expect(result.repair).not.toBe('');
      }),
      { numRuns: 1000 },
    );
  });
});
