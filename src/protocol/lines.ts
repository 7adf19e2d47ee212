import type { Member } from '../lib/json-scan.ts';
import type { JsonText } from '../lib/json-text.ts';
import type { LogParams, ProgressParams } from './messages.ts';

export interface LineLimits {
  /** Bytes of one line, its line break not counted. */
  readonly messageBytesMax: number;
  /** Objects and arrays within one another, the message itself counted. */
  readonly nestingMax: number;
  /** Blank lines in a row. */
  readonly blankLinesMax: number;
  /** Bytes of one notification: it is parsed, unlike a result. */
  readonly notificationBytesMax: number;
}

export const messageBytesMaxDefault = 32 * 1024 * 1024;
export const nestingMaxDefault = 64;
export const blankLinesMaxDefault = 64;
export const notificationBytesMaxDefault = 256 * 1024;

export const lineLimitsDefault: LineLimits = {
  messageBytesMax: messageBytesMaxDefault,
  nestingMax: nestingMaxDefault,
  blankLinesMax: blankLinesMaxDefault,
  notificationBytesMax: notificationBytesMaxDefault,
};

export type Incoming =
  | {
      readonly type: 'result';
      readonly id: string;
      readonly result: JsonText;
      /** Members of an object `result`, when the reader met them on its way: handed to `readReply` they save a second scan. */
      readonly members?: readonly Member[];
      readonly lineBytes: number;
    }
  | { readonly type: 'error'; readonly id: string; readonly error: ErrorReply; readonly lineBytes: number }
  /** An answer to `id` that cannot be passed on. Only that invocation fails; the connector lives. */
  | { readonly type: 'invalid'; readonly id: string; readonly breach: Breach }
  | { readonly type: 'notification'; readonly method: 'log'; readonly params: LogParams }
  | { readonly type: 'notification'; readonly method: 'progress'; readonly params: ProgressParams };

export interface ErrorReply {
  readonly message: string;
  readonly code?: number;
  readonly data?: JsonText;
}

export interface Breach {
  readonly code: 'protocol_violation' | 'invalid_result' | 'result_too_large';
  /** May hold up to 200 bytes of what the connector wrote: mask secrets before it is shown. */
  readonly message: string;
  /** The request whose answer it was, when that could be told. */
  readonly id?: string;
}

export interface LineHandlers {
  message(message: Incoming): void;
  /** Called at most once; nothing is told after it. */
  breach(breach: Breach): void;
}

/** Bytes of a connector’s stdout to messages. Linear in the bytes however they are split; ends at the first breach. */
export class LineReader {
  constructor(_limits: LineLimits, _handlers: LineHandlers) {}

  push(_chunk: Uint8Array): void {
    throw new Error('not written yet');
  }

  /** stdout ended. Bytes of an unfinished line are a breach. */
  end(): void {
    throw new Error('not written yet');
  }

  /** Ignores everything from here on, also the rest of the current chunk. For breaches that only the worker can see. */
  stop(): void {
    throw new Error('not written yet');
  }
}
