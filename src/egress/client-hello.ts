/** What the first bytes of a connection say about TLS. */
export type ClientHello =
  | { readonly type: 'incomplete' }
  | { readonly type: 'not-tls' }
  /** Begins as TLS and is not a ClientHello that can be read, or is longer than the bound. */
  | { readonly type: 'malformed' }
  | {
      readonly type: 'hello';
      /** The server name as sent; undefined when the client sends none. */
      readonly serverName?: string;
      /** The client sent an encrypted ClientHello (or a decoy of one): the true name may be another. */
      readonly isEncrypted: boolean;
    };

/** Bytes that are held back while the ClientHello is read; post-quantum key shares make it a few KB. */
export const clientHelloBytesMax = 32_768;

const handshakeRecord = 0x16;
/** Change of cipher, alert, handshake, application data: some servers pass over others before the ClientHello, whose name would go unread. */
const recordTypes: ReadonlySet<number | undefined> = new Set([0x14, 0x15, handshakeRecord, 0x17]);
const serverNameExtension = 0;
const encryptedHelloExtension = 0xfe0d;

/** Reads a ClientHello (RFC 8446 §4.1.2), spread over as many records as it likes. Pure; call again with more bytes while `incomplete`. */
export function readClientHello(bytes: Buffer): ClientHello {
  if (bytes.length === 0) return { type: 'incomplete' };
  if (!recordTypes.has(bytes[0]) || (bytes.length > 1 && bytes[1] !== 3)) return { type: 'not-tls' };
  const message = joinRecords(bytes);
  if (message === undefined) return { type: 'malformed' };
  const isWhole = message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3);
  if (message.length > 0 && message[0] !== 1) return { type: 'malformed' };
  if (!isWhole) return { type: bytes.length > clientHelloBytesMax ? 'malformed' : 'incomplete' };
  return readBody(message.subarray(4, 4 + message.readUIntBE(1, 3)));
}

/** The handshake bytes so far; undefined: the records are not handshake records. */
function joinRecords(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3 || length === 0 || length > 16_384) {
      return isComplete(parts) ? Buffer.concat(parts) : undefined;
    }
    parts.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return Buffer.concat(parts);
}

/** Bytes after a whole ClientHello (early data) are not our matter. */
function isComplete(parts: readonly Buffer[]): boolean {
  const message = Buffer.concat(parts);
  return message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3);
}

function readBody(body: Buffer): ClientHello {
  const reader = createReader(body);
  reader.skip(2 + 32);
  reader.skip(reader.number(1));
  reader.skip(reader.number(2));
  reader.skip(reader.number(1));
  if (reader.isBroken()) return { type: 'malformed' };
  if (reader.left() === 0) return { type: 'hello', isEncrypted: false };
  const extensions = createReader(reader.take(reader.number(2)));
  if (reader.isBroken() || reader.left() > 0) return { type: 'malformed' };
  return readExtensions(extensions);
}

function readExtensions(extensions: Reader): ClientHello {
  let serverName: string | undefined;
  let isEncrypted = false;
  while (extensions.left() > 0) {
    const type = extensions.number(2);
    const data = extensions.take(extensions.number(2));
    if (extensions.isBroken()) return { type: 'malformed' };
    if (type === encryptedHelloExtension) isEncrypted = true;
    if (type !== serverNameExtension) continue;
    // Two names, or two lists, would let the server pick another one than we read.
    const name = serverName === undefined ? readServerName(createReader(data)) : undefined;
    if (name === undefined) return { type: 'malformed' };
    serverName = name;
  }
  return { type: 'hello', isEncrypted, ...(serverName === undefined ? {} : { serverName }) };
}

function readServerName(reader: Reader): string | undefined {
  const list = createReader(reader.take(reader.number(2)));
  const type = list.number(1);
  const name = list.take(list.number(2));
  const isWhole = !reader.isBroken() && !list.isBroken() && reader.left() === 0 && list.left() === 0;
  return isWhole && type === 0 && name.length > 0 ? name.toString('latin1') : undefined;
}

interface Reader {
  number(width: 1 | 2): number;
  take(length: number): Buffer;
  skip(length: number): void;
  left(): number;
  isBroken(): boolean;
}

/** Reading past the end breaks it for good and gives zeros, so that callers check once. */
function createReader(bytes: Buffer): Reader {
  let at = 0;
  let isBroken = false;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) isBroken = true;
    const part = isBroken ? Buffer.alloc(0) : bytes.subarray(at, at + length);
    at = isBroken ? bytes.length : at + length;
    return part;
  };
  return {
    number(width) {
      const part = take(width);
      return part.length === 0 ? 0 : part.readUIntBE(0, width);
    },
    take,
    skip: (length) => void take(length),
    left: () => bytes.length - at,
    isBroken: () => isBroken,
  };
}
