import type { JsonText } from '../lib/json-text.ts';
import { byteLengthOf, latin1, type Piece, textBytesMax } from '../lib/pieces.ts';

/** One message, ended by LF. `params` must be what JSON.stringify takes. */
export function encodeRequest(id: string, method: 'initialize' | 'ping' | 'shutdown', params: object): Buffer {
  return Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
}

export function encodeNotification(method: 'cancel', params: object): Buffer {
  return Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`);
}

export interface InvokeFields {
  /** ASCII, as are all texts here. */
  readonly command: string;
  readonly input: JsonText;
  readonly context: ContextScalars;
  readonly engineData: EngineData;
}

interface ContextScalars {
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

const engineDataNames = ['taskData', 'processInstanceId', 'processModelIdentifier', 'taskId', 'callbackUrl'] as const;

/** The `invoke` request with the caller’s bytes in it, to be written in order: one text when small, no copy of large values else. */
export function encodeInvoke(invoke: InvokeFields & { readonly id: string }): readonly Piece[] {
  return join(paramsOf(`{"jsonrpc":"2.0","id":${JSON.stringify(invoke.id)},"method":"invoke","params":`, invoke, '}}\n'));
}

/** What a `oneshot` connector, which has no `initialize`, is told beside the params of `invoke`. */
export interface OneshotExtras {
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** The one document that a `oneshot` connector reads from stdin: the params of `invoke`, `config` and `secrets`, ended by LF. */
export function encodeOneshot(invoke: InvokeFields, { config, secrets }: OneshotExtras): readonly Piece[] {
  const extras = Buffer.from(`,"config":${JSON.stringify(config)},"secrets":${JSON.stringify(secrets)}}\n`);
  return join(paramsOf('', invoke, latin1(extras)));
}

/** Between `head` and `tail`, and without the closing brace. */
function paramsOf(head: string, { command, input, context, engineData }: InvokeFields, tail: string): readonly Piece[] {
  // The context’s own object without its closing brace, so that the engine’s data can go on in it.
  const { invocationId, deadline, attempt, traceparent } = context;
  const trace = traceparent === undefined ? '' : `,"traceparent":${JSON.stringify(traceparent)}`;
  const scalars = `{"invocationId":${JSON.stringify(invocationId)},"deadline":${deadline},"attempt":${attempt}${trace}`;
  const pieces: Piece[] = [`${head}{"command":${JSON.stringify(command)},"input":`, input, `,"context":${scalars}`];
  for (const name of engineDataNames) {
    const text = engineData[name];
    if (text !== undefined) pieces.push(`,"${name}":`, text);
  }
  pieces.push(`}${tail}`);
  return pieces;
}

/** All in one text when that is small; else the caller’s bytes stay as they are. */
function join(pieces: readonly Piece[]): readonly Piece[] {
  return byteLengthOf(pieces) <= textBytesMax ? [pieces.map(latin1).join('')] : pieces;
}
