import { ProxyError } from '../errors.ts';
import { giveBack } from '../lib/owned-memory.ts';
import { settlesWithin } from '../lib/pause.ts';
import { Slots } from '../lib/slots.ts';
import type { Mask } from '../protocol/breach.ts';
import type { Breach } from '../protocol/lines.ts';
import { readError, readReply } from '../protocol/reply.ts';
import type { ConnectorProcess, ProcessExit, ProcessNotice } from '../runner/runner.ts';
import { type Answer, Channel } from './channel.ts';
import { closePolitely } from './close-ladder.ts';
import { type EndReason, endText, reasonOfExit } from './end-text.ts';
import type { Invocation, Outcome } from './invocation.ts';
import { fieldsOf, inputTooLarge } from './invoke-fields.ts';
import { LogBudget } from './log-budget.ts';
import { createNotificationLog } from './notification-log.ts';
import { type GiveUpReason, RunningInvocation } from './running-invocation.ts';
import type { ProcessOwner } from './start-process.ts';
import { Stderr } from './stderr.ts';
import {
  type SecretBundle,
  type Waited,
  type Worker,
  type WorkerEnd,
  type WorkerOptions,
  type WorkerState,
  workerWaits,
} from './worker.ts';

/** Of a worker that Bulkhead asked to go. */
const closedReason: EndReason = { code: 'shutting_down', text: 'was closed' };

/** A process that answers many invocations, several at once, over one channel. */
export class PersistentWorker implements Worker, ProcessOwner {
  readonly channel: Channel;
  readonly #options: WorkerOptions;
  readonly #process: ConnectorProcess;
  readonly #mask: Mask;
  readonly #fields: { readonly connector: string; readonly worker: string };
  readonly #stderr: Stderr;
  readonly #running = new Slots<RunningInvocation>();
  readonly #startNotices: string[] = [];
  readonly #end = Promise.withResolvers<WorkerEnd>();
  #phase: 'starting' | 'open' | 'closing' | 'closed' = 'starting';
  #isOpened = false;
  #isDying = false;
  #capacity: number;
  #invocations = 0;
  /** The first reason of its end; what follows from it does not replace it. */
  #reason: EndReason | undefined;
  #overdueReason: EndReason | undefined;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(options: WorkerOptions, process: ConnectorProcess, secrets: SecretBundle) {
    const { logger, connector, limits } = options;
    const { mask } = secrets;
    this.#options = options;
    this.#process = process;
    this.#mask = mask;
    this.#capacity = limits.concurrency;
    const fields = { connector, worker: process.label };
    const budget = new LogBudget(logger, fields);
    this.#fields = fields;
    this.#stderr = new Stderr({ stream: process.stderr, mask, logger, fields, budget });
    const find = (id: string) => this.#running.find(({ invocation }) => invocation.id === id);
    this.channel = new Channel(process, limits, {
      notification: createNotificationLog({ logger, fields, mask, budget, find }),
      breach: (breach) => this.#breached(breach),
      broken: (pipe) => void this.#explain(pipe),
      mask,
    });
    void process.exited.then((exit) => this.#exited(exit));
  }

  get label(): string {
    return this.#process.label;
  }

  get state(): WorkerState {
    if (this.#phase !== 'open') return this.#phase;
    return this.#running.size === 0 ? 'ready' : 'busy';
  }

  get capacity(): number {
    return this.#capacity;
  }

  get load(): number {
    return this.#running.size;
  }

  get invocations(): number {
    return this.#invocations;
  }

  get closed(): Promise<WorkerEnd> {
    return this.#end.promise;
  }

  /** Ends the start: the handshake went well. */
  open(concurrency: number): void {
    this.#capacity = concurrency;
    this.#isOpened = true;
    if (this.#phase === 'starting') this.#phase = 'open';
  }

  invoke(invocation: Invocation, waited: Waited): Promise<Outcome> {
    return new Promise((resolve) => {
      const { deadlines } = this.#options;
      const running = new RunningInvocation({ invocation, waited, deadlines, mask: this.#mask, resolve, giveUp: this.#giveUp });
      this.#invocations += 1;
      running.slot = this.#running.add(running);
      const sent = this.channel.invoke(fieldsOf(invocation), (answer) => this.#answered(running, answer));
      if (sent === 'sent') return;
      running.fail(this.#unsentError(sent));
      this.#finish(running);
    });
  }

  /** What the machinery around the process saw it do: told to whoever it may have broken. */
  notice(notice: ProcessNotice): void {
    const { code } = notice;
    // It may name a host that the connector made up, of a secret for instance.
    const message = this.#mask(notice.message);
    this.#options.logger.warn({ ...this.#fields, code }, message);
    const text = `${code}: ${message}`;
    if (!this.#isOpened) this.#startNotices.push(text);
    for (const running of this.#running.values()) running.notice(text);
  }

  runningIds(): readonly string[] {
    return this.#running.values().map(({ invocation }) => invocation.id);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  kill(reason: string): void {
    this.#die({ code: 'shutting_down', text: reason });
  }

  /** Takes nothing new from here on. */
  #retire(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') return;
    this.#phase = 'closing';
    this.#options.changed(this);
  }

  async #close(): Promise<void> {
    this.#retire();
    if (this.#running.size > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    this.#reason ??= closedReason;
    if (this.#phase !== 'closed') await closePolitely(this.#process, this.channel);
    await this.#awaitExit();
  }

  /** Ends the process at once, for this reason unless it is ending for an earlier one. */
  #die(reason: EndReason): void {
    if (this.#phase === 'closed' || this.#isDying) return;
    this.#isDying = true;
    this.#reason ??= reason;
    this.#process.kill();
    this.#retire();
    this.channel.close(this.#endError([]));
    void this.#awaitExit();
  }

  async #awaitExit(): Promise<void> {
    if (await settlesWithin(this.closed, workerWaits.killTimeoutMs)) return;
    const message = `The process is still there ${workerWaits.killTimeoutMs} ms after it was killed; it is given up on.`;
    this.#options.logger.error(this.#fields, message);
    this.#finally([]);
  }

  #exited(exit: ProcessExit): void {
    const isExplained = this.#reason === undefined || this.#reason === closedReason;
    const details = isExplained ? [] : [reasonOfExit(exit).text];
    // The runner’s word, that a limit ended it, is better than any symptom that was seen before.
    if (exit.breach !== undefined && this.#reason !== closedReason) this.#reason = reasonOfExit(exit);
    this.#reason ??= reasonOfExit(exit);
    this.#finally(details);
  }

  /** Nothing is left, or nothing can be done about it. */
  #finally(details: readonly string[]): void {
    if (this.#phase === 'closed') return;
    this.#stderr.finish();
    const error = this.#endError(details);
    this.#phase = 'closed';
    this.channel.close(error);
    for (const stream of [this.#process.stdin, this.#process.stdout, this.#process.stderr]) stream.destroy();
    this.#options.changed(this);
    this.#end.resolve({ reason: error.message, isUnexpected: this.#reason?.code !== 'shutting_down' });
  }

  /** A broken pipe is a symptom: the exit that follows within a moment says why. */
  async #explain(pipe: 'stdin' | 'stdout'): Promise<void> {
    if (this.#reason !== undefined) return;
    this.#retire();
    if (await settlesWithin(this.closed, workerWaits.symptomTimeoutMs)) return;
    this.#die({ code: 'protocol_violation', text: `closed its ${pipe} without ending, and was stopped` });
  }

  #breached(breach: Breach): void {
    this.#die({ code: 'protocol_violation', text: `broke the protocol and was stopped. ${breach.message}` });
  }

  #endError(details: readonly string[]): ProxyError {
    const reason = this.#reason ?? closedReason;
    const { unfinished } = this.channel;
    const more = unfinished === undefined ? [] : [unfinished.message];
    const parts = { connector: this.#options.connector, label: this.label, reason, stderr: this.#stderr.tail() };
    const text = endText({ ...parts, details: [...details, ...more, ...(this.#isOpened ? [] : this.#startNotices)] });
    return new ProxyError(this.#isOpened ? reason.code : 'connector_start_failed', text);
  }

  /** Tells the connector. An answer that still comes is dropped; if none comes within the grace, the worker is ended. */
  readonly #giveUp = (running: RunningInvocation, reason: GiveUpReason): void => {
    const { deadlines, limits } = this.#options;
    this.channel.cancel(running.invocation.id, reason);
    deadlines.add(performance.now() + limits.cancelGraceMs, { expire: () => this.#overdue(running) });
    this.#killIfOnlyOverdue();
  };

  #overdue(running: RunningInvocation): void {
    if (this.#running.get(running.slot) !== running) return;
    const { command } = running.invocation;
    const text = `was stopped, because ${command} did not end within ${this.#options.limits.cancelGraceMs} ms of being cancelled`;
    this.#overdueReason ??= { code: 'connector_crashed', text };
    this.#retire();
    this.#killIfOnlyOverdue();
  }

  /** Invocations beside the overdue one are innocent: they may finish, each by its own deadline, before the process is killed. */
  #killIfOnlyOverdue(): void {
    if (this.#overdueReason === undefined) return;
    if (this.#running.find(({ isSettled }) => !isSettled) !== undefined) return;
    this.#die(this.#overdueReason);
  }

  #answered(running: RunningInvocation, answer: Answer): void {
    switch (answer.type) {
      case 'result': {
        if (running.isSettled) {
          // Nobody waits for it any more.
          giveBack(answer.result);
          break;
        }
        const reading = readReply(answer.result, answer.members);
        if (reading.ok) running.succeed(reading.reply, reading.accepted, answer.lineBytes);
        else running.fail(this.#answerError(running, reading.breach));
        break;
      }
      case 'error':
        running.failByConnector(readError(answer.error), answer.lineBytes);
        break;
      case 'invalid':
        running.fail(this.#answerError(running, answer.breach));
        break;
      case 'closed':
        running.fail(answer.error);
        break;
    }
    this.#finish(running);
  }

  #finish(running: RunningInvocation): void {
    this.#running.remove(running.slot);
    if (this.#running.size === 0) this.#drained?.();
    this.#killIfOnlyOverdue();
    this.#options.changed(this);
  }

  #answerError({ invocation }: RunningInvocation, breach: Breach): ProxyError {
    return new ProxyError(breach.code, `Command ${invocation.connector}/${invocation.command}: ${breach.message}`);
  }

  #unsentError(why: 'too-large' | 'stalled'): ProxyError {
    const { connector, limits } = this.#options;
    if (why === 'too-large') return inputTooLarge(connector, limits.messageBytesMax);
    const message = `Connector ${connector} (${this.label}) does not read its stdin: ${this.channel.queuedBytes} bytes wait for it already. The command did not run.`;
    return new ProxyError('connector_unavailable', message, { retryAfterMs: stalledRetryMs });
  }
}

const stalledRetryMs = 1000;
