import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import type { ServerConfig } from '../config/config.ts';
import { ProxyError } from '../errors.ts';
import { createServer } from '../lib/node-http.ts';
import { Slots } from '../lib/slots.ts';
import type { App } from './app.ts';
import { errorEnding } from './envelope.ts';

export interface ServerOptions {
  readonly app: Pick<App, 'handle'>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Whether others may listen there too (SO_REUSEPORT): the kernel gives each connection to one of them. Default false. */
  readonly sharePort?: boolean;
  readonly limits: ServerLimits;
}

export interface ServerLimits extends Pick<ServerConfig, 'headersTimeoutMs' | 'bodyTimeoutMs'> {
  /** Default `connectionsMaxDefault`. */
  readonly connectionsMax?: number;
}

export interface RunningServer {
  readonly url: string;
  /** Open connections. */
  connections(): number;
  /**
   * Takes no new connection, ends idle ones, lets answers that are under way end until the deadline (milliseconds since the epoch),
   * and ends the rest. Afterwards nothing listens and no connection is open. Idempotent.
   */
  close(deadline: number): Promise<void>;
}

/** A connection costs about 10 KB and one descriptor. */
export const connectionsMaxDefault = 4096;
export const headerBytesMax = 16 * 1024;
/** Above the 60 s that balancers and proxies usually keep theirs, so that it is not this side that closes one that is being used. */
export const keepAliveTimeoutMs = 65_000;
/** How often Node looks for connections that are over their time. */
const checkIntervalMs = 500;
/** How often a closing server looks for connections that have become idle. */
const closeIntervalMs = 25;

/** Listens; rejects when it cannot. */
export async function startServer({ app, host, port, sharePort = false, limits }: ServerOptions): Promise<RunningServer> {
  const server = createServer({
    maxHeaderSize: headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    // The body’s own time-out, which can answer, is the app’s; this one is for what has not become a request.
    requestTimeout: limits.headersTimeoutMs + limits.bodyTimeoutMs + 2 * checkIntervalMs,
    connectionsCheckingInterval: checkIntervalMs,
    keepAliveTimeout: keepAliveTimeoutMs,
  });
  server.maxConnections = limits.connectionsMax ?? connectionsMaxDefault;
  server.on('clientError', answerClientError);
  const closing = createClosing(server);
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    closing.serves(incoming.socket, outgoing);
    app.handle(incoming, outgoing);
  };
  // With a listener of its own, a body that waits for "100 Continue" is asked for only once it is wanted.
  server.on('request', handle).on('checkContinue', handle);
  await listen(server, { host, port, reusePort: sharePort });
  return { url: urlOf(server.address() as AddressInfo), connections: closing.connections, close: closing.close };
}

async function listen(server: Server, options: ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(options, resolve);
  await promise;
  server.off('error', reject);
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

interface Closing {
  /** To be told of each request. Once the server closes, the last answer of each connection says that this ends behind it. */
  serves(socket: Socket, outgoing: ServerResponse): void;
  connections(): number;
  close(deadline: number): Promise<void>;
}

interface Connection {
  readonly socket: Socket;
  /** Behind one that says that it ends, Node would drop those still to come. */
  lastAnswer: ServerResponse | undefined;
}

/** At the socket itself, and open ones in `Slots`: what is told there of a Map was true of one whose keys were sockets. */
const connectionKey = Symbol('connection');
type ServedSocket = Socket & { [connectionKey]?: Connection };

function createClosing(server: Server): Closing {
  const open = new Slots<Connection>();
  server.on('connection', (socket: ServedSocket) => {
    const connection = { socket, lastAnswer: undefined };
    socket[connectionKey] = connection;
    const slot = open.add(connection);
    socket.once('close', () => open.remove(slot));
  });
  let closed: Promise<void> | undefined;
  const close = async (deadline: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const { lastAnswer } of open.values()) if (lastAnswer?.headersSent === false) lastAnswer.shouldKeepAlive = false;
    const endIdle = (): void => {
      server.closeIdleConnections();
      // Node counts a connection that has sent nothing as busy.
      for (const { socket } of open.values()) if (socket.bytesRead === 0) socket.destroy();
    };
    endIdle();
    const interval = setInterval(endIdle, closeIntervalMs);
    const timeout = setTimeout(() => server.closeAllConnections(), Math.max(0, deadline - Date.now()));
    await promise;
    // Node tells that all is closed before the connections themselves tell it.
    await Promise.all(open.values().map(({ socket }) => new Promise((ended) => socket.once('close', ended))));
    clearInterval(interval);
    clearTimeout(timeout);
  };
  return {
    serves(socket: ServedSocket, outgoing) {
      if (closed !== undefined) outgoing.shouldKeepAlive = false;
      const connection = socket[connectionKey];
      if (connection !== undefined) connection.lastAnswer = outgoing;
    },
    connections: () => open.size,
    close(deadline) {
      closed ??= close(deadline);
      return closed;
    },
  };
}

/** What is no HTTP gets an answer as far as its connection can still take one. */
function answerClientError(cause: Error & { code?: string }, socket: Socket & { _httpMessage?: ServerResponse | null }): void {
  // An answer that has begun cannot be taken back.
  if (!socket.writable || socket._httpMessage?.headersSent === true) {
    socket.destroy();
    return;
  }
  const [statusLine, error] = clientError(cause.code);
  const { head = '', contentType } = errorEnding(error).answer;
  socket.end(
    `HTTP/1.1 ${statusLine}\r\nContent-Type: ${contentType}\r\nContent-Length: ${head.length}\r\nConnection: close\r\n\r\n${head}`,
  );
}

function clientError(code: string | undefined): readonly [statusLine: string, error: ProxyError] {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['408 Request Timeout', new ProxyError('request_timeout', 'The request did not arrive in time.')];
  if (code === 'HPE_HEADER_OVERFLOW') {
    return [
      '431 Request Header Fields Too Large',
      new ProxyError('invalid_request', `The request headers are larger than ${headerBytesMax} bytes.`),
    ];
  }
  return ['400 Bad Request', new ProxyError('invalid_request', 'The request is not valid HTTP.')];
}
