import type { IncomingMessage, ServerResponse } from 'node:http';
import { ProxyError } from '../errors.ts';
import type { Deadlines } from '../lib/deadlines.ts';

export interface BodyLimits {
  readonly bodyBytesMax: number;
  /** From the end of the headers to the end of the body. */
  readonly bodyTimeoutMs: number;
}

export interface BodyOptions {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly limits: BodyLimits;
  readonly deadlines: Deadlines;
}

/**
 * The whole body of a request as one buffer. Rejects with `payload_too_large` as soon as it is known to be too large, without reading
 * on; with `request_timeout`; with `cancelled` when the client goes away.
 */
export function readBody({ incoming, outgoing, limits, deadlines }: BodyOptions): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const gathered = gatherChunks(incoming.headers['content-length'], limits.bodyBytesMax);
  if (gathered.isTooLarge()) return Promise.reject(tooLarge(limits));

  const onData = (chunk: Buffer): void => {
    gathered.add(chunk);
    if (gathered.isTooLarge()) fail(tooLarge(limits));
  };
  const onEnd = (): void => {
    stop();
    resolve(gathered.whole());
  };
  const onClose = (): void => {
    fail(new ProxyError('cancelled', 'The client went away before its request body was complete; the command did not run.'));
  };
  const stop = (): void => {
    deadlines.cancel(deadline);
    incoming.off('data', onData).off('end', onEnd).off('error', onClose).off('close', onClose);
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
  whole(): Buffer;
}

/** A body in one chunk, which is nearly every one, is not copied; a larger one of known length is put together in place. */
function gatherChunks(contentLength: string | undefined, bytesMax: number): GatheredChunks {
  const declared = Number(contentLength ?? 0);
  const chunks: Buffer[] = [];
  let inPlace: Buffer | undefined;
  let length = 0;
  return {
    isTooLarge: () => declared > bytesMax || length > bytesMax,
    add(chunk) {
      const end = length + chunk.length;
      if (end < declared) inPlace ??= Buffer.allocUnsafeSlow(declared);
      if (inPlace === undefined) chunks.push(chunk);
      else chunk.copy(inPlace, length);
      length = end;
    },
    whole: () => inPlace ?? (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)),
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
