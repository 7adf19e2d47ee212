import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';
import { createServer, request } from '../lib/node-http.ts';
import { authorityText, parseAuthority, type Target } from './authority.ts';
import type { Outbound, Outcome } from './outbound.ts';

/** What the HTTP front asks of the session a client belongs to. */
export interface HttpClient {
  /** Undefined: the target cannot be read; `said` is what was sent. */
  readonly open: (target: Target | undefined, said: string, via: 'http' | 'connect') => Promise<Outcome>;
  readonly join: (client: Duplex, outbound: Outbound) => void;
  /** What came is no HTTP request, or one that could be read in two ways. */
  readonly onMalformed: () => void;
}

export interface HttpFront {
  /** Takes over a connection whose first bytes are HTTP. */
  serve(socket: Duplex, client: HttpClient): void;
}

const requestHeadBytesMax = 16_384;
/** Requests of one connection that may be under way: a pipelining client does not get around the limits of connections. */
const requestsInFlightMax = 16;

/**
 * An HTTP/1.1 forward proxy with CONNECT. Each request is judged alone; nothing follows redirects, nothing is kept for a later request.
 * Node's own parser refuses what could be read in two ways (RFC 9112 §11.2).
 */
export function createHttpFront({ headTimeoutMs }: { headTimeoutMs: number }): HttpFront {
  const clients = new WeakMap<Duplex, HttpClient & ReturnType<typeof createRequestTimer>>();
  const server: Server = createServer({ maxHeaderSize: requestHeadBytesMax, keepAliveTimeout: 0, insecureHTTPParser: false });
  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    const client = clients.get(incoming.socket);
    if (!client?.begin(response)) return void incoming.socket.destroy();
    forward(incoming, response, client).catch(() => incoming.socket.destroy());
  };
  server.on('request', onRequest).on('checkContinue', onRequest);
  server.on('connect', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    const client = clients.get(socket);
    client?.stop();
    // At once: after the client's half has ended nothing can be put back.
    if (head.length > 0) socket.unshift(head);
    if (!client) socket.destroy();
    else connectThrough(incoming, socket, client).catch(() => socket.destroy());
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A client that goes away in the middle of a request asked for nothing yet.
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') clients.get(socket)?.onMalformed();
    if (socket.writable && !socket.destroyed) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', () => socket.destroy());
    else socket.destroy();
  });
  return {
    serve(socket, client) {
      clients.set(socket, { ...client, ...createRequestTimer(socket, headTimeoutMs) });
      server.emit('connection', socket);
    },
  };
}

/** Node's time-outs work for servers that listen only, so the wait for a request head is bounded here. */
function createRequestTimer(socket: Duplex, headTimeoutMs: number) {
  let inFlight = 0;
  const timer = setTimeout(() => {
    // A request that is under way has the time-outs of its outward connection.
    if (inFlight === 0) socket.destroy();
  }, headTimeoutMs);
  socket.once('close', () => clearTimeout(timer));
  const finish = (): void => {
    inFlight -= 1;
    if (inFlight === 0 && !socket.destroyed) timer.refresh();
  };
  return {
    /** False: too many at once. */
    begin(response: ServerResponse): boolean {
      inFlight += 1;
      response.once('close', finish);
      return inFlight <= requestsInFlightMax;
    },
    stop: () => clearTimeout(timer),
  };
}

// ---- CONNECT ------------------------------------------------------------------------------------------------------------------

async function connectThrough({ url = '' }: IncomingMessage, socket: Duplex, client: HttpClient): Promise<void> {
  const outcome = await client.open(parseAuthority(url), url, 'connect');
  switch (outcome.type) {
    case 'denied':
      return refuseConnect(
        socket,
        outcome.decision.reason === 'bad_target' ? '400 Bad Request' : '403 Forbidden',
        outcome.decision.message,
      );
    case 'unreachable':
      return refuseConnect(socket, '502 Bad Gateway', outcome.message);
    case 'open':
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      return client.join(socket, outcome.outbound);
  }
}

function refuseConnect(socket: Duplex, status: string, message: string): void {
  const body = `${message}\n`;
  const lines = [
    `HTTP/1.1 ${status}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

// ---- forward ------------------------------------------------------------------------------------------------------------------

async function forward(incoming: IncomingMessage, response: ServerResponse, client: HttpClient): Promise<void> {
  const { url = '' } = incoming;
  const parsed = parseAbsolute(url);
  const outcome = await client.open(parsed?.target, url, 'http');
  if (outcome.type === 'denied') return refuse(response, outcome.decision.reason === 'bad_target' ? 400 : 403, outcome.decision.message);
  if (outcome.type === 'unreachable') return refuse(response, 502, outcome.message);
  const { outbound } = outcome;
  if (response.destroyed || !parsed) return outbound.end('reset');
  if (incoming.headers.expect !== undefined) response.writeContinue();
  try {
    exchange({ incoming, response, outbound, parsed });
  } catch {
    outbound.end('reset');
    refuse(response, 400, 'the request has a header, path or transfer coding that cannot be forwarded');
  }
}

interface AbsoluteUrl {
  readonly target: Target;
  readonly path: string;
}

/** `http://authority/path` only: the origin form names no host, and `https://` needs CONNECT. */
function parseAbsolute(url: string): AbsoluteUrl | undefined {
  const match = /^http:\/\/([^/?#]*)([/?][^#\s]*)?$/i.exec(url);
  const target = match ? parseAuthority(match[1] ?? '', 80) : undefined;
  if (!target) return undefined;
  const path = match?.[2] ?? '/';
  return { target, path: path.startsWith('?') ? `/${path}` : path };
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly outbound: Outbound;
  readonly parsed: AbsoluteUrl;
}

function exchange({ incoming, response, outbound, parsed }: Exchange): void {
  const outgoing = request({
    createConnection: () => outbound.socket,
    method: incoming.method,
    path: parsed.path,
    headers: { ...endToEnd(incoming), ...framing(incoming), host: hostHeader(parsed.target) },
    setHost: false,
  });
  const fail = (what: string): void => {
    refuse(response, 502, `${authorityText(parsed.target)} ${what}`);
    outbound.end('reset');
  };
  outgoing.once('response', (answer) => {
    if (!writeAnswerHead(response, answer)) return fail('answered with a head that cannot be forwarded');
    pipeline(answer, response, (error) => {
      if (error) response.destroy();
      outbound.end(error ? 'reset' : 'closed');
    });
  });
  // An upstream that answers before it has read everything, or dies: what was answered stands.
  outgoing.on('error', () => {
    if (response.headersSent) response.destroy();
    fail('closed the connection without an answer');
  });
  // Nobody asked for it: `upgrade` goes no further than this hop. Node would drop the connection and say nothing.
  outgoing.once('upgrade', () => fail('answered with a change of protocol'));
  response.once('close', () => outbound.end('closed'));
  incoming.pipe(outgoing);
}

/**
 * False: it cannot be forwarded. Never throws: what a host answers comes in an event, out of which a throw would end the proxy. Node reads
 * statuses from 000 on and control bytes in the reason phrase, and writes neither; the phrase means nothing (RFC 9112 §4), so it writes its own.
 */
function writeAnswerHead(response: ServerResponse, answer: IncomingMessage): boolean {
  const { statusCode = 0 } = answer;
  if (statusCode < 200) return false;
  try {
    response.writeHead(statusCode, endToEnd(answer));
    return true;
  } catch {
    return false;
  }
}

/**
 * A body without a length is chunked on this hop, too. Node does that by itself for some methods only: that of a GET, DELETE or OPTIONS would
 * go out bare, for the host to read as the next request.
 * @throws Error where it is compressed for the hop as well, which would have to be undone here
 */
function framing({ headers }: IncomingMessage): { 'transfer-encoding'?: 'chunked' } {
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return {};
  if (coding.trim().toLowerCase() !== 'chunked') throw new Error('a transfer coding other than chunked');
  return { 'transfer-encoding': 'chunked' };
}

/** What the policy saw, whatever Host header the client sent. */
function hostHeader(target: Target): string {
  const text = authorityText(target);
  return target.port === 80 ? text.replace(/:80$/, '') : text;
}

const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
]);

/** RFC 9110 §7.6.1: what belongs to one hop, and what its Connection header names, goes no further. */
function endToEnd({ headers }: IncomingMessage): Record<string, string | string[]> {
  const named = (headers.connection ?? '').toLowerCase().split(',');
  const dropped = new Set([...hopByHop, ...named.map((name) => name.trim())]);
  // Framing is the parser's: a Connection header cannot take the length away.
  dropped.delete('content-length');
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined && !dropped.has(name)) kept[name] = value;
  return kept;
}

/** RFC 9209: says that it is the gateway that answers, not the host that was asked for. */
function proxyStatus(status: number): string {
  return `bulkhead; error=${status === 502 ? 'connection_refused' : status === 403 ? 'http_request_denied' : 'http_request_error'}`;
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent || response.destroyed) return;
  const head = { 'content-type': 'text/plain; charset=utf-8', 'proxy-status': proxyStatus(status), connection: 'close' };
  response.writeHead(status, head);
  response.end(`${message}\n`);
}
