import type { Socket } from 'node:net';
import type { IpAddress } from './address.ts';
import { authorityText, type Target } from './authority.ts';
import { connectTo, DialError } from './connect.ts';
import { connectThroughProxy, type UpstreamProxy } from './upstream-proxy.ts';

export interface DialOptions {
  readonly target: Target;
  /** Checked addresses, tried in this order; empty only where an upstream proxy resolves names. */
  readonly addresses: readonly IpAddress[];
  readonly connectTimeoutMs: number;
  readonly upstreamProxy?: UpstreamProxy | undefined;
  readonly signal: AbortSignal;
}

export interface Dialled {
  readonly socket: Socket;
  /** The address that answered; undefined where the upstream proxy resolved the name. */
  readonly address?: string;
}

/**
 * Dials the very addresses that were checked, one after another; each gets an equal share of the time that is left, so that one dead
 * address does not use it up.
 */
export async function dial(options: DialOptions): Promise<Dialled> {
  const { target, addresses, connectTimeoutMs, upstreamProxy, signal } = options;
  const deadline = performance.now() + connectTimeoutMs;
  if (upstreamProxy) {
    const [address] = addresses;
    const named: Target = address ? { type: 'address', address, port: target.port } : target;
    const socket = await connectThroughProxy({
      proxy: upstreamProxy,
      authority: authorityText(named),
      timeoutMs: connectTimeoutMs,
      signal,
    });
    return { socket, ...(address ? { address: address.text } : {}) };
  }
  let failure: unknown;
  for (const [index, address] of addresses.entries()) {
    const shareMs = (deadline - performance.now()) / (addresses.length - index);
    if (shareMs <= 0) break;
    try {
      return { socket: await connectTo({ host: address.text, port: target.port, timeoutMs: shareMs, signal }), address: address.text };
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw dialError(target, failure);
}

function dialError(target: Target, cause: unknown): DialError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'ETIMEDOUT';
  return new DialError(`${authorityText(target)} cannot be reached (${code})`, code, cause);
}
