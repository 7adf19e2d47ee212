import type { Member } from '../lib/json-scan.ts';
import type { JsonText } from '../lib/json-text.ts';
import type { Breach, ErrorReply } from './lines.ts';
import type { InitializeResult } from './messages.ts';

/** What the connector answered, its values as its own text. */
export type Reply =
  | {
      readonly type: 'body';
      readonly body: JsonText;
      readonly mimetype?: string;
      readonly httpStatus?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly logs: readonly string[];
    }
  /** A result in the engine’s own form, passed on as it is. */
  | { readonly type: 'spiff'; readonly result: JsonText; readonly logs: readonly string[] };

export type ReplyReading =
  | { readonly ok: true; readonly reply: Reply; readonly accepted: boolean }
  | { readonly ok: false; readonly breach: Breach };

/** An error of the connector’s own, as it wants the engine to see it. */
export interface ConnectorError {
  /** The connector’s own code, or `connector_failed`. */
  readonly errorCode: string;
  readonly message: string;
  readonly httpStatus?: number;
  readonly retryable?: boolean;
  readonly detail?: JsonText;
}

export type OneshotReading =
  | { readonly type: 'reply'; readonly reply: Reply; readonly accepted: boolean }
  | { readonly type: 'error'; readonly error: ConnectorError }
  | { readonly type: 'breach'; readonly breach: Breach };

export interface OneshotLimits {
  readonly messageBytesMax: number;
  readonly nestingMax: number;
}

/** The `result` of an answer to `invoke`. `body` and `spiff` are taken as text; the rest is checked. `members` saves a scan when known. */
export function readReply(_result: JsonText, _members?: readonly Member[]): ReplyReading {
  throw new Error('not written yet');
}

export function readError(_error: ErrorReply): ConnectorError {
  throw new Error('not written yet');
}

/** The `result` of an answer to `initialize`, parsed and checked. */
export function readInitialize(
  _result: JsonText,
): { readonly ok: true; readonly result: InitializeResult } | { readonly ok: false; readonly breach: Breach } {
  throw new Error('not written yet');
}

/** Everything that a `oneshot` connector wrote to stdout. */
export function readOneshot(_stdout: Uint8Array, _limits: OneshotLimits): OneshotReading {
  throw new Error('not written yet');
}
