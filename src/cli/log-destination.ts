import pretty from 'pino-pretty';
import type { LogDestination } from '../log.ts';
import type { CliIo, TerminalStream } from './io.ts';

/** Logs go to stderr, so that stdout holds results only: for people on a terminal, one JSON object a line elsewhere. */
export function logDestination(io: CliIo, format: 'auto' | 'json' | 'pretty'): LogDestination {
  const isPretty = format === 'pretty' || (format === 'auto' && io.stderr.isTTY === true);
  if (!isPretty) return batched(io.stderr);
  const colorize = io.stderr.isTTY === true && !io.environment['NO_COLOR'];
  return pretty({ colorize, messageKey: 'message', destination: io.stderr, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
}

/** Past this many characters a batch is written at once. */
const batchCharsMax = 64 * 1024;
/** After a batch the next one is collected for so long. */
const lingerMs = 10;

/**
 * Lines as batches: the first line after a pause is written at the end of its turn of the event loop, and those that follow it closely
 * every ten milliseconds. Node writes to files and pipes at once and waits for it; to write each turn’s lines took a seventh of all that an
 * invocation costs. What is not written yet is written when the process ends, but for one that is killed.
 */
export function batched(stream: TerminalStream): LogDestination {
  let batch = '';
  let writtenAt = Number.NEGATIVE_INFINITY;
  const flush = (): void => {
    const lines = batch;
    if (lines === '') return;
    batch = '';
    unwritten.delete(flush);
    writtenAt = performance.now();
    stream.write(lines);
  };
  const begin = (): void => {
    unwritten.add(flush);
    const waitMs = writtenAt + lingerMs - performance.now();
    if (waitMs > 0) setTimeout(flush, waitMs);
    else setImmediate(flush);
  };
  return {
    write(line) {
      if (batch === '') begin();
      batch += line;
      if (batch.length > batchCharsMax) flush();
    },
  };
}

const unwritten = new Set<() => void>();
process.on('exit', () => {
  for (const flush of unwritten) flush();
});
