import type { LogDestination } from '../log.ts';
import type { CliIo, TerminalStream } from './io.ts';

/** Logs go to stderr, so that stdout holds results only: for people on a terminal, one JSON object a line elsewhere. */
export async function logDestination(io: CliIo, format: 'auto' | 'json' | 'pretty'): Promise<LogDestination> {
  const isPretty = format === 'pretty' || (format === 'auto' && io.stderr.isTTY === true);
  if (!isPretty) return batched(io.stderr);
  const { default: pretty } = await import('pino-pretty');
  const colorize = io.stderr.isTTY === true && !io.environment['NO_COLOR'];
  return pretty({ colorize, messageKey: 'message', destination: io.stderr, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
}

const batchBytesMax = 64 * 1024;
/** UTF-8 takes at most so many for one of JavaScript’s characters. */
const bytesPerCharMax = 3;
/** After a batch the next one is collected for so long. */
const lingerMs = 10;

/**
 * Lines as batches: the first line after a pause is written at the end of its turn of the event loop, and those that follow it closely
 * every ten milliseconds. Node writes to files and pipes at once and waits for it; to write each turn’s lines took a seventh of all that an
 * invocation costs. Lines become bytes one by one: to put texts together first took four times as long. What is not written yet is written
 * when the process ends, but for one that is killed.
 */
export function batched(stream: TerminalStream): LogDestination {
  let batch: Buffer | undefined;
  let length = 0;
  let isWaiting = false;
  let writtenAt = Number.NEGATIVE_INFINITY;
  const flush = (): void => {
    if (batch === undefined) return;
    const bytes = batch.subarray(0, length);
    batch = undefined;
    length = 0;
    unwritten.delete(flush);
    stream.write(bytes);
  };
  const wake = (): void => {
    isWaiting = false;
    writtenAt = performance.now();
    flush();
  };
  const wait = (): void => {
    isWaiting = true;
    const waitMs = writtenAt + lingerMs - performance.now();
    if (waitMs > 0) setTimeout(wake, waitMs);
    else setImmediate(wake);
  };
  return {
    write(line) {
      const bytesMax = line.length * bytesPerCharMax;
      if (length + bytesMax > batchBytesMax) flush();
      if (batch === undefined) unwritten.add(flush);
      batch ??= Buffer.allocUnsafe(Math.max(batchBytesMax, bytesMax));
      length += batch.write(line, length);
      if (!isWaiting) wait();
    },
  };
}

const unwritten = new Set<() => void>();
process.on('exit', () => {
  for (const flush of unwritten) flush();
});
