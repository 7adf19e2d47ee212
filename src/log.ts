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
  /** Puts the members of the oldest, JSON in ASCII of at most 1800 bytes, there, drops it, and tells the place behind them. */
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
  /** For one that writes many lines together: the line is put into the batch’s bytes then, and its members are in ASCII. */
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
  const endText = createEndText();
  const least = levels.indexOf(level);
  const lineMaker = (name: LogLevelName) => {
    const startText = createStartText(name);
    return (timeMs: number, members: string, message: string): string =>
      `${startText(timeMs)}${members === '' ? '' : `,${members}`}${endText(message)}`;
  };
  const writer = (name: LogLevelName) => {
    if (levels.indexOf(name) < least) return () => {};
    const lineOf = lineMaker(name);
    return (fields: LogFields, message: string): void => {
      destination.write(lineOf(Date.now(), JSON.stringify(fields).slice(1, -1), message));
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

const timeEnd = Buffer.from('Z",');

/** The same line as that of `lineMaker`, in bytes. */
function putsLine(lines: LaterLines): PutLine {
  const startText = createStartText('info');
  const end = Buffer.from(createEndText()(lines.message));
  let startOf = Number.NaN;
  let start = end;
  return (into, begin) => {
    const timeMs = lines.timeMs();
    const second = Math.floor(timeMs / 1000);
    if (second !== startOf) {
      startOf = second;
      start = Buffer.from(startText(second * 1000).slice(0, -'000Z"'.length));
    }
    let at = putBytes(into, begin, start);
    at = putDigits(into, at, timeMs - second * 1000, 3);
    at = putBytes(into, at, timeEnd);
    return putBytes(into, lines.put(into, at), end);
  };
}

/** How a line with this message ends, made once as long as the message stays the same: mostly it is that of the line before. */
function createEndText(): (message: string) => string {
  let madeFor: string | undefined;
  let text = '';
  return (message) => {
    if (message !== madeFor) {
      madeFor = message;
      text = `,"message":${JSON.stringify(message)}}\n`;
    }
    return text;
  };
}

/**
 * How a line begins, with the ISO time of a date in milliseconds. All but the milliseconds is made once a second: a busy server writes many
 * lines within one, and each piece less that a line is put together of is felt.
 */
function createStartText(level: LogLevelName): (timeMs: number) => string {
  let madeFor = Number.NaN;
  let text = '';
  return (timeMs) => {
    const second = Math.floor(timeMs / 1000);
    if (second !== madeFor) {
      madeFor = second;
      text = `{"level":"${level}","time":"${new Date(second * 1000).toISOString().slice(0, -'000Z'.length)}`;
    }
    return `${text}${fractions[timeMs - second * 1000]}`;
  };
}

const fractions = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z"`);

export const silentLogger: Logger = { debug() {}, info() {}, infoLater: () => undefined, warn() {}, error() {} };
