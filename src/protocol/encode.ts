import type { JsonText } from '../lib/json-text.ts';

/** One message, ended by LF. `params` must be what JSON.stringify takes. */
export function encodeRequest(_id: string, _method: 'initialize' | 'ping' | 'shutdown', _params: object): Buffer {
  throw new Error('not written yet');
}

export function encodeNotification(_method: 'cancel', _params: object): Buffer {
  throw new Error('not written yet');
}

export interface InvokeFields {
  readonly command: string;
  readonly input: JsonText;
  readonly context: ContextScalars;
  readonly engineData: EngineData;
}

export interface ContextScalars {
  readonly invocationId: string;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly attempt: number;
  readonly traceparent?: string;
}

/** The engine’s data by the protocol’s names, as the caller’s own text. */
export interface EngineData {
  readonly taskData?: JsonText;
  readonly processInstanceId?: JsonText;
  readonly processModelIdentifier?: JsonText;
  readonly taskId?: JsonText;
  readonly callbackUrl?: JsonText;
}

/** The `invoke` request with the caller’s bytes in it, to be written in order: one buffer when small, no copy of large values else. */
export function encodeInvoke(_invoke: InvokeFields & { readonly id: string }): readonly Uint8Array[] {
  throw new Error('not written yet');
}

/** What a `oneshot` connector, which has no `initialize`, is told beside the params of `invoke`. Empty objects may be left out. */
export interface OneshotExtras {
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** The one document that a `oneshot` connector reads from stdin: the params of `invoke`, `config` and `secrets`, ended by LF. */
export function encodeOneshot(_invoke: InvokeFields, _extras: OneshotExtras): readonly Uint8Array[] {
  throw new Error('not written yet');
}
