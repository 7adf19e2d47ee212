import type { NetworkRule } from '../manifest/host-pattern.ts';
import { isThroughGateway, type NetworkPolicy } from '../manifest/network.ts';

/** A listener that a runner makes inside the connector's network namespace. Its index in `EgressSession.listeners` is its identity. */
export interface ListenerPlan {
  readonly transport: 'tcp' | 'udp';
  /** `0.0.0.0` for hosts: the namespace has loopback only, and the address a client dialled (`localAddress`) says which host it means. */
  readonly address: string;
  readonly port: number;
  readonly role: 'host' | 'proxy' | 'dns';
}

/** Everything that a session's namespace is given, and the way back from a dialled address to a name. */
export interface NetworkPlan {
  readonly listeners: readonly ListenerPlan[];
  readonly hosts: readonly { readonly address: string; readonly name: string }[];
  readonly localRoutes: readonly string[];
  /** Ports of the rules that have no listener, since there are too many: reachable through the proxy port only. */
  readonly proxyOnlyPorts: number;
}

export const proxyAddress = '127.0.0.1';
export const proxyPort = 3128;
export const dnsPort = 53;
/** Host listeners of one worker, each a descriptor of the proxy. Single ports come before ranges. */
export const hostListenersMax = 64;

/** Ports that get a listener where rules name none (`unrestricted`, `observe`): what clients that know no proxy speak most. */
export const commonPorts: readonly number[] = [
  21, 22, 25, 80, 389, 443, 465, 587, 636, 993, 995, 1433, 1521, 3306, 5432, 5671, 5672, 6379, 8080, 8443, 8883, 9092, 9200, 27_017,
];

/** Pure. Nothing where the gateway is no way out. */
export function planNetwork(network: NetworkPolicy): NetworkPlan {
  if (!isThroughGateway(network)) return { listeners: [], hosts: [], localRoutes: [], proxyOnlyPorts: 0 };
  const rules = network.type === 'unrestricted' ? [] : network.rules;
  const wanted = new Set([...portsOf(rules), ...(network.type === 'rules' ? [] : commonPorts)]);
  const ports = [...wanted].slice(0, hostListenersMax);
  // A listener on every address takes the proxy's place on this port; `accept` tells the two apart by the dialled address.
  const proxyHost = ports.includes(proxyPort) ? '0.0.0.0' : proxyAddress;
  const listeners: readonly ListenerPlan[] = [
    { transport: 'tcp', address: proxyHost, port: proxyPort, role: 'proxy' },
    { transport: 'udp', address: proxyAddress, port: dnsPort, role: 'dns' },
    ...ports.filter((port) => port !== proxyPort).map((port) => ({ transport: 'tcp', address: '0.0.0.0', port, role: 'host' }) as const),
  ];
  return { listeners, hosts: planHosts(rules), localRoutes: planRoutes(rules), proxyOnlyPorts: wanted.size - ports.length };
}

/** Single ports first, so that one wide range does not take the place of `:443`. */
function portsOf(rules: readonly NetworkRule[]): readonly number[] {
  const ranges = rules.flatMap(({ ports }) => ports).toSorted((a, b) => a.to - a.from - (b.to - b.from));
  return ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
}

/** 127.0.0.2, 127.0.0.3, …: one for each exact name, in the order of the rules, without those that a rule means literally. */
function planHosts(rules: readonly NetworkRule[]): NetworkPlan['hosts'] {
  const names = new Set(rules.flatMap(({ host }) => (host.type === 'exact' && host.name !== 'localhost' ? [host.name] : [])));
  const taken = new Set(rules.flatMap(({ host }) => loneAddress(host) ?? []));
  let next = 1;
  return [...names].map((name) => {
    let address: string;
    do {
      next += 1;
      address = `127.0.${next >> 8}.${next & 255}`;
    } while (taken.has(address));
    return { address, name };
  });
}

/** `127.0.0.2/32` means one address as much as `127.0.0.2` does. */
function loneAddress(host: NetworkRule['host']): string | undefined {
  if (host.type === 'address') return host.address;
  return host.type === 'cidr' && host.prefix === 32 && !host.base.includes(':') ? host.base : undefined;
}

function planRoutes(rules: readonly NetworkRule[]): readonly string[] {
  const routes = rules.flatMap(({ host }) => {
    if (host.type === 'address') return [host.address];
    return host.type === 'cidr' ? [`${host.base}/${host.prefix}`] : [];
  });
  return [...new Set(routes)].filter((route) => !route.includes(':') && !route.startsWith('127.'));
}
