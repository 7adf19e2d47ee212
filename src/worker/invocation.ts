import type { ProxyError } from '../errors.ts';
import type { JsonText } from '../lib/json-text.ts';
import type { LeaveSignal } from '../lib/leave-signal.ts';
import type { CommandName, ConnectorName } from '../manifest/names.ts';
import type { EngineData } from '../protocol/encode.ts';
import type { Reply } from '../protocol/reply.ts';

export type { EngineData, Reply };

export type InvocationId = string & { readonly [invocationIdBrand]: true };
declare const invocationIdBrand: unique symbol;

/** One execution of a command, as the HTTP side hands it over. Bytes stay bytes: nothing here is parsed. */
export interface Invocation {
  readonly id: InvocationId;
  readonly connector: ConnectorName;
  readonly command: CommandName;
  /** The input object’s own text, checked, without the engine’s members. */
  readonly input: JsonText;
  /** The engine’s data that the manifest’s `context` names, as the caller’s own text, by the protocol’s names. */
  readonly engineData: EngineData;
  readonly attempt: number;
  readonly traceparent?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** The same on the clock of performance.now(), which no change of the wall clock moves. */
  readonly expiresAt: number;
  /** Aborts when the client goes away or the proxy gives up on it. */
  readonly signal: LeaveSignal;
}

/** How an invocation ended. Expected failures are values; a thrown error is a bug. */
export type Outcome =
  | { readonly type: 'success'; readonly reply: Reply; readonly phases: Phases }
  | { readonly type: 'accepted'; readonly reply: Reply; readonly phases: Phases }
  | { readonly type: 'failure'; readonly failure: Failure; readonly phases: Phases };

export type Failure =
  | { readonly origin: 'proxy'; readonly error: ProxyError; readonly logs: readonly string[] }
  | {
      readonly origin: 'connector';
      /** The connector’s own code, or `connector_failed`. */
      readonly errorCode: string;
      readonly message: string;
      readonly httpStatus?: number;
      readonly retryable?: boolean;
      readonly detail?: JsonText;
      readonly logs: readonly string[];
    };

/** Milliseconds, whole invocation split: waiting for a worker, of which starting one, and running. */
export interface Phases {
  readonly queueMs: number;
  readonly startMs: number;
  readonly runMs: number;
  /** Bytes of the answer’s line. */
  readonly replyBytes: number;
}
