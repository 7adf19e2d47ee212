import { Duplex } from 'node:stream';

/**
 * Many connections over one duplex stream, between the relay in a sidecar and the proxy. This file also runs inside the sidecar, so it
 * imports nothing but Node.
 *
 * A frame is 9 bytes of header (connection: u32, type: u8, length of the payload: u32, big endian) and its payload. The relay opens
 * connections; payload of `open`: listener index u16, then the local address the client dialled, as text. `query` and `answer` carry one
 * datagram each. Each direction of a connection may have `windowBytes` under way; `credit` (u32) gives back what was read.
 */
export const frameTypes = { open: 1, data: 2, end: 3, reset: 4, credit: 5, query: 6, answer: 7 } as const;

export const muxLimits = {
  windowBytes: 256 * 1024,
  payloadBytesMax: 64 * 1024,
  /** Connections at once; one more is reset. The listeners stop at fewer. */
  connectionsMax: 256,
} as const;

const headerBytes = 9;

export interface MuxOptions {
  readonly link: Duplex;
  /** The relay opened a connection to listener `index`. Absent: this side is the relay. */
  readonly onOpen?: (connection: Duplex, index: number, localAddress: string) => void;
  readonly onDatagram?: (id: number, payload: Buffer) => void;
}

export interface Mux {
  open(index: number, localAddress: string): Duplex;
  /** A query from the relay's side, an answer from the proxy's. */
  sendDatagram(id: number, payload: Uint8Array): void;
  /** Destroys every connection. The link stays with its owner. */
  close(): void;
}

/** Speaks frames over the link. A frame that breaks a rule destroys the link, and with it everything. */
export function createMux({ link, onOpen, onDatagram }: MuxOptions): Mux {
  const connections = new Map<number, Connection>();
  /** One listener for all of them: they are more than a stream is to have. */
  const waiting: (() => void)[] = [];
  let lastId = 0;
  const send = (id: number, type: number, payload: Uint8Array = empty) => {
    if (link.destroyed || link.writableEnded) return true;
    link.cork();
    link.write(headerOf(id, type, payload.length));
    const taken = payload.length === 0 || link.write(payload);
    process.nextTick(() => link.uncork());
    return taken;
  };
  const add = (id: number) => {
    const connection = new Connection({
      send: (type, payload) => send(id, type, payload),
      onDrain: (callback) => waiting.push(callback),
      forget: () => connections.delete(id),
    });
    connections.set(id, connection);
    return connection;
  };
  const accept = (id: number, payload: Buffer) => {
    if (onOpen === undefined || connections.has(id) || payload.length < 2) return link.destroy();
    if (connections.size >= muxLimits.connectionsMax) return send(id, frameTypes.reset);
    return onOpen(add(id), payload.readUInt16BE(0), payload.toString('latin1', 2));
  };
  const receive = (id: number, type: number, payload: Buffer) => {
    if (type === frameTypes.open) return accept(id, payload);
    if (type === frameTypes.query || type === frameTypes.answer) return onDatagram?.(id, payload);
    // A frame of a connection that this side has given up meanwhile.
    return connections.get(id)?.receive(type, payload);
  };
  const close = () => {
    for (const connection of connections.values()) connection.destroy();
  };
  link.on(
    'data',
    frameReader(receive, () => link.destroy()),
  );
  link.on('drain', () => {
    for (const callback of waiting.splice(0)) callback();
  });
  link.once('end', close).once('close', close).on('error', close);
  return {
    open(index, localAddress) {
      lastId += 1;
      const payload = Buffer.concat([Buffer.of(index >> 8, index & 0xff), Buffer.from(localAddress, 'latin1')]);
      const connection = add(lastId);
      send(lastId, frameTypes.open, payload);
      return connection;
    },
    sendDatagram: (id, payload) => void send(id, onOpen === undefined ? frameTypes.query : frameTypes.answer, payload),
    close,
  };
}

const empty = new Uint8Array();

function headerOf(id: number, type: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32BE(id, 0);
  header[4] = type;
  header.writeUInt32BE(length, 5);
  return header;
}

/** Puts frames together out of chunks; a payload above the limit is a fault. */
export function frameReader(receive: (id: number, type: number, payload: Buffer) => void, onFault: () => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  let isBroken = false;
  let needed = headerBytes;
  return (chunk) => {
    if (isBroken) return;
    parts.push(chunk);
    length += chunk.length;
    if (length < needed) return;
    const bytes = parts.length === 1 ? chunk : Buffer.concat(parts, length);
    let at = 0;
    needed = headerBytes;
    while (bytes.length - at >= headerBytes) {
      const payloadLength = bytes.readUInt32BE(at + 5);
      if (payloadLength > muxLimits.payloadBytesMax) {
        isBroken = true;
        return onFault();
      }
      needed = headerBytes + payloadLength;
      if (bytes.length - at < needed) break;
      receive(bytes.readUInt32BE(at), bytes[at + 4] ?? 0, bytes.subarray(at + headerBytes, at + needed));
      at += needed;
      needed = headerBytes;
    }
    parts = at === bytes.length ? [] : [bytes.subarray(at)];
    length = bytes.length - at;
  };
}

interface ConnectionOptions {
  readonly send: (type: number, payload?: Uint8Array) => boolean;
  /** Calls back once the link takes more. */
  readonly onDrain: (callback: () => void) => void;
  readonly forget: () => void;
}

/** One connection, with half-close. Its two windows are all that it can hold in memory. */
class Connection extends Duplex {
  readonly #options: ConnectionOptions;
  /** Bytes this side may still send, and the other side may still send. */
  #sendable: number = muxLimits.windowBytes;
  #receivable: number = muxLimits.windowBytes;
  #pending: { readonly chunk: Buffer; readonly callback: () => void } | undefined;
  #isReset = false;

  constructor(options: ConnectionOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: muxLimits.payloadBytesMax });
    this.#options = options;
    this.on('error', () => {});
  }

  receive(type: number, payload: Buffer): void {
    switch (type) {
      case frameTypes.data:
        this.#receivable -= payload.length;
        if (this.#receivable < 0) this.destroy();
        else this.push(payload);
        return;
      case frameTypes.end:
        this.push(null);
        return;
      case frameTypes.credit:
        if (payload.length === 4) this.#sendable += payload.readUInt32BE(0);
        this.#flush();
        return;
      default:
        this.#isReset = true;
        this.destroy();
    }
  }

  override _read(): void {
    const given = muxLimits.windowBytes - this.#receivable - this.readableLength;
    if (given < muxLimits.windowBytes / 2) return;
    this.#receivable += given;
    const credit = Buffer.alloc(4);
    credit.writeUInt32BE(given);
    this.#options.send(frameTypes.credit, credit);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#pending = { chunk, callback };
    this.#flush();
  }

  override _final(callback: () => void): void {
    this.#options.send(frameTypes.end);
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#options.forget();
    const isOver = this.readableEnded && this.writableFinished;
    if (!isOver && !this.#isReset) this.#options.send(frameTypes.reset);
    this.#pending?.callback();
    this.#pending = undefined;
    callback(error);
  }

  /** Sends what the window takes, and waits for the link where it is full. */
  #flush(): void {
    while (this.#pending !== undefined && this.#sendable > 0) {
      const { chunk, callback } = this.#pending;
      const piece = chunk.subarray(0, Math.min(chunk.length, this.#sendable, muxLimits.payloadBytesMax));
      const rest = chunk.subarray(piece.length);
      this.#sendable -= piece.length;
      this.#pending = rest.length > 0 ? { chunk: rest, callback } : undefined;
      const taken = this.#options.send(frameTypes.data, piece);
      if (rest.length > 0) continue;
      if (taken) callback();
      else this.#options.onDrain(callback);
    }
  }
}
