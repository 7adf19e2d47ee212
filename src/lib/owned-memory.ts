/**
 * Memory of large texts that is given back as soon as a text has been passed on. Left to the collector, it makes most of its work: V8
 * collects when so many megabytes lie outside its heap, whatever it finds then (four bodies of 10 MB at once: a third of the CPU, 60 MB of
 * the peak).
 */
const owned = new WeakSet<ArrayBufferLike>();

/** Memory for one text alone, not cleared. */
export function allocateOwned(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  owned.add(buffer.buffer);
  return buffer;
}

/**
 * Gives back the memory that these bytes are a part of, if it is owned; all other is left to the collector. Whoever calls it is the last
 * to use any part of it, the kernel included: bytes are empty afterwards, but a write that is under way would read what comes next there.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && owned.delete(buffer)) buffer.transfer(0);
}
