import type { Socket } from 'node:net';
import { connectTo, DialError } from './connect.ts';
import { readHead } from './read-head.ts';

/** A proxy that the gateway itself must go through to leave the network it stands in. */
export interface UpstreamProxy {
  readonly host: string;
  readonly port: number;
  /** `Basic …`; a secret. */
  readonly authorization?: string;
  /**
   * Who resolves names. `gateway`: the gateway, so that every address is checked, and the proxy is given the checked address. `proxy`: for
   * networks that resolve no outside names; the proxy is then trusted not to lead to private ranges.
   */
  readonly resolve: 'gateway' | 'proxy';
}

const headBytesMax = 16_384;

export interface ProxyConnectOptions {
  readonly proxy: UpstreamProxy;
  /** `host:port` to ask the proxy for. */
  readonly authority: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A socket that the proxy has connected to the authority. */
export async function connectThroughProxy({ proxy, authority, timeoutMs, signal }: ProxyConnectOptions): Promise<Socket> {
  const deadline = performance.now() + timeoutMs;
  const socket = await connectTo({ host: proxy.host, port: proxy.port, timeoutMs, signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new DialError('the upstream proxy cannot be reached', codeOf(error), error);
  });
  const authorization = proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`);
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const status = await readHead(socket, {
      bytesMax: headBytesMax,
      timeoutMs: Math.max(1, deadline - performance.now()),
      parse: parseStatus,
    });
    if (status === undefined || !status.startsWith('2')) throw refusal(authority, status);
    return socket;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw error instanceof DialError ? error : new DialError('the upstream proxy did not answer', 'ETIMEDOUT', error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function refusal(authority: string, status = 'none'): DialError {
  const repair = status === '407' ? '; correct its user and password in server.egress.upstreamProxy' : '';
  return new DialError(`the upstream proxy refused ${authority} (status ${status})${repair}`, `PROXY_${status}`);
}

function parseStatus(bytes: Buffer): { value: string | undefined; used: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  return { value: /^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(bytes.toString('latin1', 0, end + 2))?.[1], used: end + 4 };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'ETIMEDOUT';
}
