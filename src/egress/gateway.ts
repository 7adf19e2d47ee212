import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { NetworkPolicy } from '../manifest/network.ts';
import { parseAddress } from './address.ts';
import type { AuditLog } from './audit.ts';
import { createDenials } from './denials.ts';
import { createHttpFront } from './http-front.ts';
import { type EgressLimits, egressLimitDefaults } from './limits.ts';
import { hostListenersMax, type ListenerPlan, planNetwork } from './listener-plan.ts';
import { createResolver, type Resolve } from './resolve.ts';
import { Session } from './session.ts';
import { createTally } from './tally.ts';
import type { UpstreamProxy } from './upstream-proxy.ts';

/** The only way out for a connector: it decides, resolves, checks every address, dials the checked one and keeps the record. */
export interface EgressGateway {
  /** One session a worker process: whose connection it is is known by the listener it came in on, never by what it says. */
  open(options: EgressSessionOptions): EgressSession;
  /** Ends every session. The audit log is closed by whoever opened it, after this. */
  close(): Promise<void>;
}

export interface EgressSessionOptions {
  readonly connector: ConnectorName;
  readonly network: NetworkPolicy;
  /** Told of each refusal, as it happens; floods are thinned. */
  readonly onDenied: (denial: EgressDenial) => void;
  /** Ids of the invocations in flight, for the audit log. */
  readonly invocations: () => readonly string[];
}

export interface EgressDenial {
  /** e.g. `api.foo.com:443 is not in the rules of connector x; add it under connectors.x.network` */
  readonly message: string;
  readonly host: string;
  /** 0 when a name was only looked up. */
  readonly port: number;
}

export interface EgressSession {
  /** Listeners to make inside the connector's network namespace, in this order; index = identity. Empty for `none` and `unsafe-host`. */
  readonly listeners: readonly ListenerPlan[];
  /** Lines of the connector's /etc/hosts, beside localhost. */
  readonly hosts: readonly { readonly address: string; readonly name: string }[];
  /** Addresses and CIDR blocks of the rules. A runner that can says `ip route add local X dev lo`, so that clients that dial them land on the listeners. */
  readonly localRoutes: readonly string[];
  /** Proxy variables for every common client. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * A connection that came in on listener `index`; the session owns it from here. `localAddress` is the address the client dialled:
   * needed where `socket` is not a net.Socket that knows it (a relay).
   */
  accept(index: number, socket: Duplex, localAddress?: string): void;
  /** A DNS query that came to the udp listener; undefined: send nothing. */
  answerDns(query: Uint8Array): Promise<Uint8Array | undefined>;
  /** Destroys every open connection of the session. Idempotent. */
  close(): void;
}

export interface EgressGatewayOptions {
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly limits?: Partial<EgressLimits>;
  readonly upstreamProxy?: UpstreamProxy | undefined;
  /** DNS servers to ask instead of the system's resolver. */
  readonly dnsServers?: readonly string[] | undefined;
  /** Default: the system's resolver, or `dnsServers`. */
  readonly resolve?: Resolve;
  /** Addresses that are refused since they are this host's own; default: what its interfaces have. */
  readonly ownAddresses?: () => ReadonlySet<string>;
}

export function createEgressGateway(options: EgressGatewayOptions): EgressGateway {
  const limits: EgressLimits = { ...egressLimitDefaults, ...options.limits };
  const { audit, log, upstreamProxy, ownAddresses = createOwnAddresses() } = options;
  const resolve = options.resolve ?? createResolver({ ...limits, ...serversOf(options.dnsServers) });
  const tallies = { ownerMax: limits.connectionsMax, totalMax: limits.connectionsTotalMax };
  const inward = createTally(tallies);
  const outward = createTally(tallies);
  const http = createHttpFront(limits);
  const sessions = new Set<Session>();
  let connections = 0;
  const nextConnection = (): number => {
    connections += 1;
    return connections;
  };
  return {
    open({ connector, network, onDenied, invocations }) {
      const { denialsPerMinuteMax } = limits;
      const denials = createDenials({ connector, invocations, audit, onDenied, denialsPerMinuteMax });
      const shared = { limits, resolve, audit, ownAddresses, upstreamProxy, inward, outward, http, nextConnection };
      const session = new Session({ ...shared, connector, network, invocations, denials, onClosed: () => sessions.delete(session) });
      sessions.add(session);
      warnOfProxyOnly(log, connector, network);
      return session;
    },
    async close() {
      for (const session of sessions) session.close();
    },
  };
}

function serversOf(servers: readonly string[] | undefined): { servers?: readonly string[] } {
  return servers && servers.length > 0 ? { servers } : {};
}

function warnOfProxyOnly(log: Logger, connector: ConnectorName, network: NetworkPolicy): void {
  const { proxyOnlyPorts } = planNetwork(network);
  if (proxyOnlyPorts === 0) return;
  const message = `the rules of connector ${connector} have ${proxyOnlyPorts} ports more than the ${hostListenersMax} that get a listener; those are reached through the proxy variables only`;
  log.warn({ connector }, message);
}

/** Interfaces come and go, but not within this time. */
const ownAddressesAgeMaxMs = 10_000;

function createOwnAddresses(): () => ReadonlySet<string> {
  let known: { readonly addresses: ReadonlySet<string>; readonly at: number } | undefined;
  return () => {
    if (known && performance.now() - known.at < ownAddressesAgeMaxMs) return known.addresses;
    const texts = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const addresses = texts.flatMap(({ address }) => parseAddress(address.replace(/%.*$/, ''))?.text ?? []);
    known = { addresses: new Set(addresses), at: performance.now() };
    return known.addresses;
  };
}
