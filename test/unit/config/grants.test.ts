import { describe, expect, it } from 'vitest';
import { diffConfigs } from '../../../src/config/diff-configs.ts';
import { compareGrants, diffGrants, isCovered } from '../../../src/config/grants.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import type { NetworkPolicy } from '../../../src/manifest/network.ts';

const rules = (...texts: string[]) => texts.map(networkRule);
const granted = (...texts: string[]): NetworkPolicy => ({ type: 'rules', rules: rules(...texts) });
const env = { type: 'env', env: 'X' } as const;

describe('a rule is covered', () => {
  it.each([
    ['a.example:443', ['a.example:443'], true],
    ['a.example:443', ['a.example:80-8000'], true],
    ['a.example:443', ['a.example:80'], false],
    ['a.example:80,443', ['a.example:80', 'a.example:443'], true],
    ['a.example:80-90', ['a.example:80-85', 'a.example:86-90'], true],
    ['a.example:80-90', ['a.example:80-85', 'a.example:87-90'], false],
    ['a.example:443', ['*.example:443'], true],
    ['a.b.example:443', ['*.example:443'], true],
    ['example.org:443', ['*.example.org:443'], false],
    ['evil-example.org:443', ['*.example.org:443'], false],
    ['*.b.example:443', ['*.example:443'], true],
    ['*.example:443', ['*.b.example:443'], false],
    ['*.example.org:443', ['a.example.org:443'], false],
    ['10.1.2.3:443', ['10.1.2.3:443'], true],
    ['10.1.2.3:443', ['10.1.0.0/16:443'], true],
    ['10.2.2.3:443', ['10.1.0.0/16:443'], false],
    ['10.1.2.0/24:443', ['10.1.0.0/16:443'], true],
    ['10.0.0.0/8:443', ['10.1.0.0/16:443'], false],
    ['10.1.2.3/32:443', ['10.1.2.3:443'], true],
    ['[2001:db8::1]:443', ['[2001:db8::/32]:443'], true],
    ['[2001:db9::1]:443', ['[2001:db8::/32]:443'], false],
    ['10.1.2.3:443', ['[fd00::/8]:443'], false],
    ['a.example:443', ['10.1.0.0/16:443'], false],
    ['a.example:443', [], false],
  ] as const)('%s by %j: %s', (rule, others, covered) => expect(isCovered(networkRule(rule), rules(...others))).toBe(covered));
});

describe('compareGrants', () => {
  const requests = { network: rules('a.example:443', 'b.example:443', '10.0.0.1:5432'), secrets: ['A', 'B'] };

  it.each([
    [{ type: 'none' }, [], ['a.example:443', 'b.example:443', '10.0.0.1:5432'], []],
    [granted('*.example:443', 'c.other:1'), ['a.example:443', 'b.example:443'], ['10.0.0.1:5432'], ['*.example:443', 'c.other:1']],
    [granted('a.example:443'), ['a.example:443'], ['b.example:443', '10.0.0.1:5432'], []],
    [{ type: 'unrestricted' }, ['a.example:443', 'b.example:443'], ['10.0.0.1:5432'], ['unrestricted']],
    [{ type: 'unsafe-host' }, ['a.example:443', 'b.example:443', '10.0.0.1:5432'], [], ['unsafe-host']],
    [{ type: 'observe', rules: rules('10.0.0.0/8:5432') }, ['a.example:443', 'b.example:443', '10.0.0.1:5432'], [], ['observe']],
  ] as const)('network %j', (network, given, missing, extra) => {
    expect(compareGrants({ requests }, { network, secrets: {} }).network).toEqual({ grant: network.type, granted: given, missing, extra });
  });

  it('secrets', () => {
    expect(compareGrants({ requests }, { network: { type: 'none' }, secrets: { B: env, C: env } }).secrets).toEqual({
      granted: ['B'],
      missing: ['A'],
      extra: ['C'],
    });
  });
});

describe('diffGrants', () => {
  const base = { network: granted('a.example:443'), secrets: { A: env }, sandbox: 'enforced', readOnlyPaths: [] } as const;

  it.each([
    [base, base, [], []],
    [base, { ...base, network: granted('a.example:443', 'b.example:443') }, ['network: b.example:443'], []],
    [base, { ...base, network: granted('*.example:443') }, ['network: *.example:443'], []],
    [base, { ...base, network: { type: 'none' } }, [], ['network: a.example:443']],
    [base, { ...base, network: { type: 'unrestricted' } }, ['network: unrestricted'], []],
    [{ ...base, network: { type: 'none' } }, { ...base, network: { type: 'observe', rules: [] } }, ['network: observe'], []],
    [base, { ...base, network: { type: 'unsafe-host' } }, ['network: unsafe-host'], []],
    [base, { ...base, secrets: { A: env, B: env } }, ['secret: B'], []],
    [base, { ...base, sandbox: 'none' }, ['sandbox: none'], []],
    [base, { ...base, dataFolder: '/data' }, ['dataFolder: /data'], []],
    [base, { ...base, readOnlyPaths: ['/opt/java'] }, ['readOnlyPath: /opt/java'], []],
    [base, { ...base, secrets: { A: { type: 'env', env: 'Y' } } }, ['secret: A from the variable Y'], ['secret: A from the variable X']],
    [base, { ...base, secrets: { A: { type: 'file', file: '/a' } } }, ['secret: A from the file /a'], ['secret: A from the variable X']],
    [{ ...base, context: [] }, { ...base, context: ['task_data'] }, ['context: task_data'], []],
    [{ ...base, context: ['task_id'] }, base, ['context: whatever its manifest asks for'], []],
    [base, { ...base, context: ['task_id'] }, [], ['context: whatever its manifest asks for']],
    [undefined, base, ['network: a.example:443', 'secret: A', 'context: whatever its manifest asks for'], []],
    [undefined, { ...base, context: [] }, ['network: a.example:443', 'secret: A'], []],
    [base, undefined, [], ['network: a.example:443', 'secret: A', 'context: whatever its manifest asks for']],
  ] as const)('%#', (before, after, widened, narrowed) => {
    expect(diffGrants(before, after)).toEqual({ widened, narrowed });
  });

  it('tells a changed command of a secret by its program only', () => {
    const run = (...command: string[]) => ({ ...base, secrets: { A: { type: 'command', command } } }) as const;
    const told = ['secret: A from the command vault'];
    expect(diffGrants(run('vault', 'read', 'one'), run('vault', 'read', 'two'))).toEqual({ widened: told, narrowed: told });
    expect(diffGrants(run('vault', 'one'), run('vault', 'one'))).toEqual({ widened: [], narrowed: [] });
  });

  it('tells a rule that opens a private range as widened, even after unrestricted, which opens none', () => {
    const wide = { ...base, network: { type: 'unrestricted' } } as const;
    const opened = { ...base, network: { type: 'rules', rules: [networkRule('10.0.0.0/8:5432'), networkRule('a.example:443')] } } as const;
    expect(diffGrants(wide, opened).widened).toEqual(['network: 10.0.0.0/8:5432']);
  });

  it('tells unrestricted, narrowed to rules, as narrowed', () => {
    const wide = { ...base, network: { type: 'unrestricted' } } as const;
    expect(diffGrants(wide, base)).toMatchObject({ widened: [], narrowed: ['network: unrestricted'] });
  });
});

describe('diffConfigs', () => {
  it('compares by value', () => {
    const before = new Map([
      ['a', { limits: { x: 1 }, rules: rules('a.example:1') }],
      ['b', { limits: { x: 1 }, rules: [] }],
      ['c', { limits: { x: 1 }, rules: [] }],
    ]);
    const after = new Map([
      ['d', { limits: { x: 1 }, rules: [] }],
      ['b', { limits: { x: 2 }, rules: [] }],
      ['a', { rules: rules('a.example:1'), limits: { x: 1 } }],
    ]);
    expect(diffConfigs(before, after)).toEqual({ added: ['d'], removed: ['c'], changed: ['b'], unchanged: ['a'] });
  });
});
