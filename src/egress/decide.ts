import type { NetworkRule } from '../manifest/host-pattern.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { NetworkPolicy } from '../manifest/network.ts';
import { classifyAddress, type IpAddress, isInBlock, parseAddress } from './address.ts';
import { authorityText, hostOf, type Target } from './authority.ts';

/** An answer of the checkpoint, always with its reason. Reasons are part of the audit log: added, never renamed. */
export type Decision =
  | { readonly verdict: 'allow'; readonly reason: AllowReason /** Text of the rule that allowed it. */; readonly rule?: string }
  | {
      readonly verdict: 'deny';
      readonly reason: DenyReason;
      readonly rule?: string /** Names the thing, the state and the repair. */;
      readonly message: string;
    };

export type AllowReason =
  | 'rule'
  | 'unrestricted'
  /** `network: observe`: no rule allows it, and it goes through on record. */
  | 'observed';

export type DenyReason =
  | 'not_in_rules'
  | 'no_network'
  /** Not a host and port, in whatever the client sent. */
  | 'bad_target'
  | 'bad_request'
  | 'refused_address'
  /** TLS for another host than the one decided on. */
  | 'server_name_mismatch'
  | 'too_many_connections'
  | 'too_many_names'
  | 'unresolvable'
  /** The audit log cannot be written, so nothing goes out. */
  | 'audit_unavailable'
  | 'session_closed';

export interface DecideArgs {
  readonly connector: ConnectorName;
  readonly network: NetworkPolicy;
  readonly target: Target;
}

/** May this connector name this target at all? Pure; deny by default. Addresses that a name resolves to are judged by `decideAddresses`. */
export function decide({ connector, network, target }: DecideArgs): Decision {
  switch (network.type) {
    case 'rules':
    case 'observe': {
      const rule = network.rules.find((candidate) => ruleNames(candidate, target));
      if (rule) return { verdict: 'allow', reason: 'rule', rule: rule.text };
      return network.type === 'observe' ? { verdict: 'allow', reason: 'observed' } : denyNotInRules(connector, authorityText(target));
    }
    case 'unrestricted':
      return { verdict: 'allow', reason: 'unrestricted' };
    case 'none':
    case 'unsafe-host':
      return denyNoNetwork(connector, authorityText(target));
  }
}

/** May this connector look this name up, whatever the port? */
export function decideName({ connector, network, name }: { connector: ConnectorName; network: NetworkPolicy; name: string }): Decision {
  if (network.type !== 'rules') return decide({ connector, network, target: { type: 'name', name, port: 0 } });
  const rule = network.rules.find((candidate) => hostNames(candidate, { type: 'name', name, port: 0 }));
  if (rule) return { verdict: 'allow', reason: 'rule', rule: rule.text };
  const message = `${name} is not in the rules of connector ${connector}; add it with its port under connectors.${connector}.network`;
  return { verdict: 'deny', reason: 'not_in_rules', message };
}

export interface DecideAddressesArgs extends DecideArgs {
  /** Every address that the target stands for. */
  readonly addresses: readonly IpAddress[];
  readonly ownAddresses: ReadonlySet<string>;
}

/** May all of these addresses be dialled? One refused address denies the whole answer: a resolver that mixes them in is not to be believed. */
export function decideAddresses({ connector, network, target, addresses, ownAddresses }: DecideAddressesArgs): Decision | undefined {
  const rules = network.type === 'rules' || network.type === 'observe' ? network.rules : [];
  for (const address of addresses) {
    const found = classifyAddress(address, ownAddresses);
    if (found.type === 'public' || rules.some((rule) => ruleLifts(rule, address, target.port, found.prefix))) continue;
    const rule = authorityText({ type: 'address', address, port: target.port });
    const what = target.type === 'address' ? rule : `${authorityText(target)} resolves to ${address.text}, which`;
    const message = `${what} is in a refused range (${found.range}) and no rule of connector ${connector} names it; add ${rule} under connectors.${connector}.network if it is meant`;
    return { verdict: 'deny', reason: 'refused_address', message };
  }
  return undefined;
}

function denyNotInRules(connector: ConnectorName, what: string): Decision {
  const message = `${what} is not in the rules of connector ${connector}; add it under connectors.${connector}.network`;
  return { verdict: 'deny', reason: 'not_in_rules', message };
}

/** Host and port of the rule cover the target. A name is never covered by an address rule: looking it up would already tell the name. */
function ruleNames(rule: NetworkRule, target: Target): boolean {
  return hasPort(rule, target.port) && hostNames(rule, target);
}

function denyNoNetwork(connector: ConnectorName, what: string): Decision {
  const message = `${what} is out of reach: connector ${connector} has no network; add it under connectors.${connector}.network`;
  return { verdict: 'deny', reason: 'no_network', message };
}

function hostNames({ host }: NetworkRule, target: Target): boolean {
  switch (host.type) {
    case 'exact':
      return target.type === 'name' && target.name === host.name;
    case 'suffix':
      return target.type === 'name' && target.name.endsWith(`.${host.suffix}`);
    case 'address':
    case 'cidr':
      return target.type === 'address' && covers(host, target.address);
  }
}

/** A CIDR rule wider than the refused block was not written with that block in mind, so it does not open it. */
function ruleLifts(rule: NetworkRule, address: IpAddress, port: number, refusedPrefix: number): boolean {
  const { host } = rule;
  if (!hasPort(rule, port)) return false;
  if (host.type === 'address') return covers(host, address);
  return host.type === 'cidr' && host.prefix >= refusedPrefix && covers(host, address);
}

function covers(host: Extract<NetworkRule['host'], { type: 'address' | 'cidr' }>, address: IpAddress): boolean {
  const base = parseAddress(host.type === 'address' ? host.address : host.base);
  return base !== undefined && isInBlock(address, base, host.type === 'address' ? base.bytes.length * 8 : host.prefix);
}

function hasPort({ ports }: NetworkRule, port: number): boolean {
  return ports.some(({ from, to }) => from <= port && port <= to);
}

/** `serverName` undefined: a ClientHello, or a name in it, that cannot be read. */
export function denyServerName(
  connector: ConnectorName,
  target: Target,
  serverName: string | undefined,
): Extract<Decision, { verdict: 'deny' }> {
  const said = serverName === undefined ? 'TLS that cannot be read' : `TLS for ${serverName}`;
  const message = `${said} was sent to ${authorityText(target)} by connector ${connector}; its server name must be ${hostOf(target)}`;
  return { verdict: 'deny', reason: 'server_name_mismatch', message };
}
