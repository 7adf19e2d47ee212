import { ProxyError } from '../errors.ts';

/**
 * A request body as UTF-8 without a byte order mark. JSON may come in UTF-16 or UTF-32, told by its mark or by where its first bytes
 * are zero, as Python’s json module tells it (spiff-contract 3.3). UTF-8, nearly every body, costs two comparisons and no copy.
 */
export function toUtf8(bytes: Buffer): Buffer {
  const encoding = encodingOf(bytes);
  switch (encoding.type) {
    case 'utf-8':
      return encoding.markBytes === 0 ? bytes : bytes.subarray(encoding.markBytes);
    case 'utf-16le':
    case 'utf-16be':
      return decodeUtf16(bytes.subarray(encoding.markBytes), encoding.type);
    case 'utf-32le':
    case 'utf-32be':
      return decodeUtf32(bytes.subarray(encoding.markBytes), encoding.type === 'utf-32be');
  }
}

/** Bytes of the byte order mark of a text in UTF-8, 0 when it has none; undefined for the other encodings. */
export function utf8MarkBytes(bytes: Buffer): number | undefined {
  const { type, markBytes } = encodingOf(bytes);
  return type === 'utf-8' ? markBytes : undefined;
}

interface Encoding {
  readonly type: 'utf-8' | 'utf-16le' | 'utf-16be' | 'utf-32le' | 'utf-32be';
  readonly markBytes: number;
}

const plain: Encoding = { type: 'utf-8', markBytes: 0 };

function encodingOf(bytes: Buffer): Encoding {
  const { 0: a, 1: b, 2: c, 3: d } = bytes;
  // The usual body: `{` and then something that is no zero byte.
  if (a === 0x7b && b !== 0) return plain;
  if (a === 0xef && b === 0xbb && c === 0xbf) return { type: 'utf-8', markBytes: 3 };
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return { type: 'utf-32be', markBytes: 4 };
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 ? { type: 'utf-32le', markBytes: 4 } : { type: 'utf-16le', markBytes: 2 };
  if (a === 0xfe && b === 0xff) return { type: 'utf-16be', markBytes: 2 };
  return encodingByZeros(bytes);
}

function encodingByZeros({ length, 0: a, 1: b, 2: c, 3: d }: Buffer): Encoding {
  if (length >= 4) {
    if (a === 0) return { type: b === 0 ? 'utf-32be' : 'utf-16be', markBytes: 0 };
    if (b === 0) return { type: c === 0 && d === 0 ? 'utf-32le' : 'utf-16le', markBytes: 0 };
  }
  if (length === 2 && a === 0) return { type: 'utf-16be', markBytes: 0 };
  if (length === 2 && b === 0) return { type: 'utf-16le', markBytes: 0 };
  return plain;
}

function decodeUtf16(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): Buffer {
  try {
    return Buffer.from(new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw undecodable('UTF-16', cause);
  }
}

/** A character takes at most as many bytes in UTF-8. By hand: 8 million texts of one character each held up all others for seconds. */
function decodeUtf32(bytes: Buffer, bigEndian: boolean): Buffer {
  if (bytes.length % 4 !== 0) throw undecodable('UTF-32');
  const decoded = Buffer.allocUnsafeSlow(bytes.length);
  let end = 0;
  for (let at = 0; at < bytes.length; at += 4) {
    const point = bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw undecodable('UTF-32');
    end = putCharacter(decoded, end, point);
  }
  return decoded.subarray(0, end);
}

/** Of the first byte, by how many come behind it (RFC 3629, 3). */
const leads = [0, 0xc0, 0xe0, 0xf0] as const;

function putCharacter(into: Buffer, begin: number, point: number): number {
  if (point < 0x80) {
    into[begin] = point;
    return begin + 1;
  }
  const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  into[begin] = (leads[more] as number) | (point >> (6 * more));
  for (let left = more - 1; left >= 0; left -= 1) into[begin + more - left] = 0x80 | ((point >> (6 * left)) & 0x3f);
  return begin + more + 1;
}

function undecodable(encoding: string, cause?: unknown): ProxyError {
  return new ProxyError('invalid_request', `The request body looks like ${encoding} and is not; send one JSON object in UTF-8.`, { cause });
}
