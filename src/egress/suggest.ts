import { type NetworkRule, parseNetworkRule } from '../manifest/host-pattern.ts';
import type { AuditRecord, DecisionRecord } from './audit-record.ts';

export interface Suggestion {
  /** The smallest rules that allow what was let through, in canonical form; sorted. */
  readonly rules: readonly string[];
  /** Rules of the config that nothing used; they could go. */
  readonly unused: readonly string[];
  /** What stayed refused even while it was observed (private ranges and the like): to be looked at, not to be copied. */
  readonly refused: readonly { readonly host: string; readonly port: number; readonly reason: string; readonly count: number }[];
}

export interface SuggestOptions {
  readonly connector: string;
  /** Records of the audit log, in any order; those of other connectors are passed over. */
  readonly records: Iterable<AuditRecord>;
  /** What the config grants now. */
  readonly granted: readonly NetworkRule[];
}

/**
 * Exact hosts and ports only: a wildcard is a decision for people. A rule that was used stays as it is, so that what it says
 * beyond the observed stays the deployer’s choice.
 */
export function suggestRules({ connector, records, granted }: SuggestOptions): Suggestion {
  const observed = new Map<string, Set<number>>();
  const used = new Set<string>();
  const refused = new Map<string, Suggestion['refused'][number]>();
  for (const record of records) {
    if (record.type !== 'decision' || record.connector !== connector) continue;
    if (record.rule !== undefined && record.verdict === 'allow') used.add(record.rule);
    if (record.reason === 'observed') addPort(observed, record);
    else if (record.verdict === 'deny') count(refused, record);
  }
  const kept = granted.map(({ text }) => text).filter((text) => used.has(text));
  const rules = [...observed].flatMap(([host, ports]) => ruleText(host, ports));
  return {
    rules: [...new Set([...kept, ...rules])].toSorted(),
    unused: granted.map(({ text }) => text).filter((text) => !used.has(text)),
    refused: [...refused.values()],
  };
}

function addPort(observed: Map<string, Set<number>>, { host, port }: DecisionRecord): void {
  // Port 0: a lookup, which the connection that followed tells better.
  if (port === 0) return;
  const ports = observed.get(host) ?? new Set();
  observed.set(host, ports.add(port));
}

function count(refused: Map<string, Suggestion['refused'][number]>, { host, port, reason }: DecisionRecord): void {
  const key = `${host} ${port} ${reason}`;
  refused.set(key, { host, port, reason, count: (refused.get(key)?.count ?? 0) + 1 });
}

/** Canonical, or nothing for a host that no rule may name. */
function ruleText(host: string, ports: ReadonlySet<number>): readonly string[] {
  const result = parseNetworkRule(`${host.includes(':') ? `[${host}]` : host}:${[...ports].toSorted((a, b) => a - b).join(',')}`);
  return result.ok ? [result.rule.text] : [];
}
