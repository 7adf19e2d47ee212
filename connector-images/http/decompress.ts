import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate, inflateRaw, type ZlibOptions } from 'node:zlib';

type Decoder = (bytes: Buffer, bytesMax: number) => Promise<Buffer>;

// What a stream that was cut short has given until then is the answer, as for urllib3.
const optionsFor = (bytesMax: number): ZlibOptions => ({ finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: bytesMax });
const gunzipAll = promisify<Buffer, ZlibOptions, Buffer>(gunzip);
const inflateAll = promisify<Buffer, ZlibOptions, Buffer>(inflate);
const inflateRawAll = promisify<Buffer, ZlibOptions, Buffer>(inflateRaw);
const brotliAll = promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress);

/** By the name of the encoding: ways to read it, the first that succeeds counts. They throw ERR_BUFFER_TOO_LARGE above `bytesMax`. */
export const decoders: ReadonlyMap<string, readonly Decoder[]> = new Map([
  ['gzip', [decodeGzip, decodeMembers]],
  ['x-gzip', [decodeGzip, decodeMembers]],
  // Servers send either kind under this name.
  [
    'deflate',
    [
      (bytes: Buffer, bytesMax: number) => inflateAll(bytes, optionsFor(bytesMax)),
      (bytes: Buffer, bytesMax: number) => inflateRawAll(bytes, optionsFor(bytesMax)),
    ],
  ],
  ['br', [(bytes: Buffer, bytesMax: number) => brotliAll(bytes, { maxOutputLength: bytesMax })]],
]);

function decodeGzip(bytes: Buffer, bytesMax: number): Promise<Buffer> {
  return gunzipAll(bytes, optionsFor(bytesMax));
}

/** One member of a gzip file after the other, until something else comes: that is left off, unless it is the first. */
async function decodeMembers(bytes: Buffer, bytesMax: number): Promise<Buffer> {
  const members: Buffer[] = [];
  let left = bytesMax;
  for (let rest = bytes; rest.length > 0; ) {
    try {
      const end = await memberEnd(rest, left);
      const member = await decodeGzip(rest.subarray(0, end), left);
      members.push(member);
      left -= member.length;
      rest = rest.subarray(end);
    } catch (error) {
      if (members.length === 0 || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw error;
      break;
    }
  }
  return Buffer.concat(members);
}

/** Where the first member ends: only the decoder of what is between its header and its check sums knows. */
function memberEnd(bytes: Buffer, bytesMax: number): Promise<number> {
  const checkSumsLength = 8;
  const begin = headerLength(bytes);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  inflateRaw(bytes.subarray(begin), { ...optionsFor(bytesMax), info: true }, (error, result) => {
    // With `info` the result is the decoder too, which is not in the types.
    if (error === null) resolve(begin + (result as unknown as { engine: { bytesWritten: number } }).engine.bytesWritten + checkSumsLength);
    else reject(error);
  });
  return promise;
}

/** RFC 1952, 2.3. */
function headerLength(bytes: Buffer): number {
  const flags = bytes.readUInt8(3);
  let length = 10;
  if ((flags & 4) !== 0) length += 2 + bytes.readUInt16LE(length);
  if ((flags & 8) !== 0) length = bytes.indexOf(0, length) + 1;
  if ((flags & 16) !== 0) length = bytes.indexOf(0, length) + 1;
  return (flags & 2) === 0 ? length : length + 2;
}
