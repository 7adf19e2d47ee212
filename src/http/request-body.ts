import type { IncomingMessage, ServerResponse } from 'node:http';
// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { ProxyError } from '../errors.ts';
import type { Deadline, Deadlines, Expirable } from '../lib/deadlines.ts';
import { decimalAt } from '../lib/decimal.ts';
import { GrowingBuffer } from '../lib/growing-buffer.ts';
import { GrowingScan } from '../lib/growing-scan.ts';
import type { ScanOptions } from '../lib/json-scan.ts';
import { giveBack } from '../lib/owned-memory.ts';
import { TurnShare } from '../lib/turn-share.ts';
import type { RequestHeaders } from './request-headers.ts';
import { utf8MarkBytes } from './text-encoding.ts';

export interface BodyLimits {
  readonly bodyBytesMax: number;
  /** From the end of the headers to the end of the body. */
  readonly bodyTimeoutMs: number;
}

export interface BodyOptions {
  readonly incoming: IncomingMessage;
  readonly headers: RequestHeaders;
  readonly outgoing: ServerResponse;
  readonly limits: BodyLimits;
  readonly scanOptions: ScanOptions;
  readonly deadlines: Deadlines;
}

export interface ReceivedBody {
  readonly bytes: Buffer;
  /** Of a body that came in several chunks and is UTF-8: begun meanwhile, behind a byte order mark. It is to be finished with the whole. */
  readonly scan?: GrowingScan | undefined;
}

/**
 * A whole body that came with its headers, as most clients send small ones: then there is nothing to wait for, with four listeners and a
 * deadline. Python’s http.client sends it behind them, for a tenth more CPU of a call with its connection. Undefined where it did
 * not come with them, or there is none. Throws `payload_too_large` where the request says itself that it is.
 */
export function takeBody({ incoming, headers, limits }: BodyOptions): ReceivedBody | undefined {
  const declared = declaredBytes(headers);
  if (declared > limits.bodyBytesMax) throw tooLarge(limits);
  const bytes = declared > 0 && incoming.readableLength === declared ? (incoming.read() as Buffer | null) : null;
  return bytes === null ? undefined : { bytes };
}

/**
 * The whole body of a request as one buffer, with the scan of it where it is large. Rejects with `payload_too_large` as soon as it is known
 * to be too large, without reading on; with `request_timeout`; with `cancelled` when the client goes away.
 */
export function receiveBody(options: BodyOptions): Promise<ReceivedBody> {
  const { incoming, headers, outgoing } = options;
  return new Promise((resolve, reject) => {
    const body = new IncomingBody(options, resolve, reject);
    // A client that asked first is told to send only now that its body is wanted; one of HTTP/1.0 does not know that answer (RFC 9110, 10.1.1).
    if (headers.expect !== undefined && incoming.httpVersion !== '1.0') outgoing.writeContinue();
    const onClose = (): void => body.leave();
    // The listeners stay: they go with the request, and taking four of them off costs more than a flag.
    incoming
      .on('data', (chunk: Buffer) => body.add(chunk))
      .on('end', () => body.end())
      .on('error', onClose)
      .on('close', onClose);
  });
}

function declaredBytes(headers: RequestHeaders): number {
  const length = headers['content-length'];
  return length === undefined ? 0 : decimalAt(length);
}

/** A body on its way: settled once, by its end, its size, its deadline, or the client’s leaving. */
class IncomingBody implements Expirable {
  readonly #options: BodyOptions;
  readonly #resolve: (body: ReceivedBody) => void;
  readonly #reject: (error: ProxyError) => void;
  readonly #deadline: Deadline;
  #isOver = false;
  #turnShare: TurnShare | undefined;
  /** A body in one chunk, which is nearly every one, is neither copied nor scanned here. */
  #only: Buffer | undefined;
  #chunks: GatheredChunks | undefined;

  constructor(options: BodyOptions, resolve: (body: ReceivedBody) => void, reject: (error: ProxyError) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#deadline = options.deadlines.add(performance.now() + options.limits.bodyTimeoutMs, this);
  }

  add(chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#only === undefined && this.#chunks === undefined) this.#only = chunk;
    else this.#gather(chunk);
    const length = this.#chunks?.length ?? chunk.length;
    const { limits } = this.#options;
    if (length > limits.bodyBytesMax) this.#fail(tooLarge(limits));
  }

  end(): void {
    if (this.#isOver) return;
    this.#stop();
    this.#resolve(this.#chunks?.whole() ?? { bytes: this.#only ?? Buffer.of() });
  }

  expire(): void {
    this.#fail(tooSlow(this.#options.limits));
  }

  leave(): void {
    if (this.#isOver) return;
    this.#fail(new ProxyError('cancelled', 'The client went away before its request body was complete; the command did not run.'));
  }

  #gather(chunk: Buffer): void {
    const { incoming, headers, limits, scanOptions } = this.#options;
    this.#turnShare ??= new TurnShare(incoming, { mayGoOn: () => !this.#isOver });
    this.#turnShare.took(chunk.length);
    this.#chunks ??= new GatheredChunks(limits.bodyBytesMax, declaredBytes(headers), scanOptions);
    if (this.#only !== undefined) this.#chunks.add(this.#only);
    this.#only = undefined;
    this.#chunks.add(chunk);
  }

  #stop(): void {
    this.#isOver = true;
    this.#options.deadlines.cancel(this.#deadline);
  }

  #fail(error: ProxyError): void {
    this.#stop();
    this.#chunks?.drop();
    this.#options.incoming.pause();
    this.#reject(error);
  }
}

/** A body in several chunks, scanned while it comes. */
class GatheredChunks {
  readonly #bytesMax: number;
  readonly #scanOptions: ScanOptions;
  readonly #gathered: GrowingBuffer;
  #scan: GrowingScan | undefined;
  #markBytes: number | undefined;

  constructor(bytesMax: number, declaredBytes: number, scanOptions: ScanOptions) {
    this.#bytesMax = bytesMax;
    this.#scanOptions = scanOptions;
    this.#gathered = new GrowingBuffer(bytesMax, declaredBytes);
  }

  get length(): number {
    return this.#gathered.length;
  }

  add(chunk: Buffer): void {
    const isWithin = this.length + chunk.length <= this.#bytesMax;
    // Before its memory goes.
    if (isWithin && this.#markBytes !== undefined) this.#scan?.advance(chunk);
    this.#gathered.append(chunk);
    // The first four bytes tell the encoding.
    if (!isWithin || this.#scan !== undefined || this.length < 4) return;
    const bytes = this.#gathered.whole();
    this.#markBytes = utf8MarkBytes(bytes);
    this.#scan = new GrowingScan(this.#scanOptions);
    if (this.#markBytes !== undefined) this.#scan.advance(bytes.subarray(this.#markBytes));
  }

  /** Nothing may come after it. */
  drop(): void {
    giveBack(this.#gathered.whole());
  }

  whole(): ReceivedBody {
    return { bytes: this.#gathered.whole(), scan: this.#scan };
  }
}

function tooLarge({ bodyBytesMax }: BodyLimits): ProxyError {
  return new ProxyError(
    'payload_too_large',
    `The request body is larger than ${bodyBytesMax} bytes (server.bodyMax); the command did not run.`,
  );
}

function tooSlow({ bodyTimeoutMs }: BodyLimits): ProxyError {
  return new ProxyError('request_timeout', `The request body did not arrive within ${bodyTimeoutMs / 1000} s; the command did not run.`);
}
