/**
 * Bulkhead's connector SDK for Node >= 24: one file, no dependency, copied beside the connector (scripts/sync-sdk.ts).
 *
 *     import { serve } from './bulkhead.ts';
 *     serve({ commands: { Greet: (input) => ({ greeting: `Hello ${input['name']}` }) } });
 *
 * Import it first: from then on whatever is printed to stdout goes to stderr, where it becomes log lines, because stdout belongs to
 * the protocol (docs/protocol.md). A child process must not inherit stdout either: give it `stdio: ['ignore', 2, 2]`.
 */
import { randomUUID } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { Writable } from 'node:stream';

export type Handler = (input: Input, context: Context) => unknown;
export type Input = Readonly<Record<string, unknown>>;
const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface ServeOptions {
  /** What to run, by the names in connector.yaml. What a handler returns is the body of the answer; `reply()` says more. */
  readonly commands: Readonly<Record<string, Handler>>;
  /** Invocations this process takes at once. Default 64. */
  readonly concurrency?: number;
  readonly version?: string;
  /** Runs once, before the first invocation; a failure stops the start, with its message. */
  readonly start?: (setup: Setup) => unknown;
  /** Runs once, when the proxy says that nothing more will come. */
  readonly close?: () => unknown;
}

export interface Setup {
  /** The deployer's `settings`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The secrets that the config grants, by the names that connector.yaml requests. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** `signal` and `text` are made when they are asked for: a copy by `{ ...context }` has neither. */
export interface Context extends Setup {
  readonly invocationId: string;
  /** When the answer stops being of use: milliseconds since the epoch. */
  readonly deadline: number;
  readonly attempt: number;
  readonly traceparent?: string;
  /** The engine's data: present only where connector.yaml names it in `context`. */
  readonly taskData?: unknown;
  readonly processInstanceId?: unknown;
  readonly processModelIdentifier?: unknown;
  readonly taskId?: unknown;
  readonly callbackUrl?: unknown;
  /** Aborts when the answer is no longer wanted. */
  readonly signal: AbortSignal;
  /** Each parameter as the caller wrote it. Put one anywhere in the answer, and it comes out unaltered: 1e400, 1.0 and all digits. */
  readonly text: Readonly<Record<string, JsonText>>;
  /** A line of more than 256 KiB is cut, and loses its fields. */
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  progress(progress: number, total?: number, message?: string): void;
}

/** A failure with a name that a process model can catch by a boundary event. */
export class ConnectorError extends Error {
  override readonly name = 'ConnectorError';
  readonly data: ErrorData;

  constructor(message: string, data: ErrorData & { readonly cause?: unknown } = {}) {
    const { cause, ...rest } = data;
    super(message, cause === undefined ? undefined : { cause });
    this.data = rest;
  }
}

export interface ErrorData {
  /** Letters, digits and `_.:-`, at most 128. Default: `ConnectorError`. */
  readonly errorCode?: string;
  /** 400 to 599. The engine retries 429 and 5xx. */
  readonly httpStatus?: number;
  readonly retryable?: boolean;
  readonly detail?: unknown;
}

export interface ReplyFields {
  readonly body?: unknown;
  readonly mimetype?: string;
  readonly httpStatus?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Lines for the modeler. */
  readonly logs?: readonly string[];
  /** A result in the engine's own form, instead of `body`. */
  readonly spiff?: unknown;
  /** The work goes on after this answer; the connector itself will call `context.callbackUrl`. */
  readonly accepted?: boolean;
}

/** An answer that is more than a body. */
export function reply(fields: ReplyFields): unknown {
  return new Reply(fields);
}

class Reply {
  readonly fields: ReplyFields;

  constructor(fields: ReplyFields) {
    this.fields = fields;
  }
}

/**
 * One JSON value as its own text. `JSON.parse` would lose digits (`1.0`, 1e400, long integers) and the order of keys such as "10", "9". It is
 * not checked: text that is no JSON ends the connector.
 */
export class JsonText {
  // Set only while `stringify` runs, which is synchronous: it turns a JsonText met there into a mark that is replaced afterwards.
  static #splices: Splices | undefined;
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }

  /** JSON of a value in which every JsonText appears as its own text. */
  static stringify(value: unknown): string {
    const outer = JsonText.#splices;
    const splices: Splices = { mark: '', sources: [] };
    JsonText.#splices = splices;
    try {
      const json = JSON.stringify(value) ?? 'null';
      if (splices.sources.length === 0) return json;
      return json.replace(new RegExp(`"${splices.mark}:(\\d+)"`, 'g'), (_, index) => splices.sources[Number(index)] as string);
    } finally {
      JsonText.#splices = outer;
    }
  }

  /** Also for a plain JSON.stringify: digits are kept there, only the order of number-like keys is not. */
  toJSON(): unknown {
    const splices = JsonText.#splices;
    if (splices === undefined) return JSON.parse(this.source, keepDigits);
    // Chosen here and now, so nothing in the value can contain it.
    splices.mark ||= randomUUID();
    // A message is one line. JSON has line breaks between tokens only, where a blank means the same.
    return `${splices.mark}:${splices.sources.push(this.source.replace(/[\r\n]/g, ' ')) - 1}`;
  }

  parse(): unknown {
    return JSON.parse(this.source);
  }

  /** The members of an object, or nothing for any other value. Of members with one name the last counts. */
  members(): Readonly<Record<string, JsonText>> {
    const found: Record<string, JsonText> = Object.create(null);
    for (const [name, value] of children(this.source, '{')) found[JSON.parse(name) as string] = new JsonText(value);
    return found;
  }

  /** The members of an object in their order; names are JSON strings as written. */
  entries(): readonly (readonly [name: string, value: JsonText])[] {
    return [...children(this.source, '{')].map(([name, value]) => [name, new JsonText(value)] as const);
  }

  /** The items of an array, or nothing for any other value. */
  items(): readonly JsonText[] {
    return [...children(this.source, '[')].map(([, value]) => new JsonText(value));
  }

  toString(): string {
    return this.source;
  }
}

interface Splices {
  mark: string;
  readonly sources: string[];
}

interface RawJson {
  rawJSON(text: string): unknown;
}

function keepDigits(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || String(value) === source) return value;
  return (JSON as unknown as RawJson).rawJSON(source);
}

/** Splits one container of checked JSON into its direct children. Linear; whitespace around values is left off. */
function* children(source: string, opening: '{' | '['): Generator<readonly [name: string, value: string]> {
  let at = skipSpace(source, 0);
  if (source[at] !== opening) return;
  at = skipSpace(source, at + 1);
  while (at < source.length && source[at] !== '}' && source[at] !== ']') {
    let name = '';
    if (opening === '{') {
      const nameEnd = valueEnd(source, at);
      name = source.slice(at, nameEnd);
      at = skipSpace(source, skipSpace(source, nameEnd) + 1);
    }
    const end = valueEnd(source, at);
    yield [name, source.slice(at, end)];
    at = skipSpace(source, end);
    if (source[at] === ',') at = skipSpace(source, at + 1);
  }
}

function skipSpace(source: string, from: number): number {
  let at = from;
  while (at < source.length && source.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

/** Where the value that begins at `from` ends. */
function valueEnd(source: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < source.length) {
    const code = source.charCodeAt(at);
    if (code === 0x22) {
      at = stringEnd(source, at);
      if (depth === 0) return at;
      continue;
    }
    if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) {
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (code === 0x2c || code === 0x3a || code <= 0x20)) return at;
    at += 1;
  }
  return at;
}

function stringEnd(source: string, from: number): number {
  let at = from + 1;
  while (at < source.length) {
    const code = source.charCodeAt(at);
    if (code === 0x22) return at + 1;
    at += code === 0x5c ? 2 : 1;
  }
  return source.length;
}

// The one thing that happens at import, before any code of the connector can print.
const protocolOut = takeStdout();

function takeStdout(): Writable {
  const { stdout, stderr } = process;
  Object.defineProperty(process, 'stdout', { get: () => stderr, configurable: true, enumerable: true });
  Reflect.set(console, '_stdout', stderr);
  // For `import { stdout } from 'node:process'`, which has been read before.
  syncBuiltinESMExports();
  return stdout;
}

interface Request {
  readonly id: string;
  readonly method: string;
  readonly params: { readonly [key: string]: unknown };
}

/** Answers the proxy until stdin ends, then ends the process. */
export function serve(options: ServeOptions): void {
  // Each answer at once: the proxy works on the first of those that come together while the next are made.
  const send = (line: string): void => void protocolOut.write(line);
  const running = new Running();
  let setup: Setup = { config: {}, secrets: {} };

  const answer = (id: string, outcome: string): void => send(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${outcome}}\n`);

  const initialize = async (params: Request['params']) => {
    setup = { config: params['config'], secrets: params['secrets'] } as Setup;
    await options.start?.(setup);
    return {
      protocol: 1,
      version: options.version,
      commands: Object.keys(options.commands).map((name) => ({ name })),
      concurrency: options.concurrency ?? 64,
    };
  };

  const invoke = ({ id, params }: Request, line: string): void => {
    const { command, input, context } = params as { command: string; input: Input; context: { invocationId: string } };
    const { invocationId } = context;
    const cancellation = running.add(invocationId);
    const work = () => {
      const handler = Object.hasOwn(options.commands, command) ? options.commands[command] : undefined;
      if (handler === undefined) throw new ConnectorError(`This connector has no command ${command}.`, { errorCode: 'command_not_found' });
      return handler(input, new InvocationContext(context, setup, { cancellation, line, send }) as unknown as Context);
    };
    settle(work, fieldsOf, (outcome) => {
      answer(id, outcome);
      running.remove(cancellation);
    });
  };

  const receive = (line: string) => {
    const message = JSON.parse(line) as Request;
    const { id, method, params } = message;
    const reply = (work: () => unknown) => settle(work, asIs, (outcome) => answer(id, outcome));
    if (method === 'invoke') invoke(message, line);
    else if (method === 'cancel') running.find(params['invocationId'] as string)?.cancel(new Error(String(params['reason'])));
    else if (method === 'initialize') reply(() => initialize(params));
    else if (method === 'shutdown') reply(() => Promise.resolve(options.close?.()).then(() => ({})));
    else if (id !== undefined) reply(() => ({}));
  };

  readLines(receive, () => void finish(running));
  protocolOut.on('error', () => process.exit(1));
}

/** What an AbortController is for, made when it is asked for, which few handlers do: it takes longer to make than all the rest of a call. */
class Cancellation {
  readonly invocationId: string;
  place: number;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(invocationId: string, place: number) {
    this.invocationId = invocationId;
    this.place = place;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  cancel(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/** What runs now. No Map: one that always grows and shrinks leaves tables behind, which keep all that was in them until a major collection. */
class Running {
  readonly all: Cancellation[] = [];

  add(invocationId: string): Cancellation {
    const added = new Cancellation(invocationId, this.all.length);
    this.all.push(added);
    return added;
  }

  remove({ place }: Cancellation): void {
    const last = this.all.pop() as Cancellation;
    if (last.place === place) return;
    last.place = place;
    this.all[place] = last;
  }

  find(invocationId: string): Cancellation | undefined {
    return this.all.find((one) => one.invocationId === invocationId);
  }
}

function fieldsOf(answered: unknown): unknown {
  return answered instanceof Reply ? answered.fields : { body: answered ?? null };
}

const asIs = (value: unknown): unknown => value;

/** Lets what runs answer, for a while, and ends the process: nobody can send anything any more. */
async function finish(running: Running): Promise<void> {
  const drainTimeoutMs = 2_000;
  const end = Date.now() + drainTimeoutMs;
  while (running.all.length > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const cancellation of running.all) cancellation.cancel(new Error('stdin ended'));
  // A turn for what was cancelled to answer.
  setImmediate(() => protocolOut.end(() => process.exit(0)));
}

/** At once where `work` gives a value, later where it gives a promise. */
function settle(work: () => unknown, resultOf: (value: unknown) => unknown, settled: (outcome: string) => void): void {
  let value: unknown;
  try {
    value = work();
  } catch (error) {
    settled(failure(error));
    return;
  }
  const succeed = (result: unknown): void => settled(success(result, resultOf));
  const isPlain = value === null || typeof value !== 'object' || !('then' in value);
  if (isPlain) succeed(value);
  else void Promise.resolve(value).then(succeed, (error: unknown) => settled(failure(error)));
}

function success(value: unknown, resultOf: (value: unknown) => unknown): string {
  try {
    return `"result":${JsonText.stringify(resultOf(value))}`;
  } catch (error) {
    return failure(error);
  }
}

/** To tell of a failure never fails, whatever was thrown and put into it: that would end the process, and all that runs in it. */
function failure(error: unknown): string {
  const { message, data } = describe(error);
  try {
    return failureText(message, data);
  } catch (worse) {
    const { errorCode } = data;
    const told = `${message} (The rest of this error is no JSON: ${nameOf(worse)}.)`;
    return failureText(told, typeof errorCode === 'string' ? { errorCode } : {});
  }
}

function failureText(message: string, data: ErrorData): string {
  return `"error":${JsonText.stringify({ code: -32000, message, data })}`;
}

function describe(error: unknown): { readonly message: string; readonly data: ErrorData } {
  try {
    if (error instanceof ConnectorError) return { message: String(error.message), data: { errorCode: error.name, ...error.data } };
    if (!(error instanceof Error)) return { message: String(error), data: {} };
    console.error(error);
    return { message: String(error.message), data: /^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$/.test(error.name) ? { errorCode: error.name } : {} };
  } catch (worse) {
    return { message: `The command failed with what cannot be told: ${nameOf(worse)}.`, data: {} };
  }
}

function nameOf(worse: unknown): string {
  return worse instanceof TypeError || worse instanceof RangeError ? worse.name : 'another failure';
}

/**
 * Made for each invocation, so what few commands ask for is made when they do, by getters of the class: with getters of its own each one
 * would be a hidden class of its own too, which V8 keeps for long, with the line and all that was made of it.
 */
class InvocationContext {
  readonly #cancellation: Cancellation;
  readonly #line: string;
  #text: Readonly<Record<string, JsonText>> | undefined;
  readonly log: Context['log'];
  readonly progress: Context['progress'];

  constructor(given: { readonly invocationId: string }, setup: Setup, invocation: Invoked) {
    Object.assign(this, given, setup);
    const { cancellation, line, send } = invocation;
    const { invocationId } = given;
    const notify = (method: string, params: Told) => send(notificationText(method, { invocationId, ...params }));
    this.#cancellation = cancellation;
    this.#line = line;
    this.log = (level, message, fields) => {
      if (!logLevels.includes(level)) throw new TypeError(`A log level is one of ${logLevels.join(', ')}.`);
      if (fields !== undefined && (typeof fields !== 'object' || fields === null || Array.isArray(fields)))
        throw new TypeError('The fields of a log line are an object.');
      notify('log', { level, message: String(message), fields });
    };
    this.progress = (progress, total, message) => {
      if (!Number.isFinite(progress) || !Number.isFinite(total ?? 0)) throw new TypeError('Progress is told in finite numbers.');
      notify('progress', { progress, total, message: message === undefined ? undefined : String(message) });
    };
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }

  /** Split only when asked for: most commands are content with the parsed input. */
  get text(): Readonly<Record<string, JsonText>> {
    this.#text ??= new JsonText(this.#line).members()['params']?.members()['input']?.members() ?? {};
    return this.#text;
  }
}

/** What the proxy takes of a notification, and characters that are kept of the message of a larger one: each is up to six bytes. */
const notificationBytesMax = 262_144;
const cutMessageChars = 40_000;

interface Told {
  readonly message?: string | undefined;
  readonly [name: string]: unknown;
}

function notificationText(method: string, params: Told): string {
  const text = `${JsonText.stringify({ jsonrpc: '2.0', method, params })}\n`;
  if (Buffer.byteLength(text) <= notificationBytesMax) return text;
  const message = `${(params.message ?? '').slice(0, cutMessageChars)} (cut)`;
  return `${JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, message, fields: undefined } })}\n`;
}

interface Invoked {
  readonly cancellation: Cancellation;
  readonly line: string;
  readonly send: (line: string) => void;
}

/** Linear in the bytes: the chunks of a long line are put together once, when it ends. */
function readLines(receive: (line: string) => void, end: () => void): void {
  let held: Buffer[] = [];
  process.stdin.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let lf = chunk.indexOf(0x0a); lf !== -1; lf = chunk.indexOf(0x0a, from)) {
      let line: string;
      if (held.length === 0) line = chunk.toString('utf8', from, lf);
      else line = Buffer.concat([...held, chunk.subarray(from, lf)]).toString();
      held = [];
      from = lf + 1;
      if (line.length > 0) receive(line);
    }
    if (from < chunk.length) held.push(chunk.subarray(from));
  });
  process.stdin.on('end', end);
}
