import type { DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import type { CliIo } from './io.ts';

/** Logs go to stderr, so that stdout holds results only: for people on a terminal, one JSON object a line elsewhere. */
export function logDestination(io: CliIo, format: 'auto' | 'json' | 'pretty'): DestinationStream {
  const isPretty = format === 'pretty' || (format === 'auto' && io.stderr.isTTY === true);
  if (!isPretty) return io.stderr;
  const colorize = io.stderr.isTTY === true && !io.environment['NO_COLOR'];
  return pretty({ colorize, messageKey: 'message', destination: io.stderr, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
}
