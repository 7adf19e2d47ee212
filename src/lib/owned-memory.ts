import type { Piece } from './pieces.ts';

/**
 * Memory of large texts that is given back as soon as a text has been passed on. Left to the collector, it makes most of its work: V8
 * collects when so many megabytes lie outside its heap, whatever it finds then (four bodies of 10 MB at once: a third of the CPU, 60 MB of
 * the peak).
 */
const owned = new WeakSet<ArrayBufferLike>();

/**
 * From here on memory comes in pages of its own, as V8 makes them for a buffer that could be resized. What malloc gives stays with the
 * process as soon as anything small was put behind it (after four bodies of 10 MB at once: 20 to 70 MB, as chance had it). For smaller
 * texts that is little, and each view of such pages costs a microsecond more.
 */
const pagedBytesMin = 4 * 1024 * 1024;
/** So that texts of about one length can use the pages of one another. */
const pagedStepBytes = 1024 * 1024;
/** Bytes of pages that are kept for the next texts: on a virtual machine new pages cost as much as all else that is done with a text. */
export const keptBytesMax = 64 * 1024 * 1024;
/** Milliseconds without a large text after which the kept pages go back to the system. */
export const keptMs = 2_000;

let kept: ArrayBuffer[] = [];
let timer: NodeJS.Timeout | undefined;

/** Memory for one text alone, not cleared. */
export function allocateOwned(bytes: number): Buffer {
  const buffer = bytes < pagedBytesMin ? Buffer.allocUnsafeSlow(bytes) : Buffer.from(pagesFor(bytes), 0, bytes);
  owned.add(buffer.buffer);
  return buffer;
}

/**
 * Gives back the memory that these bytes are a part of, if it is owned; all other is left to the collector. Whoever calls it is the last
 * to use any part of it, the kernel included: bytes are empty afterwards, but a write that is under way would read what comes next there.
 */
export function giveBack(piece: Piece): void {
  if (typeof piece === 'string') return;
  const { buffer } = piece;
  if (!(buffer instanceof ArrayBuffer) || !owned.delete(buffer)) return;
  if (buffer.resizable && keptBytes() + buffer.byteLength <= keptBytesMax) keep(buffer);
  else free(buffer);
}

function pagesFor(bytes: number): ArrayBuffer {
  timer?.refresh();
  const index = kept.findIndex(({ byteLength }) => byteLength >= bytes && byteLength <= 2 * bytes);
  const [found] = index === -1 ? [] : kept.splice(index, 1);
  if (found !== undefined) return found;
  const length = Math.ceil(bytes / pagedStepBytes) * pagedStepBytes;
  return new ArrayBuffer(length, { maxByteLength: length });
}

function keep(buffer: ArrayBuffer): void {
  // Empties all that looks into it; its own `transfer` copies what could be resized.
  kept.push(structuredClone(buffer, { transfer: [buffer] }));
  timer ??= setTimeout(dropKept, keptMs).unref();
  timer.refresh();
}

function dropKept(): void {
  timer = undefined;
  for (const buffer of kept) free(buffer);
  kept = [];
}

function keptBytes(): number {
  return kept.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function free(buffer: ArrayBuffer): void {
  buffer.transferToFixedLength(0);
}
