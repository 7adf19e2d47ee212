import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

/**
 * Names of structured fields, one word per concept, the same in every line. Values of parameters are never logged; secrets are masked
 * before a line is made (config/secrets).
 */
export interface LogFields {
  readonly connector?: string;
  readonly command?: string;
  readonly invocation?: string;
  readonly key?: string;
  readonly outcome?: string;
  readonly code?: string;
  readonly worker?: string;
  readonly queueMs?: number;
  readonly startMs?: number;
  readonly runMs?: number;
  readonly totalMs?: number;
  readonly requestBytes?: number;
  readonly replyBytes?: number;
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
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: levelAsWord },
    messageKey: 'message',
  };
  return pino(options, destination) satisfies PinoLogger;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function levelAsWord(label: string): { level: string } {
  return { level: label };
}
