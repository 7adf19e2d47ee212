import { expect, it } from 'vitest';
import type { AuditRecord } from '../../../src/egress/audit-record.ts';
import { suggestRules } from '../../../src/egress/suggest.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';

const decision = (host: string, port: number, more: object = {}): AuditRecord => ({
  type: 'decision',
  connector: 'x',
  invocations: [],
  via: 'connect',
  host,
  port,
  verdict: 'allow',
  reason: 'observed',
  ...more,
});

it('suggests the smallest rules for what was observed, keeps used rules and names unused ones', () => {
  const records = [
    decision('b.example', 443),
    decision('a.example', 8443),
    decision('a.example', 443),
    decision('a.example', 443),
    decision('looked-up.example', 0, { via: 'dns' }),
    decision('2606:4700::1', 443),
    decision('other.example', 443, { connector: 'y' }),
    decision('c.example', 1, { reason: 'rule', rule: 'c.example:1-9' }),
    decision('10.0.0.1', 80, { verdict: 'deny', reason: 'refused_address' }),
    decision('10.0.0.1', 80, { verdict: 'deny', reason: 'refused_address' }),
    { type: 'gap', lost: 1, reason: 'ENOSPC' } as const,
  ];
  const granted = ['c.example:1-9', 'd.example:1'].map(networkRule);
  expect(suggestRules({ connector: 'x', records, granted })).toEqual({
    rules: ['[2606:4700::1]:443', 'a.example:443,8443', 'b.example:443', 'c.example:1-9'],
    unused: ['d.example:1'],
    refused: [{ host: '10.0.0.1', port: 80, reason: 'refused_address', count: 2 }],
  });
});

it('suggests nothing for a host that no rule may name', () => {
  expect(suggestRules({ connector: 'x', records: [decision('?', 1)], granted: [] }).rules).toEqual([]);
});
