import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

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

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LoggerOptions {
  readonly level: LogLevelName;
  readonly destination: DestinationStream;
}

/** JSON lines with ISO time, the level as a word, and no process id or host name: whoever collects them adds those. */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: null,
    timestamp: createTimestamp(),
    formatters: { level: levelAsWord },
    messageKey: 'message',
  };
  return pino(options, destination) satisfies PinoLogger;
}

/** The text of a time is made once a millisecond: it is a quarter of what a line costs, and a busy server writes many within one. */
function createTimestamp(): () => string {
  let madeFor = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== madeFor) {
      madeFor = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function levelAsWord(label: string): { level: string } {
  return { level: label };
}
