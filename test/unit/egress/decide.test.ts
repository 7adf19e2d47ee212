import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/egress/address.ts';
import { parseAuthority } from '../../../src/egress/authority.ts';
import { decide, decideAddresses, decideName, denyServerName } from '../../../src/egress/decide.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import type { NetworkPolicy } from '../../../src/manifest/network.ts';

const connector = 'x' as ConnectorName;
const rules = (...texts: string[]): NetworkPolicy => ({ type: 'rules', rules: texts.map(networkRule) });
const target = (text: string) => parseAuthority(text)!;

describe('decide', () => {
  const network = rules(
    'api.example.com:443',
    '*.wild.example.com:443,8000-8002',
    '10.1.2.3:5432',
    '172.20.0.0/16:80',
    '[fd00:1::]:443',
    '[fd00:2::/32]:1',
  );
  it.each([
    ['api.example.com:443', 'api.example.com:443'],
    ['a.wild.example.com:443', '*.wild.example.com:443,8000-8002'],
    ['a.b.wild.example.com:8001', '*.wild.example.com:443,8000-8002'],
    ['10.1.2.3:5432', '10.1.2.3:5432'],
    ['172.20.255.1:80', '172.20.0.0/16:80'],
    ['[fd00:1::]:443', '[fd00:1::]:443'],
    ['[fd00:2:0:9::]:1', '[fd00:2::/32]:1'],
  ])('allows %s by its rule', (text, rule) => {
    expect(decide({ connector, network, target: target(text) })).toEqual({ verdict: 'allow', reason: 'rule', rule });
  });

  it.each([
    'api.example.com:80',
    'example.com:443',
    'evil-api.example.com:443',
    'api.example.com.evil.org:443',
    'wild.example.com:443',
    'evilwild.example.com:443',
    'a.wild.example.com.evil.org:443',
    'a.wild.example.com:7999',
    'a.wild.example.com:8003',
    '10.1.2.3:5433',
    '10.1.2.4:5432',
    '172.21.0.1:80',
    '[::ffff:10.1.2.3]:5432',
    '[::1]:443',
    '169.254.169.254:80',
  ])('denies %s', (text) => {
    const message = `${text.replace('::ffff:10.1.2.3', '::ffff:a01:203')} is not in the rules of connector x; add it under connectors.x.network`;
    expect(decide({ connector, network, target: target(text) })).toEqual({ verdict: 'deny', reason: 'not_in_rules', message });
  });

  it('denies everything without rules', () => {
    for (const none of [rules(), { type: 'none' }, { type: 'unsafe-host' }] as const) {
      expect(decide({ connector, network: none, target: target('a.example:1') }).verdict).toBe('deny');
    }
  });

  it('lets everything through on record when it observes or is unrestricted', () => {
    const observe: NetworkPolicy = { type: 'observe', rules: [networkRule('a.example:1')] };
    expect(decide({ connector, network: observe, target: target('a.example:1') })).toMatchObject({ reason: 'rule' });
    expect(decide({ connector, network: observe, target: target('b.example:1') })).toEqual({ verdict: 'allow', reason: 'observed' });
    expect(decide({ connector, network: { type: 'unrestricted' }, target: target('b.example:1') })).toMatchObject({
      reason: 'unrestricted',
    });
  });
});

describe('decideName', () => {
  it('allows a lookup when a rule has the name, whatever the port, and denies it otherwise', () => {
    const network = rules('a.example:1', '*.b.example:2', '10.0.0.1:3');
    expect(decideName({ connector, network, name: 'a.example' })).toMatchObject({ verdict: 'allow', rule: 'a.example:1' });
    expect(decideName({ connector, network, name: 'x.b.example' })).toMatchObject({ verdict: 'allow' });
    expect(decideName({ connector, network, name: 'secret.evil.example' })).toEqual({
      verdict: 'deny',
      reason: 'not_in_rules',
      message: 'secret.evil.example is not in the rules of connector x; add it with its port under connectors.x.network',
    });
    expect(decideName({ connector, network: { type: 'unrestricted' }, name: 'c.example' })).toMatchObject({ verdict: 'allow' });
    expect(decideName({ connector, network: { type: 'none' }, name: 'c.example' })).toMatchObject({ verdict: 'deny' });
  });
});

describe('decideAddresses', () => {
  const judge = (network: NetworkPolicy, to: string, addresses: string[], own: string[] = []) =>
    decideAddresses({
      connector,
      network,
      target: target(to),
      addresses: addresses.map((text) => parseAddress(text)!),
      ownAddresses: new Set(own),
    });

  it('takes public addresses, and none at all', () => {
    expect(judge(rules('a.example:443'), 'a.example:443', ['8.8.8.8', '2606:4700::1'])).toBeUndefined();
    expect(judge(rules('a.example:443'), 'a.example:443', [])).toBeUndefined();
  });

  it('denies the whole answer for one refused address, and says which rule would allow it', () => {
    expect(judge(rules('a.example:443'), 'a.example:443', ['8.8.8.8', '169.254.169.254'])).toEqual({
      verdict: 'deny',
      reason: 'refused_address',
      message:
        'a.example:443 resolves to 169.254.169.254, which is in a refused range (cloud metadata) and no rule of connector x names it; add 169.254.169.254:443 under connectors.x.network if it is meant',
    });
  });

  it.each([
    ['the address', ['a.example:443', '10.1.2.3:443'], true],
    ['a block as narrow as the range', ['a.example:443', '10.0.0.0/8:443'], true],
    ['a narrower block', ['a.example:443', '10.1.0.0/16:443'], true],
    ['another port', ['a.example:443', '10.1.2.3:80'], false],
    ['another block', ['a.example:443', '10.2.0.0/16:443'], false],
    ['nothing', ['a.example:443'], false],
  ])('with a rule for %s', (_what, texts, allowed) => {
    expect(judge(rules(...texts), 'a.example:443', ['10.1.2.3']) === undefined).toBe(allowed);
  });

  it('does not open a narrow refused range by a wide rule', () => {
    expect(judge(rules('168.0.0.0/8:80'), '168.63.129.16:80', ['168.63.129.16'])).toMatchObject({ reason: 'refused_address' });
    expect(judge(rules('168.0.0.0/8:80'), '168.1.1.1:80', ['168.1.1.1'])).toBeUndefined();
    expect(judge(rules('10.0.0.0/8:80'), '10.1.1.1:80', ['10.1.1.1'], ['10.1.1.1'])).toMatchObject({ reason: 'refused_address' });
    expect(judge(rules('10.1.1.1:80'), '10.1.1.1:80', ['10.1.1.1'], ['10.1.1.1'])).toBeUndefined();
    expect(judge(rules('169.254.0.0/16:80'), '169.254.169.254:80', ['169.254.169.254'])).toMatchObject({ reason: 'refused_address' });
  });

  it('opens NAT64 to public addresses only', () => {
    const network = rules('a.example:443', '[64:ff9b::/96]:443');
    expect(judge(network, 'a.example:443', ['64:ff9b::808:808'])).toBeUndefined();
    expect(judge(network, 'a.example:443', ['64:ff9b::a9fe:a9fe'])).toMatchObject({ reason: 'refused_address' });
  });

  it('refuses private ranges to connectors that are unrestricted or observed', () => {
    expect(judge({ type: 'unrestricted' }, '10.0.0.1:80', ['10.0.0.1'])).toMatchObject({ reason: 'refused_address' });
    expect(judge({ type: 'observe', rules: [] }, 'a.example:80', ['127.0.0.1'])).toMatchObject({ reason: 'refused_address' });
    expect(judge({ type: 'observe', rules: [networkRule('127.0.0.1:80')] }, 'a.example:80', ['127.0.0.1'])).toBeUndefined();
  });
});

describe('denyServerName', () => {
  it('names both hosts', () => {
    expect(denyServerName(connector, target('a.example:443'), 'evil.example').message).toBe(
      'TLS for evil.example was sent to a.example:443 by connector x; its server name must be a.example',
    );
    expect(denyServerName(connector, target('a.example:443'), undefined).message).toContain('cannot be read');
  });
});
