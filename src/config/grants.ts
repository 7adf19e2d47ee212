import { isDeepStrictEqual } from 'node:util';
import { addressBits, type NetworkRule, type PortRange, type RuleHost } from '../manifest/host-pattern.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { ConnectorConfig } from './config.ts';
import { sourceText } from './secrets.ts';

/** What a manifest requests against what the config grants; texts of rules and names of secrets. */
export interface GrantComparison {
  readonly network: Compared & { readonly grant: ConnectorConfig['network']['type'] };
  readonly secrets: Compared;
}

interface Compared {
  /** Requested, and granted. */
  readonly granted: readonly string[];
  /** Requested, but not granted, or not wholly. */
  readonly missing: readonly string[];
  /** Granted, but not requested. */
  readonly extra: readonly string[];
}

export function compareGrants(manifest: Pick<Manifest, 'requests'>, config: Pick<ConnectorConfig, 'network' | 'secrets'>): GrantComparison {
  return {
    network: compareNetwork(manifest.requests.network, config.network),
    secrets: compareSecrets(manifest.requests.secrets, config.secrets),
  };
}

function compareNetwork(requested: readonly NetworkRule[], grant: ConnectorConfig['network']): GrantComparison['network'] {
  const texts = requested.map(({ text }) => text);
  switch (grant.type) {
    case 'none':
      return { grant: grant.type, granted: [], missing: texts, extra: [] };
    case 'rules': {
      const granted = requested.filter((rule) => isCovered(rule, grant.rules));
      return {
        grant: grant.type,
        granted: granted.map(({ text }) => text),
        missing: requested.filter((rule) => !granted.includes(rule)).map(({ text }) => text),
        extra: grant.rules.filter((rule) => !isCovered(rule, requested)).map(({ text }) => text),
      };
    }
    case 'observe':
    case 'unrestricted':
    case 'unsafe-host':
      // All that is public, which the grant's own word says better than a list. Addresses are requested for private ranges, which these do not give.
      return {
        grant: grant.type,
        granted: requested.filter((rule) => isGivenAnyway(rule, grant)).map(({ text }) => text),
        missing: requested.filter((rule) => !isGivenAnyway(rule, grant)).map(({ text }) => text),
        extra: [grant.type],
      };
  }
}

function isGivenAnyway(rule: NetworkRule, grant: ConnectorConfig['network']): boolean {
  if (grant.type === 'unsafe-host' || rule.host.type === 'exact' || rule.host.type === 'suffix') return true;
  return grant.type === 'observe' && isCovered(rule, grant.rules);
}

function compareSecrets(requested: readonly string[], granted: ConnectorConfig['secrets']): Compared {
  return {
    granted: requested.filter((name) => Object.hasOwn(granted, name)),
    missing: requested.filter((name) => !Object.hasOwn(granted, name)),
    extra: Object.keys(granted).filter((name) => !requested.includes(name)),
  };
}

/** Whether all that the rule allows is allowed by the others together, each port by any one of them. */
export function isCovered(rule: NetworkRule, others: readonly NetworkRule[]): boolean {
  const ports = others.filter((other) => hostCovers(other.host, rule.host)).flatMap((other) => other.ports);
  return rule.ports.every((range) => rangeCovered(range, ports));
}

function hostCovers(wide: RuleHost, narrow: RuleHost): boolean {
  switch (wide.type) {
    case 'exact':
      return narrow.type === 'exact' && narrow.name === wide.name;
    case 'suffix':
      return (
        (narrow.type === 'exact' && narrow.name.endsWith(`.${wide.suffix}`)) ||
        (narrow.type === 'suffix' && (narrow.suffix === wide.suffix || narrow.suffix.endsWith(`.${wide.suffix}`)))
      );
    case 'address':
      return (
        (narrow.type === 'address' && narrow.address === wide.address) ||
        (narrow.type === 'cidr' && isSingle(narrow) && narrow.base === wide.address)
      );
    case 'cidr':
      return narrow.type === 'address'
        ? blockCovers(wide, { base: narrow.address, prefix: bitsOf(narrow.address) })
        : narrow.type === 'cidr' && blockCovers(wide, narrow);
  }
}

interface Block {
  readonly base: string;
  readonly prefix: number;
}

function isSingle({ base, prefix }: Block): boolean {
  return prefix === bitsOf(base);
}

function bitsOf(address: string): 32 | 128 {
  return address.includes(':') ? 128 : 32;
}

function blockCovers(wide: Block, narrow: Block): boolean {
  const bits = bitsOf(wide.base);
  if (bits !== bitsOf(narrow.base) || narrow.prefix < wide.prefix) return false;
  const shift = BigInt(bits - wide.prefix);
  return addressBits(wide.base) >> shift === addressBits(narrow.base) >> shift;
}

function rangeCovered({ from, to }: PortRange, ranges: readonly PortRange[]): boolean {
  let next = from;
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    if (range.from > next) break;
    next = Math.max(next, range.to + 1);
  }
  return next > to;
}

// ---- policy diff --------------------------------------------------------------------------------------------------------------

/** How a connector's grants changed between two configs. Widening is what a reviewer must see. */
export interface GrantChange {
  readonly widened: readonly string[];
  readonly narrowed: readonly string[];
}

type Grants = Pick<ConnectorConfig, 'network' | 'secrets' | 'context' | 'sandbox' | 'dataFolder' | 'readOnlyPaths'>;

/** From least to most; `rules` and `observe` are compared by their rules too. */
const networkOrder = ['none', 'rules', 'unrestricted', 'observe', 'unsafe-host'] as const;

/** `before` undefined: the connector is new; `after` undefined: it is gone. */
export function diffGrants(before: Grants | undefined, after: Grants | undefined): GrantChange {
  return { widened: beyond(before ?? nothing, after ?? nothing), narrowed: beyond(after ?? nothing, before ?? nothing) };
}

const nothing: Grants = { network: { type: 'none' }, secrets: {}, context: [], sandbox: 'enforced', readOnlyPaths: [] };

/** What `b` gives beyond `a`. */
function beyond(a: Grants, b: Grants): readonly string[] {
  const rules = rulesOf(b).filter((rule) => !isWithin(rule, a.network) && !isCovered(rule, rulesOf(a)));
  const isWider = b.network.type !== 'rules' && networkOrder.indexOf(b.network.type) > networkOrder.indexOf(a.network.type);
  return [
    ...(isWider ? [`network: ${b.network.type}`] : []),
    ...rules.map(({ text }) => `network: ${text}`),
    ...secretsBeyond(a.secrets, b.secrets),
    ...contextBeyond(a.context, b.context),
    ...(b.sandbox === 'none' && a.sandbox !== 'none' ? ['sandbox: none'] : []),
    ...(b.dataFolder !== undefined && b.dataFolder !== a.dataFolder ? [`dataFolder: ${b.dataFolder}`] : []),
    ...b.readOnlyPaths.flatMap((path) => (a.readOnlyPaths.includes(path) ? [] : [`readOnlyPath: ${path}`])),
  ];
}

/** A secret that is read from elsewhere is another secret under the old name. */
function secretsBeyond(a: Grants['secrets'], b: Grants['secrets']): readonly string[] {
  return Object.entries(b).flatMap(([name, source]) => {
    if (!Object.hasOwn(a, name)) return [`secret: ${name}`];
    return isDeepStrictEqual(a[name], source) ? [] : [`secret: ${name} from ${sourceText(source)}`];
  });
}

function contextBeyond(a: Grants['context'], b: Grants['context']): readonly string[] {
  if (a === undefined) return [];
  if (b === undefined) return ['context: whatever its manifest asks for'];
  return b.filter((name) => !a.includes(name)).map((name) => `context: ${name}`);
}

/** Whether the kind of network lets the rule's hosts through by itself. `unrestricted` opens no private range: only a rule does. */
function isWithin({ host }: NetworkRule, { type }: Grants['network']): boolean {
  if (type === 'unsafe-host') return true;
  return networkOrder.indexOf(type) >= 2 && (host.type === 'exact' || host.type === 'suffix');
}

function rulesOf({ network }: Grants): readonly NetworkRule[] {
  return network.type === 'rules' || network.type === 'observe' ? network.rules : [];
}
