import { fstatSync, writeSync } from 'node:fs';
import { lineText } from '../log.ts';
import type { TerminalStream } from './io.ts';

/** Takes bytes that are whole lines, and is done with them when it returns. Never throws: who cannot log goes on. */
export type LineSink = (bytes: Buffer) => void;

const lineFeed = 0x0a;

/**
 * For lines to a stream, which from then on may fail. A file that takes no more, on a full disk say, is asked again with the next lines:
 * those that it did not take are lost, and told of once it takes some. Node’s own stream for a file is at its end with the first error.
 * A pipe or socket whose reader is gone stays so.
 */
export function lineSink(stream: TerminalStream): LineSink {
  stream.on('error', () => {});
  const fd = fileOf(stream);
  if (fd !== undefined) return fileSink(fd);
  // A copy: the stream may keep what it cannot write yet.
  return (bytes) => void (stream.writable && stream.write(Buffer.from(bytes)));
}

/** Files, and devices that are no terminals, are written to by their descriptors, as Node does. */
function fileOf(stream: TerminalStream & { readonly fd?: unknown }): number | undefined {
  const { fd, isTTY } = stream;
  if (typeof fd !== 'number' || isTTY === true) return undefined;
  const stat = fstatSync(fd);
  return stat.isFile() || stat.isCharacterDevice() ? fd : undefined;
}

function fileSink(fd: number): LineSink {
  let lost = 0;
  let code = '';
  /** Whether the file ends amid a line. */
  let isCut = false;

  /** What is left, when the file takes no more. */
  const write = (bytes: Buffer): Buffer => {
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(fd, bytes, at);
    } catch (error) {
      code = (error as NodeJS.ErrnoException).code ?? String(error);
    }
    if (at > 0) isCut = bytes[at - 1] !== lineFeed;
    return bytes.subarray(at);
  };

  const tell = (): boolean => {
    const text = lineText('warn', { code, lines: lost }, 'log lines could not be written and are lost');
    if (write(Buffer.from(isCut ? `\n${text}` : text)).length > 0) return false;
    lost = 0;
    return true;
  };

  return (bytes) => {
    const rest = lost > 0 && !tell() ? bytes : write(bytes);
    lost += linesIn(rest);
  };
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, at + 1)) lines += 1;
  return lines;
}
