import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { decoders } from './decompress.ts';
import { RequestError } from './errors.ts';
import { type Environment, proxyAuthorization, proxyFor } from './proxy.ts';
import type { PreparedUrl } from './url.ts';

export interface Limits {
  /** From the start of a connection until it stands, TLS included. */
  readonly connectTimeoutMs: number;
  /** Without a byte of the answer. */
  readonly readTimeoutMs: number;
  /** When everything must be over, redirects included: milliseconds since the epoch. */
  readonly endsAt: number;
  /** Of one response, before and after decompression. */
  readonly responseBytesMax: number;
}

export interface Exchange {
  readonly method: string;
  readonly url: PreparedUrl;
  /** All of them, in their order; nothing is added. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: Buffer;
  readonly limits: Limits;
  readonly environment: Environment;
  /** Certificates that are trusted; undefined for those that Node trusts. */
  readonly authorities?: readonly string[];
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  readonly body: Buffer;
}

/** One request and its whole response, over a connection of its own. Throws RequestError. */
export async function exchange(options: Exchange): Promise<HttpResponse> {
  const controller = new AbortController();
  const signal = AbortSignal.any([options.signal, controller.signal]);
  const state = new Progress(options, () => controller.abort());
  try {
    const proxy = proxyFor(options.url, options.environment);
    const tunnel = proxy !== undefined && options.url.scheme === 'https' ? await openTunnel(options, proxy, signal, state) : undefined;
    const message = await respond(start(options, proxy, tunnel, signal), options, state);
    return await read(message, options, state);
  } catch (error) {
    throw state.named(error);
  } finally {
    state.end();
    controller.abort();
  }
}

function start(options: Exchange, proxy: PreparedUrl | undefined, tunnel: Socket | undefined, signal: AbortSignal): ClientRequest {
  const { url, method } = options;
  const direct = proxy === undefined || tunnel !== undefined;
  const extra = direct ? [] : proxyAuthorization(proxy);
  const common = {
    method,
    host: direct ? url.host : proxy.host,
    port: direct ? url.port : proxy.port,
    path: direct ? url.path : `http://${url.netloc}${url.path}`,
    headers: [...options.headers, ...extra].flat(),
    // With an agent, even a new one, Node makes a connection of its own and leaves the tunnel unused.
    agent: tunnel === undefined ? (false as const) : undefined,
    signal,
    maxHeaderSize: 65_536,
  };
  if (url.scheme === 'http') return httpRequest(common);
  const secure = {
    servername: isIP(url.host) === 0 ? url.host : '',
    ...(options.authorities === undefined ? {} : { ca: [...options.authorities] }),
  };
  return httpsRequest({
    ...common,
    ...secure,
    ...(tunnel === undefined ? {} : { createConnection: () => tlsConnect({ socket: tunnel, host: url.host, ...secure }) }),
  });
}

/** CONNECT through the proxy; what comes out is a plain socket to the target. */
function openTunnel({ url }: Exchange, proxy: PreparedUrl, signal: AbortSignal, state: Progress): Promise<Socket> {
  const authority = `${url.host}:${url.port}`;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const headers = [['Host', authority], ...proxyAuthorization(proxy)].flat();
  const connect = httpRequest({ method: 'CONNECT', host: proxy.host, port: proxy.port, path: authority, headers, agent: false, signal });
  state.stage = 'proxy';
  connect.on('connect', (response, socket, head) => {
    state.stage = 'connect';
    if (response.statusCode === 200) resolve(socket);
    else refusalOf(socket, head).then((text) => reject(state.refused(`${response.statusCode} ${response.statusMessage}`, text)), reject);
  });
  connect.on('error', reject);
  connect.end();
  return promise;
}

/** What a proxy says about its refusal: its first bytes, if they come soon. */
async function refusalOf(socket: Socket, head: Buffer): Promise<string> {
  const refusalCharsMax = 500;
  const waitTimeoutMs = 1_000;
  let text = head.toString();
  socket.setTimeout(waitTimeoutMs, () => socket.destroy());
  try {
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.length >= refusalCharsMax) break;
    }
  } catch {
    // What came until then is what there is to tell.
  }
  socket.destroy();
  return text.trim().slice(0, refusalCharsMax);
}

function respond(request: ClientRequest, { url, body, environment }: Exchange, state: Progress): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  if (state.stage === 'start') state.stage = proxyFor(url, environment) !== undefined ? 'proxy' : 'connect';
  request.on('response', resolve);
  request.on('error', reject);
  request.on('socket', (socket) => {
    const ready = () => state.connected();
    if (url.scheme === 'https') socket.once('secureConnect', ready);
    else if (socket.connecting) socket.once('connect', ready);
    else ready();
  });
  // An upgrade nobody asked for is an answer like any other.
  request.on('upgrade', (message, socket) => {
    socket.destroy();
    resolve(message);
  });
  request.end(body);
  return promise;
}

async function read(message: IncomingMessage, { method, limits }: Exchange, state: Progress): Promise<HttpResponse> {
  const chunks: Buffer[] = [];
  state.stage = 'body';
  for await (const chunk of message) {
    state.received += (chunk as Buffer).length;
    if (state.received > limits.responseBytesMax) throw tooLarge(limits);
    state.heard();
    chunks.push(chunk as Buffer);
  }
  const headers: Record<string, string> = {};
  // RFC 9209: the gateway itself answered, not the host that was asked for.
  const refusal = message.headers['proxy-status'];
  if (typeof refusal === 'string' && /^bulkhead\s*;.*\berror=/.test(refusal)) {
    throw state.refused(`${message.statusCode} ${message.statusMessage}`, Buffer.concat(chunks).toString().trim());
  }
  for (const [name, values] of Object.entries(message.headersDistinct)) headers[name] = (values ?? []).join(', ');
  const raw = Buffer.concat(chunks);
  const encoding = method === 'HEAD' ? '' : (headers['content-encoding'] ?? '');
  return {
    status: message.statusCode ?? 0,
    headers,
    setCookies: message.headers['set-cookie'] ?? [],
    body: await decompress(raw, encoding, limits),
  };
}

function tooLarge({ responseBytesMax }: Limits): RequestError {
  return new RequestError(
    'ResponseTooLarge',
    `The response is larger than ${responseBytesMax} bytes; settings.responseBytesMax of the http connector sets the limit`,
  );
}

async function decompress(bytes: Buffer, encoding: string, limits: Limits): Promise<Buffer> {
  const [next, ...rest] = encoding
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .reverse();
  const steps = decoders.get(next ?? '');
  if (steps === undefined || bytes.length === 0) return bytes;
  for (const step of steps) {
    try {
      const plain = await step(bytes, limits.responseBytesMax);
      return await decompress(plain, rest.reverse().join(','), limits);
    } catch (error) {
      if (error instanceof RequestError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limits);
    }
  }
  throw new RequestError(
    'ContentDecodingError',
    `('Received response with content-encoding: ${encoding}, but failed to decode it.', error('incorrect data'))`,
  );
}

/** How far an exchange got, its timers, and with that the name that requests has for a failure. */
class Progress {
  readonly #options: Exchange;
  readonly #abort: () => void;
  #timer: NodeJS.Timeout;
  #timedOut = false;
  stage: 'start' | 'proxy' | 'connect' | 'headers' | 'body' = 'start';
  received = 0;

  constructor(options: Exchange, abort: () => void) {
    this.#options = options;
    this.#abort = abort;
    this.#timer = this.#after(options.limits.connectTimeoutMs);
  }

  connected(): void {
    this.stage = 'headers';
    this.heard();
  }

  /** A sign of life: the read time-out begins again. */
  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#after(this.#options.limits.readTimeoutMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #after(timeoutMs: number): NodeJS.Timeout {
    return setTimeout(
      () => {
        this.#timedOut = true;
        this.#abort();
      },
      Math.max(Math.min(timeoutMs, this.#options.limits.endsAt - Date.now()), 1),
    );
  }

  get #pool(): string {
    const { scheme, host, port } = this.#options.url;
    return `HTTP${scheme === 'https' ? 'S' : ''}ConnectionPool(host='${host}', port=${port})`;
  }

  #retries(cause: string): string {
    return `${this.#pool}: Max retries exceeded with url: ${this.#options.url.path} (Caused by ${cause})`;
  }

  /** A refusal with its reason: the egress gateway names the rule that is missing. */
  refused(status: string, reason: string): RequestError {
    return this.proxyError(`OSError('Tunnel connection failed: ${status}${reason === '' ? '' : `: ${reason}`}')`);
  }

  proxyError(cause: string): RequestError {
    return new RequestError('ProxyError', this.#retries(`ProxyError('Unable to connect to proxy', ${cause})`));
  }

  named(error: unknown): RequestError {
    if (error instanceof RequestError) return error;
    if (this.#timedOut) return this.#timeout(error);
    if (this.#options.signal.aborted) return new RequestError('Cancelled', 'The invocation was cancelled or its deadline came.', error);
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (this.stage === 'body') return this.#broken(error);
    if (isTls(code, message)) return new RequestError('SSLError', this.#retries(`SSLError(${certificateError(code, message)})`), error);
    if (this.stage === 'proxy') return this.proxyError(this.#notConnected(code));
    if (this.stage === 'connect' || this.stage === 'start')
      return new RequestError('ConnectionError', this.#retries(this.#notConnected(code)), error);
    return new RequestError('ConnectionError', `('Connection aborted.', ${aborted(code, message)})`, error);
  }

  #timeout(cause: unknown): RequestError {
    const { limits, url } = this.#options;
    if (this.stage === 'headers' || this.stage === 'body') {
      return new RequestError('ReadTimeout', `${this.#pool}: Read timed out. (read timeout=${limits.readTimeoutMs / 1000})`, cause);
    }
    const inner = `'Connection to ${url.host} timed out. (connect timeout=${limits.connectTimeoutMs / 1000})'`;
    return new RequestError('ConnectTimeout', this.#retries(`ConnectTimeoutError(${inner})`), cause);
  }

  #notConnected(code: string): string {
    const { scheme, host } = this.#options.url;
    // The reference shows the address of an object here; 0x0 stands for it.
    const connection = `<urllib3.connection.HTTP${scheme === 'https' ? 'S' : ''}Connection object at 0x0>`;
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
      const reason = code === 'ENOTFOUND' ? '[Errno -2] Name or service not known' : '[Errno -3] Temporary failure in name resolution';
      return `NameResolutionError("${connection}: Failed to resolve '${host}' (${reason})")`;
    }
    return `NewConnectionError('${connection}: Failed to establish a new connection: ${systemError(code)}')`;
  }

  #broken(cause: unknown): RequestError {
    const { received } = this;
    return new RequestError(
      'ChunkedEncodingError',
      `('Connection broken: IncompleteRead(${received} bytes read)', IncompleteRead(${received} bytes read))`,
      cause,
    );
  }
}

const systemErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: '[Errno 111] Connection refused',
  ECONNRESET: '[Errno 104] Connection reset by peer',
  EHOSTUNREACH: '[Errno 113] No route to host',
  ENETUNREACH: '[Errno 101] Network is unreachable',
  ETIMEDOUT: '[Errno 110] Connection timed out',
  EACCES: '[Errno 13] Permission denied',
};

function systemError(code: string): string {
  return systemErrors[code] ?? code;
}

function isTls(code: string, message: string): boolean {
  return (
    /^(?:ERR_(?:SSL|TLS)_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|EPROTO$)/.test(code) ||
    message.includes('before secure TLS connection')
  );
}

function certificateError(code: string, message: string): string {
  const text = message.replaceAll("'", '"').split('\n')[0]?.trim();
  return /CERT|SIGNATURE|ISSUER|ALTNAME|HOSTNAME/.test(code)
    ? `SSLCertVerificationError(1, 'certificate verify failed: ${text}')`
    : `SSLError(1, '${text}')`;
}

function aborted(code: string, message: string): string {
  if (code.startsWith('HPE_')) return `BadStatusLine('${message.replaceAll("'", '"')}')`;
  if (message === 'socket hang up') return "RemoteDisconnected('Remote end closed connection without response')";
  return code === 'ECONNRESET' ? "ConnectionResetError(104, 'Connection reset by peer')" : `OSError('${systemError(code)}')`;
}
