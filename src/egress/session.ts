import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseAddress } from './address.ts';
import type { Via } from './audit-record.ts';
import { parseName, type Target } from './authority.ts';
import { type Decision, decideName } from './decide.ts';
import { type DnsAnswer, type DnsQuestion, dnsTypeA, readDnsQuestion, writeDnsAnswer } from './dns-message.ts';
import type { HttpFront } from './http-front.ts';
import { type ListenerPlan, type NetworkPlan, planNetwork, proxyAddress, proxyPort } from './listener-plan.ts';
import { createNamePool } from './name-pool.ts';
import { denyTooMany, type Outbound, type OutboundContext, type Outcome, openOutbound, printable } from './outbound.ts';
import { proxyEnvironment } from './proxy-environment.ts';
import { readHead } from './read-head.ts';
import { serveSocks } from './socks-front.ts';
import type { Tally } from './tally.ts';
import { joinTunnel, reset } from './tunnel.ts';

export interface SessionContext extends Omit<OutboundContext, 'signal'> {
  readonly inward: Tally;
  readonly http: HttpFront;
  readonly onClosed: () => void;
}

/** One worker's way out: it knows which listener a connection came in on, and keeps what is open. */
export class Session {
  readonly #context: OutboundContext & SessionContext;
  readonly #plan: NetworkPlan;
  readonly #pool: ReturnType<typeof createNamePool>;
  readonly #nameOfHost: ReadonlyMap<string, string>;
  readonly #hostOfName: ReadonlyMap<string, string>;
  readonly #clients = new Set<Duplex>();
  readonly #closing = new AbortController();
  /** The last name whose lookup was denied, so that its A and its AAAA question make one denial. */
  #deniedLookup = { name: '', at: 0 };

  constructor(context: SessionContext) {
    this.#context = { ...context, signal: this.#closing.signal };
    this.#plan = planNetwork(context.network);
    this.#pool = createNamePool(context.limits.namesMax);
    this.#nameOfHost = new Map(this.#plan.hosts.map(({ address, name }) => [address, name]));
    this.#hostOfName = new Map(this.#plan.hosts.map(({ address, name }) => [name, address]));
  }

  get listeners(): NetworkPlan['listeners'] {
    return this.#plan.listeners;
  }

  get hosts(): NetworkPlan['hosts'] {
    return this.#plan.hosts;
  }

  get localRoutes(): readonly string[] {
    return this.#plan.localRoutes;
  }

  get environment(): Readonly<Record<string, string>> {
    return this.listeners.length === 0 ? {} : proxyEnvironment(proxyAddress, proxyPort);
  }

  accept(index: number, socket: Duplex, localAddress = socket instanceof Socket ? socket.localAddress : undefined): void {
    // Its 'close' tells all there is to know; an 'error' without a listener would end the proxy.
    socket.on('error', () => {});
    const plan = this.#plan.listeners[index];
    const release = this.#context.inward.take(this.#context.connector);
    if (plan?.transport !== 'tcp' || this.#closing.signal.aborted) reset(socket);
    else if (!release) this.#refuseFlood(plan.port, localAddress, socket);
    else {
      this.#keep(socket, release);
      this.#serve(plan, socket, unmapped(localAddress));
      return;
    }
    release?.();
  }

  async answerDns(query: Uint8Array): Promise<Uint8Array | undefined> {
    const question = readDnsQuestion(query);
    if (!question || this.#closing.signal.aborted) return undefined;
    return writeDnsAnswer(question, this.#answerQuestion(question));
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const client of this.#clients) client.destroy();
    this.#context.denials.flush();
    this.#context.onClosed();
  }

  #serve({ role, port }: ListenerPlan, socket: Duplex, dialled: string | undefined): void {
    if (role === 'proxy' && (dialled === undefined || dialled === proxyAddress)) void this.#serveProxy(socket);
    else this.#serveHost(socket, this.#targetOf(dialled, port), dialled).catch(() => reset(socket));
  }

  #keep(socket: Duplex, release: () => void): void {
    if (socket instanceof Socket) socket.setNoDelay(true);
    // Either side may close its half first; the listener that a runner made may not have said so.
    socket.allowHalfOpen = true;
    this.#clients.add(socket);
    socket.once('close', () => {
      this.#clients.delete(socket);
      release();
    });
    if (socket.destroyed) release();
  }

  #refuseFlood(port: number, localAddress: string | undefined, socket: Duplex): void {
    const host = (localAddress && this.#nameOf(localAddress)) ?? localAddress ?? proxyAddress;
    this.#context.denials.tell({ decision: denyTooMany(this.#context.connector), via: 'host', host: printable(host), port });
    reset(socket);
  }

  // ---- who is meant ---------------------------------------------------------------------------------------------------------

  #nameOf(address: string): string | undefined {
    return this.#nameOfHost.get(address) ?? this.#pool.nameOf(address);
  }

  #targetOf(dialled: string | undefined, port: number): Target | undefined {
    if (dialled === undefined) return undefined;
    const name = this.#nameOf(dialled);
    if (name !== undefined) return { type: 'name', name, port };
    const address = parseAddress(dialled);
    return address && { type: 'address', address, port };
  }

  #answerQuestion({ name: asked, type }: DnsQuestion): DnsAnswer {
    const name = parseName(asked);
    const fixed = name === undefined ? undefined : this.#hostOfName.get(name);
    if (name === undefined) return { type: 'no-such-name' };
    if (name === 'localhost') return type === dnsTypeA ? { type: 'address', address: proxyAddress } : { type: 'empty' };
    if (fixed === undefined) {
      const decision = decideName({ ...this.#context, name });
      if (decision.verdict === 'deny') return this.#denyLookup(name, decision);
    }
    if (type !== dnsTypeA) return { type: 'empty' };
    const address = fixed ?? this.#pool.addressOf(name);
    return address === undefined ? this.#denyLookup(name, denyTooManyNames(this.#context.connector)) : { type: 'address', address };
  }

  #denyLookup(name: string, decision: Extract<Decision, { verdict: 'deny' }>): DnsAnswer {
    const now = performance.now();
    const isRepeat = this.#deniedLookup.name === name && now - this.#deniedLookup.at < 1_000;
    this.#deniedLookup = { name, at: now };
    if (!isRepeat) this.#context.denials.tell({ decision, via: 'dns', host: name, port: 0 });
    return decision.reason === 'too_many_names' ? { type: 'failure' } : { type: 'no-such-name' };
  }

  // ---- fronts ---------------------------------------------------------------------------------------------------------------

  async #serveHost(client: Duplex, target: Target | undefined, said = ''): Promise<void> {
    const outcome = await this.#open(target, said, 'host');
    if (outcome.type === 'open') this.#join(client, outcome.outbound);
    else reset(client);
  }

  async #serveProxy(client: Duplex): Promise<void> {
    const { headTimeoutMs } = this.#context.limits;
    try {
      const first = await readHead(client, { bytesMax: 1, timeoutMs: headTimeoutMs, parse: (bytes) => ({ value: bytes[0], used: 0 }) });
      if (first !== 5) return this.#serveHttp(client);
      await serveSocks({
        client,
        headTimeoutMs,
        open: (target, said) => this.#open(target, said, 'socks5'),
        join: ({ outbound }) => this.#join(client, outbound),
      });
    } catch {
      // Ended, too slow or too long before it said what it wants: nothing was asked, so nothing was denied.
      reset(client);
    }
  }

  #serveHttp(client: Duplex): void {
    this.#context.http.serve(client, {
      open: (target, said, via) => this.#open(target, said, via),
      join: (socket, outbound) => this.#join(socket, outbound),
      onMalformed: () => {
        const message = `connector ${this.#context.connector} sent the proxy port something that is no HTTP request, or could be read as two`;
        this.#context.denials.tell({ decision: { verdict: 'deny', reason: 'bad_request', message }, via: 'http', host: '', port: 0 });
      },
    });
  }

  async #open(target: Target | undefined, said: string, via: Via): Promise<Outcome> {
    if (target) return await openOutbound(this.#context, target, via);
    const message = `connector ${this.#context.connector} asked the egress gateway for something that is not host:port`;
    const decision = { verdict: 'deny', reason: 'bad_target', message } as const;
    this.#context.denials.tell({ decision, via, host: printable(said), port: 0 });
    return { type: 'denied', decision };
  }

  #join(client: Duplex, outbound: Outbound): void {
    joinTunnel({ client, outbound, ...this.#context.limits });
  }
}

function denyTooManyNames(connector: string): Extract<Decision, { verdict: 'deny' }> {
  const message = `a worker of connector ${connector} has looked up as many names as it may; it gets new ones after a restart`;
  return { verdict: 'deny', reason: 'too_many_names', message };
}

/** A dual-stack listener tells IPv4 peers in their mapped form. */
function unmapped(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') ? address.slice(7) : address;
}
