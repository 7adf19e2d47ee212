import { ProxyError } from '../errors.ts';
import { parseJson } from '../lib/json-parse.ts';
import { type Member, type ScannedJson, scanJson, seenType } from '../lib/json-scan.ts';
import { cutMembers, type JsonText, memberText, repeatsKey, trustJsonText } from '../lib/json-text.ts';
import { giveBack } from '../lib/owned-memory.ts';
import { latin1, type Piece, slicePiece, textBytesMax, utf8Of } from '../lib/pieces.ts';
import type { ContextName } from '../manifest/manifest.ts';
import type { ParameterCheck } from '../manifest/parameters.ts';
import type { EngineData } from '../worker/invocation.ts';
import type { ReceivedBody } from './request-body.ts';
import { toUtf8 } from './text-encoding.ts';

/** What of a command decides how its request body is read. */
export interface InputRules {
  readonly parameters: ParameterCheck;
  readonly context: readonly ContextName[];
  readonly nestingMax: number;
  readonly messageBytesMax: number;
}

export interface InvocationInput {
  readonly input: JsonText;
  readonly engineData: EngineData;
}

/**
 * A request body as the connector gets it: without the engine’s members, of which it gets those that its context names. Nothing is
 * parsed but, where a schema says more than a type, a copy. The body is used up: its memory becomes the input’s. Throws `invalid_request`,
 * `invalid_parameters` or `payload_too_large`.
 */
export function readInput({ bytes: body, scan: begun }: ReceivedBody, rules: InputRules): InvocationInput {
  if (body.length === 0) throw new ProxyError('invalid_request', 'The request body is empty; send one JSON object in UTF-8.');
  const bytes = toUtf8(body);
  const text: Piece = begun === undefined && bytes.length <= textBytesMax ? latin1(bytes) : bytes;
  const scan = begun === undefined ? scanJson(text, rules) : begun.finish(bytes);
  if (!scan.ok) throw new ProxyError('invalid_request', `The request body is not JSON at byte ${scan.offset}: ${scan.reason}.`);
  if (scan.type !== 'object') return emptyInput(text, scan, rules);

  checkParameters(text, scan.members, () => cutMembers(text, scan, isEngineKey), rules.parameters);
  const engineData = rules.context.length === 0 ? noEngineData : engineDataOf(text, scan, rules.context);
  const input = takeRest(text, scan);
  checkSize(input, engineData, rules.messageBytesMax);
  return { input, engineData };
}

const noEngineData: EngineData = {};

/** In the memory of `text`, which is given back if what stays does not lie in it. */
function takeRest(text: Piece, scan: ScannedJson): JsonText {
  const rest = cutMembers(text, scan, isEngineKey, 'own');
  if (typeof text === 'string' || typeof rest === 'string') return rest;
  // However large the engine’s data was, it shall not be held for a little.
  const input = rest.length <= textBytesMax ? ownCopy(rest) : rest;
  if (typeof input === 'string' || input.buffer !== text.buffer) giveBack(text);
  return input;
}

/** Exact case, top level only; nested ones stay (spiff-contract 3.3). */
function isEngineKey(key: string): boolean {
  return key.startsWith('spiff__');
}

/** What Python holds for false counts as no parameters; any other value that is no object is refused. */
function emptyInput(text: Piece, { start, end, type }: ScannedJson, { parameters }: InputRules): InvocationInput {
  if (!isFalsy(latin1(slicePiece(text, start, end)))) {
    throw new ProxyError('invalid_request', `The request body is of type ${type}; send one JSON object.`);
  }
  const input = trustJsonText('{}');
  checkParameters(text, [], () => input, parameters);
  return { input, engineData: noEngineData };
}

function isFalsy(text: string): boolean {
  if (text === 'null' || text === 'false' || text === '""') return true;
  return /^\[\s*\]$/.test(text) || (/^[-\d]/.test(text) && Number(text) === 0);
}

function checkParameters(text: Piece, members: readonly Member[], input: () => JsonText, parameters: ParameterCheck): void {
  const given = parametersOf(members);
  const faults = parameters.check(
    given.map(({ key }) => key),
    (index) => seenType(text, given[index] as Member),
    () => parseJson(utf8Of(input())),
  );
  if (faults.length > 0) throw new ProxyError('invalid_parameters', `The command did not run: ${faults.join('; ')}.`);
}

/** Without the engine’s; of a name that occurs twice the last, which is what counts. */
function parametersOf(members: readonly Member[]): readonly Member[] {
  const given = members.filter(({ key }) => !isEngineKey(key));
  return repeatsKey(members) ? [...new Map(given.map((member) => [member.key, member])).values()] : given;
}

const engineKeys = {
  task_data: ['spiff__task_data', 'taskData'],
  process_instance_id: ['spiff__process_instance_id', 'processInstanceId'],
  process_model_identifier: ['spiff__process_model_identifier', 'processModelIdentifier'],
  task_id: ['spiff__task_id', 'taskId'],
  callback_url: ['spiff__callback_url', 'callbackUrl'],
} as const satisfies Record<ContextName, readonly [key: string, field: keyof EngineData]>;

function engineDataOf(text: Piece, { members, hasLineBreak }: ScannedJson, context: readonly ContextName[]): EngineData {
  const engineData: { -readonly [Field in keyof EngineData]: EngineData[Field] } = {};
  for (const name of context) {
    const [key, field] = engineKeys[name];
    const member = members.findLast((candidate) => candidate.key === key);
    if (member === undefined) continue;
    const value = memberText(text, member, hasLineBreak);
    // A callback URL of null counts as not sent (spiff-contract 3.5).
    if (name === 'callback_url' && utf8Of(value) === 'null') continue;
    engineData[field] = ownCopy(value);
  }
  return engineData;
}

/** What is cut out of a body is overwritten. */
function ownCopy(value: JsonText): JsonText {
  if (typeof value === 'string') return value;
  return trustJsonText(value.length <= textBytesMax ? latin1(value) : Buffer.from(value));
}

function checkSize(input: JsonText, engineData: EngineData, messageBytesMax: number): void {
  const bytes = Object.values(engineData).reduce((sum, text: JsonText) => sum + text.length, input.length);
  if (bytes <= messageBytesMax) return;
  throw new ProxyError(
    'payload_too_large',
    `What the connector would be sent is larger than ${messageBytesMax} bytes (its limits.message); the command did not run.`,
  );
}
