import { describe, expect, it } from 'vitest';
import { widenings } from '../../../src/egress/policy-diff.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import type { NetworkPolicy } from '../../../src/manifest/network.ts';

const rules = (...texts: string[]): NetworkPolicy => ({ type: 'rules', rules: texts.map(networkRule) });
const observe = (...texts: string[]): NetworkPolicy => ({ type: 'observe', rules: texts.map(networkRule) });
const told = (before: NetworkPolicy, after: NetworkPolicy): string[] =>
  widenings(before, after).map((widening) =>
    widening.type === 'kind'
      ? `${widening.from} -> ${widening.to}`
      : `${widening.rule.text} @ ${widening.ports.map(({ from, to }) => `${from}-${to}`).join(',')}`,
  );

describe('widenings', () => {
  it.each([
    ['the same', ['a.example:443'], ['a.example:443'], []],
    ['fewer', ['a.example:443', 'b.example:1'], ['a.example:443'], []],
    ['a new host', ['a.example:443'], ['a.example:443', 'b.example:443'], ['b.example:443 @ 443-443']],
    ['a new port', ['a.example:443'], ['a.example:443,8443'], ['a.example:443,8443 @ 8443-8443']],
    ['a range over two rules', ['a.example:1-10', 'a.example:12-20'], ['a.example:1-20'], ['a.example:1-20 @ 11-11']],
    ['a host under a wildcard', ['*.example.com:443'], ['a.example.com:443', '*.a.example.com:443', '*.example.com:443'], []],
    ['the suffix itself', ['*.example.com:443'], ['example.com:443'], ['example.com:443 @ 443-443']],
    ['a wildcard for a host', ['a.example.com:443'], ['*.example.com:443'], ['*.example.com:443 @ 443-443']],
    ['a look-alike', ['*.example.com:443'], ['evilexample.com:443'], ['evilexample.com:443 @ 443-443']],
    ['an address in a block', ['10.0.0.0/8:443'], ['10.1.2.3:443', '10.1.0.0/16:443'], []],
    ['a block around a block', ['10.1.0.0/16:443'], ['10.0.0.0/8:443'], ['10.0.0.0/8:443 @ 443-443']],
    ['a block around an address', ['10.1.2.3:443'], ['10.1.2.3/32:443', '10.1.2.2/31:443'], ['10.1.2.2/31:443 @ 443-443']],
    ['another family', ['[fd00::/8]:443'], ['[fd00::1]:443', '10.0.0.1:443'], ['10.0.0.1:443 @ 443-443']],
    ['a name for an address', ['10.0.0.1:443'], ['a.example:443'], ['a.example:443 @ 443-443']],
    ['an address for a name', ['a.example:443'], ['10.0.0.1:443'], ['10.0.0.1:443 @ 443-443']],
    ['an address for a suffix', ['*.a.example:443'], ['10.0.0.1:443'], ['10.0.0.1:443 @ 443-443']],
  ])('%s', (_what, before, after, expected) => {
    expect(told(rules(...before), rules(...after))).toEqual(expected);
  });

  it('tells a wider kind', () => {
    expect(told({ type: 'none' }, { type: 'none' })).toEqual([]);
    expect(told({ type: 'none' }, rules('a.example:1'))).toEqual(['a.example:1 @ 1-1']);
    expect(told(rules(), { type: 'none' })).toEqual([]);
    expect(told({ type: 'none' }, { type: 'unrestricted' })).toEqual(['none -> unrestricted']);
    expect(told(rules(), { type: 'unsafe-host' })).toEqual(['rules -> unsafe-host']);
    expect(told({ type: 'unrestricted' }, { type: 'unsafe-host' })).toEqual(['unrestricted -> unsafe-host']);
    expect(told({ type: 'unsafe-host' }, rules('10.0.0.1:1'))).toEqual([]);
    expect(told({ type: 'unrestricted' }, observe('a.example:1'))).toEqual([]);
  });

  it('tells a rule that opens a private address even where everything public was open', () => {
    expect(told({ type: 'unrestricted' }, rules('a.example:1', '*.b.example:1', '10.0.0.1:1'))).toEqual(['10.0.0.1:1 @ 1-1']);
    expect(told(observe('10.0.0.1:1'), rules('10.0.0.1:1'))).toEqual([]);
  });
});
