import { lookup, Resolver } from 'node:dns/promises';
import type { ConnectorName } from '../manifest/names.ts';
import { type IpAddress, parseAddress } from './address.ts';
import { createFairQueue, type Queued } from './fair-queue.ts';

/** Every address of a name, once; rejects when there is none, it takes too long, too many lookups wait, or the signal aborts. */
export type Resolve = (name: string, asker: Asker) => Promise<readonly IpAddress[]>;

export interface Asker {
  readonly connector: ConnectorName;
  readonly signal: AbortSignal;
}

export interface ResolverOptions {
  readonly lookupTimeoutMs: number;
  /** Lookups of one connector that may wait for a slot of the system's resolver. */
  readonly lookupsWaitingMax: number;
  /**
   * DNS servers to ask (`address` or `address:port`) instead of the system's resolver. Not bound to the few threads that the system's resolver
   * blocks, but blind to /etc/hosts and search domains.
   */
  readonly servers?: readonly string[];
}

/** Addresses of one answer that are looked at; more is no honest answer. */
export const addressesMax = 32;
/**
 * System lookups at once. getaddrinfo blocks a thread for as long as it takes, 10 s where the name server is silent, and cannot be called off.
 * libuv lets it have half of its pool, so that files, among them the logs, have the other half: main.ts makes the pool twice this large.
 */
export const systemLookupsMax = 4;
/** Of those, one connector's: one name that does not resolve stops none of its others, and two such connectors are needed to stop a third. */
export const systemLookupsShare = 2;

export class LookupError extends Error {
  override readonly name = 'LookupError';
}

/** Undefined: too many wait already. */
type Query = (name: string, connector: ConnectorName) => Queued<readonly string[]> | undefined;

interface SharedLookup extends Queued<readonly string[]> {
  askers: number;
}

export function createResolver(options: ResolverOptions): Resolve {
  const { lookupTimeoutMs, lookupsWaitingMax, servers } = options;
  const query = servers ? queryServers(servers, lookupTimeoutMs) : querySystem(lookupsWaitingMax);
  /** By connector, too: whoever shared another's lookup would share its place in the queue. */
  const lookups = new Map<string, SharedLookup>();
  const share = (name: string, connector: ConnectorName): SharedLookup => {
    const key = `${connector} ${name}`;
    const found = lookups.get(key);
    if (found !== undefined) return found;
    const queued = query(name, connector);
    if (queued === undefined) {
      throw new LookupError(`${name} was not looked up: ${lookupsWaitingMax} lookups of connector ${connector} wait already`);
    }
    const forget = (): void => void lookups.delete(key);
    queued.result.then(forget, forget);
    const drop = (): boolean => {
      const wasWaiting = queued.drop();
      if (wasWaiting) forget();
      return wasWaiting;
    };
    const shared = { result: queued.result, askers: 0, drop };
    lookups.set(key, shared);
    return shared;
  };
  return async (name, { connector, signal }) => {
    signal.throwIfAborted();
    const shared = share(name, connector);
    shared.askers += 1;
    try {
      return checkAnswer(name, await within(shared.result, lookupTimeoutMs, name, signal));
    } finally {
      shared.askers -= 1;
      // Nobody waits for it any more; one that runs goes on, for whoever asks next.
      if (shared.askers === 0) shared.drop();
    }
  };
}

function checkAnswer(name: string, texts: readonly string[]): readonly IpAddress[] {
  const addresses = texts.map(parseAddress);
  if (addresses.length === 0) throw new LookupError(`${name} has no address`);
  if (addresses.length > addressesMax) throw new LookupError(`${name} has more than ${addressesMax} addresses`);
  if (addresses.includes(undefined)) throw new LookupError(`${name} has an address that cannot be read (a zone id, perhaps)`);
  return addresses.filter((address) => address !== undefined);
}

function querySystem(lookupsWaitingMax: number): Query {
  const queue = createFairQueue({ slots: systemLookupsMax, share: systemLookupsShare, waitingMax: lookupsWaitingMax });
  return (name, connector) => queue.add(connector, () => systemLookup(name));
}

async function systemLookup(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true, order: 'verbatim' })).map(({ address }) => address);
  } catch (error) {
    throw new LookupError(`${name} cannot be resolved (${codeOf(error)})`, { cause: error });
  }
}

function queryServers(servers: readonly string[], timeoutMs: number): Query {
  const resolver = new Resolver({ timeout: Math.max(250, Math.floor(timeoutMs / 3)), tries: 2 });
  resolver.setServers(servers);
  const ask = async (name: string): Promise<readonly string[]> => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    if (four.status === 'rejected' && six.status === 'rejected')
      throw new LookupError(`${name} cannot be resolved (${codeOf(four.reason)})`, { cause: four.reason });
    return [four, six].flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  };
  return (name) => ({ result: ask(name), drop: () => false });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}

/** A lookup cannot be called off, only left alone. */
async function within<T>(work: Promise<T>, timeoutMs: number, name: string, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new LookupError(`${name} did not resolve within ${timeoutMs} ms`)), timeoutMs);
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
