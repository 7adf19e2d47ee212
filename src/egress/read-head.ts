import type { Duplex } from 'node:stream';

export interface ReadHeadOptions<T> {
  readonly bytesMax: number;
  /** Undefined: as long as the stream lives. */
  readonly timeoutMs?: number;
  /** The value and how many bytes belong to it, or undefined while more are needed. Called with all bytes so far. */
  readonly parse: (bytes: Buffer) => { readonly value: T; readonly used: number } | undefined;
}

export type HeadFault = 'timeout' | 'too_long' | 'ended' | 'closed';

export class HeadError extends Error {
  override readonly name = 'HeadError';
  readonly fault: HeadFault;
  /** Bytes that had come. */
  readonly bytesRead: number;

  constructor(fault: HeadFault, bytesRead: number) {
    super(`the head of a connection could not be read: ${fault}`);
    this.fault = fault;
    this.bytesRead = bytesRead;
  }
}

/** Reads what stands at the beginning of a stream and puts back what follows it. Leaves no listener behind. */
export function readHead<T>(stream: Duplex, { bytesMax, timeoutMs, parse }: ReadHeadOptions<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let bytes: Buffer = Buffer.alloc(0);
  const settle = (done: () => void): void => {
    clearTimeout(timer);
    stream.off('readable', onReadable).off('end', onEnd).off('close', onClose).off('error', onClose);
    done();
  };
  const fail = (fault: HeadFault): void => settle(() => reject(new HeadError(fault, bytes.length)));
  const onEnd = (): void => fail('ended');
  const onClose = (): void => fail('closed');
  /** Until there is nothing left: 'readable' comes again only after a read that gave null. */
  const onReadable = (): void => {
    let isSettled = false;
    for (let chunk = read(); chunk !== null && !isSettled; chunk = isSettled ? null : read()) {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const found = parse(bytes);
      isSettled = found !== undefined || bytes.length > bytesMax;
      if (found) finish(found);
      else if (isSettled) fail('too_long');
    }
  };
  const read = (): Buffer | null => stream.read() as Buffer | null;
  const finish = ({ value, used }: { readonly value: T; readonly used: number }): void =>
    settle(() => {
      if (used < bytes.length) stream.unshift(bytes.subarray(used));
      resolve(value);
    });
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => fail('timeout'), timeoutMs);
  stream.on('readable', onReadable).on('end', onEnd).on('close', onClose).on('error', onClose);
  if (stream.readableEnded) onEnd();
  else if (stream.destroyed) onClose();
  return promise;
}
