import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientHelloBytesMax, readClientHello } from './client-hello.ts';
import type { Outbound } from './outbound.ts';
import { HeadError, readHead } from './read-head.ts';

export interface TunnelOptions {
  readonly client: Duplex;
  readonly outbound: Outbound;
  /** From the first byte of a ClientHello to its last. */
  readonly headTimeoutMs: number;
  /** How long a client may take to read what is left after the server has gone. */
  readonly idleTimeoutMs: number;
}

/**
 * Bytes in both directions, with back-pressure, each side closing its half when it likes. The server may speak first; what the client sends
 * first is held back until it is known not to be TLS, or TLS for the right host.
 */
export function joinTunnel(options: TunnelOptions): void {
  const { client, outbound } = options;
  const { socket } = outbound;
  if (client.destroyed) {
    outbound.end('reset');
    return;
  }
  client.once('close', () => {
    if (!isFinished(client)) outbound.end('reset');
  });
  socket.once('close', () => {
    if (isFinished(socket)) endLater(client, options.idleTimeoutMs);
    else reset(client);
  });
  socket.pipe(client);
  admitClient(options).then(
    (isAdmitted) => {
      if (isAdmitted) client.pipe(socket);
      else outbound.end('denied');
    },
    (error: unknown) => {
      // A client that listens only: its half is closed, and the server may go on.
      if (error instanceof HeadError && error.fault === 'ended' && error.bytesRead === 0) socket.end();
      else outbound.end('closed');
    },
  );
}

/** Ends a connection so that its client cannot take it for a complete one. */
export function reset(stream: Duplex): void {
  if (stream instanceof Socket) stream.resetAndDestroy();
  else stream.destroy();
}

/** Silence is bounded by the idle time-out of the outward side, a ClientHello that comes in drips by a time of its own. */
async function admitClient({ client, outbound, headTimeoutMs }: TunnelOptions): Promise<boolean> {
  const first = await readHead(client, { bytesMax: 1, parse: peek });
  if (first.type !== 'incomplete') return outbound.admits(first);
  return outbound.admits(await readHead(client, { bytesMax: 2 * clientHelloBytesMax, timeoutMs: headTimeoutMs, parse: peekWhole }));
}

function endLater(client: Duplex, timeoutMs: number): void {
  if (client.destroyed) return;
  const timer = setTimeout(() => reset(client), timeoutMs);
  client.once('close', () => clearTimeout(timer));
}

function peek(bytes: Buffer) {
  return { value: readClientHello(bytes), used: 0 };
}

function peekWhole(bytes: Buffer) {
  const value = readClientHello(bytes);
  return value.type === 'incomplete' ? undefined : { value, used: 0 };
}

function isFinished(stream: Duplex): boolean {
  return stream.readableEnded && stream.writableFinished;
}
