import type { IncomingMessage, ServerResponse } from 'node:http';
import { ProxyError } from '../errors.ts';
import type { Deadlines } from '../lib/deadlines.ts';
import { GrowingBuffer } from '../lib/growing-buffer.ts';
import { GrowingScan, type ScanOptions } from '../lib/json-scan.ts';
import { utf8MarkBytes } from './text-encoding.ts';

export interface BodyLimits {
  readonly bodyBytesMax: number;
  /** From the end of the headers to the end of the body. */
  readonly bodyTimeoutMs: number;
}

export interface BodyOptions {
  readonly incoming: IncomingMessage;
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
 * The whole body of a request as one buffer, with the scan of it where it is large. Rejects with `payload_too_large` as soon as it is known to be too large, without reading
 * on; with `request_timeout`; with `cancelled` when the client goes away.
 */
export function readBody({ incoming, outgoing, limits, scanOptions, deadlines }: BodyOptions): Promise<ReceivedBody> {
  const { promise, resolve, reject } = Promise.withResolvers<ReceivedBody>();
  const gathered = gatherChunks(incoming.headers['content-length'], limits.bodyBytesMax, scanOptions);
  if (gathered.isTooLarge()) return Promise.reject(tooLarge(limits));

  let isOver = false;
  const onData = (chunk: Buffer): void => {
    if (isOver) return;
    gathered.add(chunk);
    if (gathered.isTooLarge()) fail(tooLarge(limits));
  };
  const onEnd = (): void => {
    if (isOver) return;
    stop();
    resolve(gathered.whole());
  };
  const onClose = (): void => {
    if (isOver) return;
    fail(new ProxyError('cancelled', 'The client went away before its request body was complete; the command did not run.'));
  };
  // The listeners stay: they go with the request, and taking four of them off costs more than the flag.
  const stop = (): void => {
    isOver = true;
    deadlines.cancel(deadline);
  };
  const fail = (error: ProxyError): void => {
    stop();
    incoming.pause();
    reject(error);
  };
  const deadline = deadlines.add(performance.now() + limits.bodyTimeoutMs, { expire: () => fail(tooSlow(limits)) });
  // A client that asked first is told to send only now that its body is wanted.
  if (incoming.headers.expect !== undefined) outgoing.writeContinue();
  incoming.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose);
  return promise;
}

interface GatheredChunks {
  /** Whether what came, or what the Content-Length announces, is over the bound. */
  isTooLarge(): boolean;
  add(chunk: Buffer): void;
  whole(): ReceivedBody;
}

/** A body in one chunk, which is nearly every one, is neither copied nor scanned here. */
function gatherChunks(contentLength: string | undefined, bytesMax: number, scanOptions: ScanOptions): GatheredChunks {
  const declared = Number(contentLength ?? 0);
  const gathered = new GrowingBuffer(bytesMax, declared);
  let scan: GrowingScan | undefined;
  let markBytes: number | undefined;
  return {
    isTooLarge: () => declared > bytesMax || gathered.length > bytesMax,
    add(chunk) {
      const isFirst = gathered.length === 0;
      gathered.append(chunk);
      // The first four bytes tell the encoding.
      if (isFirst || gathered.length < 4 || gathered.length > bytesMax) return;
      const bytes = gathered.whole();
      if (scan === undefined) {
        markBytes = utf8MarkBytes(bytes);
        scan = new GrowingScan(scanOptions);
      }
      if (markBytes !== undefined) scan.advance(bytes.subarray(markBytes));
    },
    whole: () => ({ bytes: gathered.whole(), scan }),
  };
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
