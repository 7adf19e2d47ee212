import { lookup, Resolver } from 'node:dns/promises';
import { type IpAddress, parseAddress } from './address.ts';

/** Every address of a name, once; rejects when there is none, it takes too long, or the signal aborts. */
export type Resolve = (name: string, signal: AbortSignal) => Promise<readonly IpAddress[]>;

export interface ResolverOptions {
  readonly lookupTimeoutMs: number;
  /**
   * DNS servers to ask (`address` or `address:port`) instead of the system's resolver. Not bound to the few threads that the system's resolver
   * blocks, but blind to /etc/hosts and search domains.
   */
  readonly servers?: readonly string[];
}

/** Addresses of one answer that are looked at; more is no honest answer. */
export const addressesMax = 32;
/**
 * System lookups at once. getaddrinfo blocks a thread of the pool (4 by default) that files also need, so a connector that asks for slow
 * names could otherwise stop the audit log of all.
 */
export const systemLookupsMax = 2;

export class LookupError extends Error {
  override readonly name = 'LookupError';
}

export function createResolver({ lookupTimeoutMs, servers }: ResolverOptions): Resolve {
  const query = servers ? queryServers(servers, lookupTimeoutMs) : limitParallel(systemLookup, systemLookupsMax);
  const running = new Map<string, Promise<readonly string[]>>();
  const share = (name: string): Promise<readonly string[]> => {
    const found = running.get(name);
    if (found !== undefined) return found;
    const started = query(name).finally(() => running.delete(name));
    running.set(name, started);
    return started;
  };
  return async (name, signal) => {
    const texts = await within(share(name), lookupTimeoutMs, name, signal);
    return checkAnswer(name, texts);
  };
}

function checkAnswer(name: string, texts: readonly string[]): readonly IpAddress[] {
  const addresses = texts.map(parseAddress);
  if (addresses.length === 0) throw new LookupError(`${name} has no address`);
  if (addresses.length > addressesMax) throw new LookupError(`${name} has more than ${addressesMax} addresses`);
  if (addresses.includes(undefined)) throw new LookupError(`${name} has an address that cannot be read (a zone id, perhaps)`);
  return addresses.filter((address) => address !== undefined);
}

async function systemLookup(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true, order: 'verbatim' })).map(({ address }) => address);
  } catch (error) {
    throw new LookupError(`${name} cannot be resolved (${codeOf(error)})`, { cause: error });
  }
}

function queryServers(servers: readonly string[], timeoutMs: number): (name: string) => Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: Math.max(250, Math.floor(timeoutMs / 3)), tries: 2 });
  resolver.setServers(servers);
  return async (name) => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    if (four.status === 'rejected' && six.status === 'rejected')
      throw new LookupError(`${name} cannot be resolved (${codeOf(four.reason)})`, { cause: four.reason });
    return [four, six].flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}

function limitParallel<T>(work: (name: string) => Promise<T>, max: number): (name: string) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (name) => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work(name);
    } finally {
      // The slot passes to the next in line without being freed in between.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

/** A lookup cannot be called off, only left alone. */
async function within<T>(work: Promise<T>, timeoutMs: number, name: string, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
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
