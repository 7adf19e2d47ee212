// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { ProxyError } from '../errors.ts';
import type { Deadline, Deadlines, Expirable } from '../lib/deadlines.ts';
import { type JsonText, jsonTextOf, trustJsonText } from '../lib/json-text.ts';
import { utf8Of } from '../lib/pieces.ts';
import type { ConnectorError, Reply } from '../protocol/reply.ts';
import type { Invocation, Outcome, Phases } from './invocation.ts';
import { InvocationLogs } from './invocation-logs.ts';
import type { Waited } from './worker.ts';

export type GiveUpReason = 'deadline' | 'cancelled';

export interface RunningOptions {
  readonly invocation: Invocation;
  readonly waited: Waited;
  readonly deadlines: Deadlines;
  readonly mask: (text: string) => string;
  readonly resolve: (outcome: Outcome) => void;
  /** Called after the caller was told, when it was not the connector that ended it. */
  readonly giveUp: (running: RunningInvocation, reason: GiveUpReason) => void;
}

/**
 * One invocation on a worker, from its start until its outcome: settled once, by the connector’s answer, the deadline, the client’s
 * leaving, or the worker’s end. It is its own deadline’s target and abort listener, which saves a closure each.
 */
export class RunningInvocation implements Expirable {
  /** Its place in its worker’s list. */
  slot = 0;
  readonly #options: RunningOptions;
  #startedAt = performance.now();
  #startMs = 0;
  readonly #deadline: Deadline;
  #logs: InvocationLogs | undefined;
  #notices: string[] | undefined;
  #isSettled = false;

  constructor(options: RunningOptions) {
    this.#options = options;
    const { invocation, deadlines } = options;
    this.#deadline = deadlines.add(invocation.expiresAt, this);
    invocation.signal.addEventListener('abort', this);
  }

  get invocation(): Invocation {
    return this.#options.invocation;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** The process that runs it was started for it alone, and exists now: what passed so far was the start. */
  began(): void {
    const now = performance.now();
    this.#startMs = now - this.#startedAt;
    this.#startedAt = now;
  }

  /** A line for the modeler, secrets masked. */
  log(line: string): void {
    if (this.#isSettled) return;
    this.#logs ??= new InvocationLogs();
    this.#logs.add(line);
  }

  /** What the machinery saw while it ran, and what may have broken it. */
  notice(message: string): void {
    this.#notices ??= [];
    if (this.#isSettled || this.#notices.includes(message)) return;
    this.log(message);
    if (this.#notices.length < noticesMax) this.#notices.push(message);
  }

  succeed(reply: Reply, isAccepted: boolean, replyBytes: number): void {
    const whole = this.#logs === undefined ? reply : { ...reply, logs: this.#logs.with(reply.logs) };
    this.#settle({ type: isAccepted ? 'accepted' : 'success', reply: whole, phases: this.#phases(replyBytes) });
  }

  /** The connector answered with an error of its own. */
  failByConnector(error: ConnectorError, replyBytes: number): void {
    const { mask } = this.#options;
    const { detail, ...rest } = error;
    const message = this.#withNotices(mask(error.message));
    const failure = { origin: 'connector', ...rest, message, logs: this.#allLogs() } as const;
    const whole = detail === undefined ? failure : { ...failure, detail: maskedJson(detail, mask) };
    this.#settle({ type: 'failure', failure: whole, phases: this.#phases(replyBytes) });
  }

  fail(error: ProxyError): void {
    const { code, message, retryAfterMs } = error;
    const options = retryAfterMs === undefined ? { cause: error } : { cause: error, retryAfterMs };
    const told = this.#notices === undefined ? error : new ProxyError(code, this.#withNotices(message), options);
    this.#settle({ type: 'failure', failure: { origin: 'proxy', error: told, logs: this.#allLogs() }, phases: this.#phases(0) });
  }

  expire(): void {
    const { command, connector } = this.invocation;
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const message = `Command ${connector}/${command} had not answered ${seconds} s after it began, at its deadline, and was cancelled; raise connectors.${connector}.limits.invocation if it may take longer.`;
    this.#giveUp(new ProxyError('deadline_exceeded', message), 'deadline');
  }

  handleEvent(): void {
    const { command, connector } = this.invocation;
    this.#giveUp(
      new ProxyError('cancelled', `The caller of ${connector}/${command} went away while it ran; it was cancelled.`),
      'cancelled',
    );
  }

  #giveUp(error: ProxyError, reason: GiveUpReason): void {
    if (this.#isSettled) return;
    this.fail(error);
    this.#options.giveUp(this, reason);
  }

  #settle(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const { deadlines, invocation, resolve } = this.#options;
    deadlines.cancel(this.#deadline);
    invocation.signal.removeEventListener('abort', this);
    resolve(outcome);
  }

  #withNotices(message: string): string {
    return this.#notices === undefined ? message : `${message} While it ran: ${this.#notices.join('; ')}.`;
  }

  #allLogs(): readonly string[] {
    return this.#logs?.with([]) ?? [];
  }

  #phases(replyBytes: number): Phases {
    const { queueMs, startMs } = this.#options.waited;
    const runMs = performance.now() - this.#startedAt;
    return { queueMs: queueMs + this.#startMs, startMs: startMs + this.#startMs, runMs, replyBytes };
  }
}

/** Notices that one message names; all are in the log. */
const noticesMax = 3;

/** A value that masking would break is told as text. */
function maskedJson(json: JsonText, mask: (text: string) => string): JsonText {
  const text = utf8Of(json);
  const masked = mask(text);
  if (masked === text) return json;
  try {
    JSON.parse(masked);
    return trustJsonText(Buffer.from(masked));
  } catch {
    return jsonTextOf(masked);
  }
}
