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

/**
 * Lines of one turn of the event loop as one write: Node writes to files and pipes at once and waits for it, which for a line an
 * invocation was a twelfth of all that one costs. A proxy that is killed loses the lines of that turn.
 */
function batched(stream: TerminalStream): LogDestination {
  let batch = '';
  const flush = (): void => {
    const lines = batch;
    batch = '';
    if (lines !== '') stream.write(lines);
  };
  return {
    write(line) {
      if (batch === '') setImmediate(flush);
      batch += line;
      if (batch.length > batchCharsMax) flush();
    },
  };
}
