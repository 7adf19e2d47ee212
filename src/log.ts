import { putBytes, putDigits } from './lib/put-ascii.ts';

/**
 * Names of structured fields, one word per concept, the same in every line. Values of parameters are never logged; secrets are masked
 * before a line is made (config/secrets).
 */
export interface LogFields {
  readonly connector?: string | undefined;
  readonly command?: string | undefined;
  readonly invocation?: string | undefined;
  readonly key?: string | undefined;
  readonly outcome?: string | undefined;
  readonly code?: string | undefined;
  readonly worker?: string | undefined;
  readonly queueMs?: number | undefined;
  readonly startMs?: number | undefined;
  readonly runMs?: number | undefined;
  readonly totalMs?: number | undefined;
  readonly requestBytes?: number | undefined;
  readonly replyBytes?: number | undefined;
  readonly [field: string]: unknown;
}

/** Lines that wait to be written, oldest first. */
export interface LaterLines {
  readonly message: string;
  /** Of the oldest: a whole number of milliseconds since the epoch. */
  timeMs(): number;
  /** Puts the members of the oldest there, as JSON, drops it, and tells the place behind them. The line has at most `laterBytesMax` bytes. */
  put(into: Buffer, at: number): number;
}

export interface Logger {
  /**
   * For what is told thousands of times a second: each call of what it returns promises one more line, which is asked of `lines` when it is
   * written, in the order of the calls. Undefined where such lines are not written.
   */
  infoLater(lines: LaterLines): (() => void) | undefined;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Puts a line of at most `laterBytesMax` bytes there, and tells the place behind it. */
export type PutLine = (into: Buffer, at: number) => number;
/** Room for the bounded names of a connector, a command and a key (manifest/names, config/schema), and for numbers. */
export const laterBytesMax = 2048;

/** Where lines go, each ended by LF. */
export interface LogDestination {
  write(line: string): void;
  /** For one that writes many lines together: the line is put into the batch’s bytes then. */
  writeLater?(line: PutLine): void;
}

export interface LoggerOptions {
  readonly level: LogLevelName;
  readonly destination: LogDestination;
}

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const satisfies readonly LogLevelName[];

/**
 * JSON lines with ISO time, the level as a word, and no process id or host name: whoever collects them adds those. By hand, because a
 * line is written for every invocation, and a logging library takes three times as long for it as JSON.stringify.
 */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  const least = levels.indexOf(level);
  const writer = (name: LogLevelName) => {
    if (levels.indexOf(name) < least) return () => {};
    return (fields: LogFields, message: string): void => {
      destination.write(lineText(name, fields, message));
    };
  };
  const infoLater = (lines: LaterLines): (() => void) => {
    const line = putsLine(lines);
    if (destination.writeLater !== undefined) return () => destination.writeLater?.(line);
    const bytes = Buffer.alloc(laterBytesMax);
    return () => destination.write(bytes.toString('utf8', 0, line(bytes, 0)));
  };
  return {
    debug: writer('debug'),
    info: writer('info'),
    infoLater: levels.indexOf('info') < least ? () => undefined : infoLater,
    warn: writer('warn'),
    error: writer('error'),
  };
}

/** One line, of now, ended by LF. */
export function lineText(level: LogLevelName, fields: LogFields, message: string): string {
  const members = JSON.stringify(fields).slice(1, -1);
  return `${startText(level, Date.now())}${members === '' ? '' : `,${members}`}${endText(message)}`;
}

function startText(level: LogLevelName, timeMs: number): string {
  return `{"level":"${level}","time":"${new Date(timeMs).toISOString()}"`;
}

function endText(message: string): string {
  return `,"message":${JSON.stringify(message)}}\n`;
}

/** What follows the second in `startText`, and the comma before the members. */
const fractionEnd = Buffer.from('Z",');
const fractionLength = '000Z"'.length;

/** A line of level info, in bytes. All of its start but the milliseconds is made once a second: a busy server writes many lines within one. */
function putsLine(lines: LaterLines): PutLine {
  const end = Buffer.from(endText(lines.message));
  let madeFor = Number.NaN;
  let start = Buffer.alloc(0);
  return (into, begin) => {
    const timeMs = lines.timeMs();
    const second = Math.floor(timeMs / 1000);
    if (second !== madeFor) {
      madeFor = second;
      start = Buffer.from(startText('info', timeMs).slice(0, -fractionLength));
    }
    let at = putBytes(into, begin, start);
    at = putDigits(into, at, timeMs - second * 1000, 3);
    at = putBytes(into, at, fractionEnd);
    return putBytes(into, lines.put(into, at), end);
  };
}

export const silentLogger: Logger = { debug() {}, info() {}, infoLater: () => undefined, warn() {}, error() {} };
