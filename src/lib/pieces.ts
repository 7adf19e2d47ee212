// The global one is an accessor, which costs each call (docs/performance.md).
import { Buffer } from 'node:buffer';
/**
 * A part of a message: bytes, or a text of one character a byte (latin1). Small parts are cheaper as texts (2 µs of a call’s 23): cutting,
 * comparing and joining texts stays within JavaScript, where each view, copy or search of bytes is a call out of it, and Node writes
 * such a text without a buffer for it. Large ones stay the bytes that they came as.
 */
export type Piece = string | Uint8Array;

/** Up to here a part is better made a text. */
export const textBytesMax = 16 * 1024;

export function latin1(piece: Piece): string {
  return typeof piece === 'string' ? piece : asBuffer(piece).toString('latin1');
}

export function bytesOf(piece: Piece): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece, 'latin1') : asBuffer(piece);
}

/** What the bytes say in UTF-8. */
export function utf8Of(piece: Piece): string {
  return bytesOf(piece).toString();
}

/** Without its bytes from `end` on, and before `start`; a view, where it is bytes. */
export function slicePiece<P extends Piece>(piece: P, start: number, end: number): P {
  return (typeof piece === 'string' ? piece.slice(start, end) : piece.subarray(start, end)) as P;
}

export function byteAt(piece: Piece, at: number): number | undefined {
  return typeof piece === 'string' ? piece.charCodeAt(at) : piece[at];
}

export function byteLengthOf(pieces: readonly Piece[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}

/** Pieces in order, of which neighbouring texts become one, so that small messages are a single piece, however many. */
export class JoinedPieces {
  readonly #done: Piece[] = [];
  #text = '';

  add(piece: Piece): void {
    if (typeof piece === 'string') this.#text += piece;
    else {
      this.#endText();
      this.#done.push(piece);
    }
  }

  /** To be called once, last. */
  all(): readonly Piece[] {
    this.#endText();
    return this.#done;
  }

  #endText(): void {
    if (this.#text !== '') this.#done.push(this.#text);
    this.#text = '';
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
