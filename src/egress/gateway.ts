import type { Duplex } from 'node:stream';
import type { ConnectorName } from '../manifest/names.ts';
import type { NetworkPolicy } from '../manifest/network.ts';
import type { ListenerPlan } from './listener-plan.ts';

/** The only way out for a connector: it decides, resolves, checks every address, dials the checked one and keeps the record. */
export interface EgressGateway {
  /** One session a worker process: whose connection it is is known by the listener it came in on, never by what it says. */
  open(options: EgressSessionOptions): EgressSession;
  /** Ends every session and flushes the audit log. */
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
