import { isUtf8 } from 'node:buffer';

/** Where the last sequence of the first `length` bytes begins if it may be cut off, else their end. */
export function sequenceStart(bytes: Uint8Array, length = bytes.length): number {
  for (let at = length - 1; at >= Math.max(0, length - 3); at -= 1) {
    const byte = bytes[at] as number;
    if (byte >= 0xc0) return at;
    if (byte < 0x80) return length;
  }
  return length;
}

/** The line, from 1, of the first byte that is not UTF-8; undefined where all is. */
export function lineNotUtf8(bytes: Uint8Array): number | undefined {
  if (isUtf8(bytes)) return undefined;
  let line = 1;
  let start = 0;
  // No sequence of several bytes holds a line feed.
  for (let end = bytes.indexOf(10); end >= 0 && isUtf8(bytes.subarray(start, end)); end = bytes.indexOf(10, start)) {
    line += 1;
    start = end + 1;
  }
  return line;
}

/** Bytes that are looked at together: the search ends within one such block. */
const blockBytes = 64 * 1024;

/** Near enough to find it: at most three bytes before the first sequence that is not UTF-8. Bytes before `from` are known to be whole. */
export function firstInvalidUtf8(bytes: Uint8Array, from: number): number {
  let valid = from;
  for (;;) {
    const block = bytes.subarray(valid, valid + blockBytes);
    const end = sequenceStart(block);
    if (end === 0 || !isUtf8(block.subarray(0, end))) return valid + invalidWithin(bytes.subarray(valid, valid + blockBytes));
    if (valid + block.length >= bytes.length) return valid + invalidWithin(block);
    valid += end;
  }
}

function invalidWithin(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isUtf8Prefix(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

/** Whether it is UTF-8 but for a sequence that is cut off at the end. */
function isUtf8Prefix(bytes: Uint8Array): boolean {
  return [0, 1, 2, 3].some((cut) => cut <= bytes.length && isUtf8(bytes.subarray(0, bytes.length - cut)));
}
