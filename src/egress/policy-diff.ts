import type { NetworkRule, PortRange, RuleHost } from '../manifest/host-pattern.ts';
import type { NetworkPolicy } from '../manifest/network.ts';
import { isInBlock, parseAddress } from './address.ts';

/** What a policy allows beyond another one; empty: it is no wider. */
export type Widening =
  | {
      readonly type: 'rule';
      readonly rule: NetworkRule /** Ports of it that the other policy does not allow. */;
      readonly ports: readonly PortRange[];
    }
  /** The whole policy is of a wider kind: `unrestricted`, `observe` or `unsafe-host`. */
  | { readonly type: 'kind'; readonly from: NetworkPolicy['type']; readonly to: NetworkPolicy['type'] };

/** Kinds by what they let through. */
const width = { none: 0, rules: 1, observe: 2, unrestricted: 2, 'unsafe-host': 3 } as const satisfies Record<NetworkPolicy['type'], number>;

/**
 * What `after` allows and `before` did not. Pure. Errs on the side of telling: a block that is covered only by several smaller ones together
 * counts as wider.
 */
export function widenings(before: NetworkPolicy, after: NetworkPolicy): readonly Widening[] {
  const kind = width[after.type] > Math.max(width[before.type], 1) ? [{ type: 'kind', from: before.type, to: after.type } as const] : [];
  return [...kind, ...wideningRules(before, rulesOf(after))];
}

/** The same for plain rules, e.g. what a manifest requests against what a config grants. */
export function wideningRules(before: NetworkPolicy, rules: readonly NetworkRule[]): readonly Widening[] {
  if (before.type === 'unsafe-host') return [];
  return rules.flatMap((rule) => {
    // A rule is also what opens a refused range, so only rules cover addresses; any public name is covered by `unrestricted`.
    if (width[before.type] === 2 && (rule.host.type === 'exact' || rule.host.type === 'suffix')) return [];
    const covering = rulesOf(before).filter(({ host }) => coversHost(host, rule.host));
    const ports = subtract(
      rule.ports,
      covering.flatMap((other) => other.ports),
    );
    return ports.length === 0 ? [] : [{ type: 'rule', rule, ports }];
  });
}

function rulesOf(policy: NetworkPolicy): readonly NetworkRule[] {
  return policy.type === 'rules' || policy.type === 'observe' ? policy.rules : [];
}

/** Whether every host of `inner` is one of `outer`. */
function coversHost(outer: RuleHost, inner: RuleHost): boolean {
  switch (outer.type) {
    case 'exact':
      return inner.type === 'exact' && inner.name === outer.name;
    case 'suffix': {
      const name = inner.type === 'exact' ? inner.name : inner.type === 'suffix' ? inner.suffix : undefined;
      return name !== undefined && (name.endsWith(`.${outer.suffix}`) || (inner.type === 'suffix' && name === outer.suffix));
    }
    case 'address':
    case 'cidr':
      return coversBlock(outer, inner);
  }
}

function coversBlock(outer: RuleHost, inner: RuleHost): boolean {
  const around = blockOf(outer);
  const within = blockOf(inner);
  return (
    around !== undefined && within !== undefined && within.prefix >= around.prefix && isInBlock(within.base, around.base, around.prefix)
  );
}

function blockOf(host: RuleHost) {
  if (host.type === 'exact' || host.type === 'suffix') return undefined;
  const base = parseAddress(host.type === 'address' ? host.address : host.base);
  return base && { base, prefix: host.type === 'address' ? base.bytes.length * 8 : host.prefix };
}

/** What is left of `ranges` when every range of `taken` is cut out. */
function subtract(ranges: readonly PortRange[], taken: readonly PortRange[]): readonly PortRange[] {
  return taken.reduce<readonly PortRange[]>((left, cut) => left.flatMap((range) => cutOut(range, cut)), ranges);
}

function cutOut({ from, to }: PortRange, cut: PortRange): readonly PortRange[] {
  if (cut.to < from || cut.from > to) return [{ from, to }];
  const below = cut.from > from ? [{ from, to: cut.from - 1 }] : [];
  return cut.to < to ? [...below, { from: cut.to + 1, to }] : below;
}
