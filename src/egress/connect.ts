import { connect, type Socket } from 'node:net';

/** A target that was allowed and cannot be reached. */
export class DialError extends Error {
  override readonly name = 'DialError';
  /** `ECONNREFUSED`, `ETIMEDOUT`, … or `PROXY_403`. */
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** One TCP connection; `host` is an address, or the name of the deployer's own proxy. */
export function connectTo(options: { host: string; port: number; timeoutMs: number; signal: AbortSignal }): Promise<Socket> {
  const { host, port, timeoutMs, signal } = options;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    // Its 'close' tells all there is to know; an 'error' without a listener would end the proxy.
    socket.on('error', () => {});
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError).removeListener('connect', onConnect);
      done();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        socket.destroy();
        reject(error);
      });
    const onError = (error: Error): void => fail(error);
    const onAbort = (): void => fail(signal.reason);
    const onConnect = (): void => settle(() => resolve(socket));
    const timer = setTimeout(() => fail(Object.assign(new Error('connect timed out'), { code: 'ETIMEDOUT' })), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError).once('connect', onConnect);
  });
}
