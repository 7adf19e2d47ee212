import { type LogDestination, laterBytesMax, type PutLine } from '../log.ts';
import type { CliIo, TerminalStream } from './io.ts';
import { type LineSink, lineSink } from './line-sink.ts';

/** Logs go to stderr, so that stdout holds results only: for people on a terminal, one JSON object a line elsewhere. */
export async function logDestination(io: CliIo, format: 'auto' | 'json' | 'pretty'): Promise<LogDestination> {
  const isPretty = format === 'pretty' || (format === 'auto' && io.stderr.isTTY === true);
  if (!isPretty) return batched(io.stderr);
  const { default: pretty } = await import('pino-pretty');
  const colorize = io.stderr.isTTY === true && !io.environment['NO_COLOR'];
  return pretty({ colorize, messageKey: 'message', destination: io.stderr, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
}

/** Of what waits, strings’ characters and lines that are still to be made; what comes on top of either makes a batch of its own. */
const batchCharsMax = 64 * 1024;
export const batchLinesMax = 512;
/** After a batch the next one is collected for so long. */
const lingerMs = 10;

type Line = string | PutLine;

/**
 * Lines as batches: the first line after a pause is written at the end of its turn of the event loop, and those that follow it closely
 * every ten milliseconds: to write each turn’s lines took a seventh of all that an invocation costs. What is not written yet is written when
 * the process ends, but for one that is killed.
 */
export function batched(stream: TerminalStream): LogDestination {
  const sink = lineSink(stream);
  let batch: Line[] = [];
  let chars = 0;
  let isCollecting = false;
  let timer: NodeJS.Timeout | undefined;
  const flush = (write: LineSink['write']): void => {
    if (batch.length === 0) return;
    const lines = batch;
    batch = [];
    chars = 0;
    writeLines(write, lines);
  };
  const flushInTime = (): void => flush((bytes) => sink.write(bytes));
  const wake = (): void => {
    isCollecting = batch.length > 0;
    if (!isCollecting) return;
    flushInTime();
    // One timer, begun again: Node makes a list for each duration that none waits for yet, and drops it when the last one has come. It keeps
    // no process alive, for what is not written yet is written at its end.
    if (timer === undefined) timer = setTimeout(wake, lingerMs).unref();
    else timer.refresh();
  };
  const add = (line: Line, length: number): void => {
    if (chars + length > batchCharsMax || batch.length >= batchLinesMax) flushInTime();
    batch.push(line);
    chars += length;
    if (isCollecting) return;
    isCollecting = true;
    setImmediate(wake);
  };
  lastFlushes.add(() => {
    flush((bytes) => sink.writeNow(bytes));
    // Also what came before, and waits for what is being written.
    sink.writeNow(Buffer.of());
  });
  return { write: (line) => add(line, line.length), writeLater: (line) => add(line, 0) };
}

/** Bytes that are put together; a text that is longer is a piece of its own. */
const pieceBytes = 128 * 1024;
/** Of all destinations: one at a time is written. */
const piece = Buffer.allocUnsafeSlow(pieceBytes);

function writeLines(write: LineSink['write'], lines: readonly Line[]): void {
  let used = 0;
  const end = (): void => {
    if (used > 0) write(piece.subarray(0, used));
    used = 0;
  };
  for (const line of lines) {
    const bytesMax = typeof line === 'string' ? 3 * line.length : laterBytesMax;
    if (used + bytesMax > pieceBytes) end();
    if (typeof line !== 'string') used = line(piece, used);
    else if (bytesMax > pieceBytes) write(Buffer.from(line));
    else used += piece.write(line, used);
  }
  end();
}

/** Of all destinations: each lives as long as the process. */
const lastFlushes = new Set<() => void>();
process.on('exit', () => {
  for (const flush of lastFlushes) flush();
});
