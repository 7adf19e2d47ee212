import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A descriptor of an empty file with no name anywhere: handed to a child, it costs no pipe and no stream. In memory where the machine
 * has /dev/shm. The caller closes it.
 */
export function unlinkedFile(): number {
  const path = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `.bulkhead-${randomUUID()}`);
  const descriptor = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Writes the content with a position, so that the offset, which a child shares, stays at the start. */
export function fillFile(descriptor: number, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at, at);
}
