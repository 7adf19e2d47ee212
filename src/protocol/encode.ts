import type { JsonText } from '../lib/json-text.ts';
import { JoinedPieces, latin1, type Piece } from '../lib/pieces.ts';

/** One message, ended by LF. `params` must be what JSON.stringify takes. */
export function encodeRequest(id: string, method: 'initialize' | 'ping' | 'shutdown', params: object): Buffer {
  return Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
}

export function encodeNotification(method: 'cancel', params: object): Buffer {
  return Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`);
}

export interface InvokeFields {
  /** ASCII without what JSON escapes, as are all texts here. */
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

/** The `invoke` request with the caller’s bytes in it, to be written in order: one text when they are texts, no copy of large values else. */
export function encodeInvoke(invoke: InvokeFields & { readonly id: string }): readonly Piece[] {
  return paramsBetween(`{"jsonrpc":"2.0","id":"${invoke.id}","method":"invoke","params":`, invoke, '}}\n');
}

/** What a `oneshot` connector, which has no `initialize`, is told beside the params of `invoke`. */
export interface OneshotExtras {
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** The one document that a `oneshot` connector reads from stdin: the params of `invoke`, `config` and `secrets`, ended by LF. */
export function encodeOneshot(invoke: InvokeFields, { config, secrets }: OneshotExtras): readonly Piece[] {
  const extras = Buffer.from(`,"config":${JSON.stringify(config)},"secrets":${JSON.stringify(secrets)}}\n`);
  return paramsBetween('', invoke, latin1(extras));
}

/** The params between `head` and `tail`, without their closing brace. */
function paramsBetween(head: string, { command, input, context, engineData }: InvokeFields, tail: string): readonly Piece[] {
  // The context’s own object without its closing brace, so that the engine’s data can go on in it.
  const { invocationId, deadline, attempt, traceparent } = context;
  const trace = traceparent === undefined ? '' : `,"traceparent":"${traceparent}"`;
  const scalars = `{"invocationId":"${invocationId}","deadline":${deadline},"attempt":${attempt}${trace}`;
  const joined = new JoinedPieces();
  joined.add(`${head}{"command":"${command}","input":`);
  joined.add(input);
  joined.add(`,"context":${scalars}`);
  // One by one: names that a loop goes through are looked up anew in each message, a hundredth of all that a call takes.
  addMember(joined, 'taskData', engineData.taskData);
  addMember(joined, 'processInstanceId', engineData.processInstanceId);
  addMember(joined, 'processModelIdentifier', engineData.processModelIdentifier);
  addMember(joined, 'taskId', engineData.taskId);
  addMember(joined, 'callbackUrl', engineData.callbackUrl);
  joined.add(`}${tail}`);
  return joined.all();
}

function addMember(joined: JoinedPieces, name: keyof EngineData, text: JsonText | undefined): void {
  if (text === undefined) return;
  joined.add(`,"${name}":`);
  joined.add(text);
}
