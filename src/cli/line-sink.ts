import { fstatSync } from 'node:fs';
import { FileLines } from './file-lines.ts';
import type { TerminalStream } from './io.ts';

/** Takes bytes that are whole lines, and is done with them when it returns. Never throws: who cannot log goes on. */
export interface LineSink {
  write(lines: Buffer): void;
  /** They, and what waits, are written when it returns: for the end of the process. */
  writeNow(lines: Buffer): void;
}

/** For lines to a stream, which from then on may fail. A pipe or socket whose reader is gone stays so. */
export function lineSink(stream: TerminalStream): LineSink {
  stream.on('error', () => {});
  const fd = fileOf(stream);
  if (fd !== undefined) return new FileLines(fd);
  // A copy: the stream may keep what it cannot write yet. Node writes to pipes at once.
  const write = (lines: Buffer) => void (stream.writable && stream.write(Buffer.from(lines)));
  return { write, writeNow: write };
}

/** Files, and devices that are no terminals, are written to by their descriptors, as Node does. */
function fileOf(stream: TerminalStream & { readonly fd?: unknown }): number | undefined {
  const { fd, isTTY } = stream;
  if (typeof fd !== 'number' || isTTY === true) return undefined;
  const stat = fstatSync(fd);
  return stat.isFile() || stat.isCharacterDevice() ? fd : undefined;
}
