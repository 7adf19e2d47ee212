import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOfBytes, classifyAddress, isInBlock, parseAddress } from '../../../src/egress/address.ts';

function classify(text: string, own: readonly string[] = []): string {
  const address = parseAddress(text);
  if (!address) return 'unreadable';
  const found = classifyAddress(address, new Set(own));
  return found.type === 'public' ? 'public' : found.range;
}

describe('classifyAddress', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['1.1.1.1', 'public'],
    ['100.63.255.255', 'public'],
    ['100.128.0.0', 'public'],
    ['172.15.255.255', 'public'],
    ['172.32.0.1', 'public'],
    ['168.63.129.15', 'public'],
    ['223.255.255.255', 'public'],
    ['198.17.255.255', 'public'],
    ['198.20.0.0', 'public'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'reserved'],
    ['10.0.0.0', 'private'],
    ['10.255.255.255', 'private'],
    ['172.16.0.0', 'private'],
    ['172.17.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'carrier-grade NAT'],
    ['100.127.255.255', 'carrier-grade NAT'],
    ['100.100.100.200', 'cloud metadata'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['169.254.0.1', 'link-local'],
    ['169.254.169.254', 'cloud metadata'],
    ['169.254.170.2', 'cloud metadata'],
    ['169.254.170.23', 'cloud metadata'],
    ['168.63.129.16', 'cloud metadata'],
    ['192.0.0.192', 'cloud metadata'],
    ['192.0.0.1', 'reserved'],
    ['192.0.2.2', 'documentation'],
    ['198.51.100.7', 'documentation'],
    ['203.0.113.9', 'documentation'],
    ['192.88.99.1', '6to4'],
    ['198.18.0.1', 'benchmark'],
    ['198.19.255.255', 'benchmark'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'broadcast'],
  ])('IPv4 %s is %s', (text, range) => {
    expect(classify(text)).toBe(range);
  });

  it.each([
    ['2606:4700::1111', 'public'],
    ['2001:4860:4860::8888', 'public'],
    ['2a00:1450::1', 'public'],
    ['2001:200::1', 'public'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::2', 'reserved'],
    ['::127.0.0.1', 'loopback'],
    ['::8.8.8.8', 'reserved'],
    ['::ffff:169.254.169.254', 'cloud metadata'],
    ['::ffff:a9fe:a9fe', 'cloud metadata'],
    ['::ffff:10.1.2.3', 'private'],
    ['::ffff:8.8.8.8', 'IPv4-mapped'],
    ['::ffff:0:127.0.0.1', 'loopback'],
    ['::ffff:0:8.8.8.8', 'reserved'],
    ['64:ff9b::a9fe:a9fe', 'cloud metadata'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['64:ff9b::808:808', 'NAT64'],
    ['64:ff9b:1::1', 'NAT64'],
    ['64:ff9b:2::1', 'reserved'],
    ['2002:a9fe:a9fe::1', 'cloud metadata'],
    ['2002:808:808::1', '6to4'],
    ['2001::1', 'Teredo'],
    ['2001:0:a9fe:a9fe::1', 'Teredo'],
    ['2001:2::1', 'benchmark'],
    ['2001:10::1', 'reserved'],
    ['2001:db8::1', 'documentation'],
    ['3fff:fff::1', 'documentation'],
    ['3fff:1000::1', 'public'],
    ['100::1', 'reserved'],
    ['fc00::1', 'unique local'],
    ['fd12:3456::1', 'unique local'],
    ['fd00:ec2::254', 'cloud metadata'],
    ['fd20:ce::254', 'cloud metadata'],
    ['fd00:42::42', 'cloud metadata'],
    ['fe80::1', 'link-local'],
    ['febf::1', 'link-local'],
    ['fec0::1', 'site-local'],
    ['ff02::1', 'multicast'],
    ['4000::1', 'reserved'],
    ['5f00::1', 'reserved'],
  ])('IPv6 %s is %s', (text, range) => {
    expect(classify(text)).toBe(range);
  });

  it('refuses the host’s own public addresses, and tells loopback as loopback', () => {
    expect(classify('203.1.2.3', ['203.1.2.3'])).toBe('own address of the host');
    expect(classify('2606:4700:0:0::1111', ['2606:4700::1111'])).toBe('own address of the host');
    expect(classify('::ffff:203.1.2.3', ['203.1.2.3'])).toBe('own address of the host');
    expect(classify('10.1.2.3', ['10.1.2.3'])).toBe('own address of the host');
    expect(classify('127.0.0.1', ['127.0.0.1'])).toBe('loopback');
  });

  it('tells how wide the refused block is, through NAT64 too', () => {
    const prefixOf = (text: string): unknown => classifyAddress(parseAddress(text)!);
    expect(prefixOf('10.1.2.3')).toEqual({ type: 'refused', range: 'private', prefix: 8 });
    expect(prefixOf('64:ff9b::a01:203')).toEqual({ type: 'refused', range: 'private', prefix: 104 });
    expect(prefixOf('64:ff9b::808:808')).toEqual({ type: 'refused', range: 'NAT64', prefix: 96 });
    expect(prefixOf('2002:a01:203::1')).toEqual({ type: 'refused', range: 'private', prefix: 24 });
  });
});

describe('parseAddress', () => {
  it.each(['', '1.2.3', '01.2.3.4', '0177.0.0.1', '0x7f.0.0.1', '2130706433', '127.1', '256.1.1.1', '1.2.3.4.5', ' 1.2.3.4', '1.2.3.4\n'])(
    'does not read %j',
    (text) => expect(parseAddress(text)).toBeUndefined(),
  );

  it.each(['fe80::1%eth0', ':::', '1::2::3', '[::1]', '12345::', '::ffff:1.2.3', '::ffff:010.2.3.4'])('does not read %j', (text) =>
    expect(parseAddress(text)).toBeUndefined(),
  );

  it('gives one text to all spellings of an IPv6 address', () => {
    expect(parseAddress('2001:DB8:0:0:0:0:0:1')?.text).toBe('2001:db8::1');
    expect(parseAddress('::ffff:1.2.3.4')?.text).toBe('::ffff:102:304');
  });

  it('reads back what it wrote for any bytes', () => {
    const bytes = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }));
    fc.assert(
      fc.property(bytes, (value) => {
        const address = addressOfBytes(value);
        expect([...address!.bytes]).toEqual([...value]);
        expect(parseAddress(address!.text)?.bytes).toEqual(address!.bytes);
      }),
    );
  });

  it('reads no bytes of another length', () => {
    expect(addressOfBytes(new Uint8Array(5))).toBeUndefined();
  });
});

describe('isInBlock', () => {
  it.each([
    ['10.1.2.3', '10.0.0.0', 8, true],
    ['11.0.0.0', '10.0.0.0', 8, false],
    ['192.168.3.255', '192.168.2.0', 23, true],
    ['192.168.4.0', '192.168.2.0', 23, false],
    ['1.2.3.4', '1.2.3.4', 32, true],
    ['1.2.3.5', '1.2.3.4', 32, false],
    ['2001:db8::1', '2001:db8::', 33, true],
    ['2001:db8:8000::1', '2001:db8::', 33, false],
    ['::ffff:10.0.0.1', '10.0.0.0', 8, false],
    ['10.0.0.1', '::', 0, false],
  ])('%s in %s/%i: %s', (text, base, prefix, expected) => {
    expect(isInBlock(parseAddress(text)!, parseAddress(base)!, prefix)).toBe(expected);
  });
});
