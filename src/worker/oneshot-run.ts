import { ProxyError } from '../errors.ts';
import { settlesWithin } from '../lib/pause.ts';
import { byteLengthOf } from '../lib/pieces.ts';
import { TimeLimit } from '../lib/time-limit.ts';
import type { Mask } from '../protocol/breach.ts';
import { encodeOneshot } from '../protocol/encode.ts';
import { readOneshot } from '../protocol/reply.ts';
import type { ConnectorProcess, ProcessExit, ProcessNotice } from '../runner/runner.ts';
import { BatchedWriter } from './batched-writer.ts';
import { type EndReason, endText, reasonOfExit } from './end-text.ts';
import type { Invocation, Outcome } from './invocation.ts';
import { fieldsOf, inputTooLarge } from './invoke-fields.ts';
import { LogBudget } from './log-budget.ts';
import { RunningInvocation } from './running-invocation.ts';
import { type StartedProcess, startError, startProcess } from './start-process.ts';
import { Stderr } from './stderr.ts';
import { type Waited, type WorkerOptions, workerWaits } from './worker.ts';

export interface OneshotRunOptions {
  readonly worker: WorkerOptions;
  readonly invocation: Invocation;
  readonly waited: Waited;
  readonly resolve: (outcome: Outcome) => void;
}

/** One invocation of a `oneshot` connector with the process that is started for it. */
export class OneshotRun {
  /** Settles when nothing of the process is left; never rejects. */
  readonly finished: Promise<void>;
  readonly #options: WorkerOptions;
  readonly #running: RunningInvocation;
  readonly #stop = new AbortController();
  readonly #lost = Promise.withResolvers<ProcessExit>();
  #mask: Mask = (text) => text;
  #process: ConnectorProcess | undefined;
  #stderr: Stderr | undefined;
  #reason: EndReason | undefined;

  constructor({ worker, invocation, waited, resolve }: OneshotRunOptions) {
    this.#options = worker;
    const mask = (text: string) => this.#mask(text);
    const giveUp = () => void this.#stopPolitely();
    this.#running = new RunningInvocation({ invocation, waited, deadlines: worker.deadlines, mask, resolve, giveUp });
    this.finished = this.#run();
  }

  kill(reason: string): void {
    this.#end({ code: 'shutting_down', text: reason });
  }

  async #run(): Promise<void> {
    using limit = new TimeLimit(this.#options.limits.startTimeoutMs, this.#stop.signal);
    const started = await startProcess(this.#options, limit.signal).catch((error) =>
      startError(error, this.#options, limit, this.#stop.signal),
    );
    if (started instanceof ProxyError) this.#running.fail(started);
    else await this.#converse(started);
  }

  async #converse({ process, secrets, attach }: StartedProcess): Promise<void> {
    const { logger, connector } = this.#options;
    this.#running.began();
    this.#mask = secrets.mask;
    this.#process = process;
    const { command, id } = this.#running.invocation;
    const fields = { connector, worker: process.label, command, invocation: id };
    const budget = new LogBudget(logger, fields);
    this.#stderr = new Stderr({ stream: process.stderr, mask: secrets.mask, logger, fields, budget });
    attach({ notice: (notice) => this.#noticed(notice, fields), runningIds: () => [id] });
    const output = this.#collect(process);
    this.#send(process, secrets.values);
    const exit = await Promise.race([process.exited, this.#lost.promise]);
    this.#stderr.finish();
    this.#conclude(exit, Buffer.concat(output));
    for (const stream of [process.stdin, process.stdout, process.stderr]) stream.destroy();
  }

  #noticed({ code, message: text }: ProcessNotice, fields: { readonly connector: string }): void {
    const message = this.#mask(text);
    this.#options.logger.warn({ ...fields, code }, message);
    this.#running.notice(`${code}: ${message}`);
  }

  #send(process: ConnectorProcess, secrets: Readonly<Record<string, string>>): void {
    const { connector, settings, limits } = this.#options;
    // A connector may answer without reading its input: a broken pipe means nothing here.
    process.stdin.on('error', () => {});
    const parts = encodeOneshot(fieldsOf(this.#running.invocation), { config: settings, secrets });
    if (byteLengthOf(parts) > limits.messageBytesMax) {
      this.#running.fail(inputTooLarge(connector, limits.messageBytesMax));
      process.kill();
      return;
    }
    const writer = new BatchedWriter(process.stdin, Number.POSITIVE_INFINITY);
    writer.write(parts, 'alone');
    writer.end();
  }

  #collect({ stdout }: ConnectorProcess): readonly Buffer[] {
    const { messageBytesMax } = this.#options.limits;
    const chunks: Buffer[] = [];
    let bytes = 0;
    stdout.on('error', () => {});
    stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= messageBytesMax) chunks.push(chunk);
      else this.#end({ code: 'result_too_large', text: `wrote more than the ${messageBytesMax} bytes of limits.message, and was stopped` });
    });
    return chunks;
  }

  /** Ends the process at once and tells the caller why. */
  #end(reason: EndReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#running.fail(this.#failure(reason, []));
    this.#stop.abort();
    void this.#killAndWait();
  }

  /** The caller was told already. SIGTERM is what a program without a protocol has for `cancel`. */
  async #stopPolitely(): Promise<void> {
    this.#stop.abort();
    const process = this.#process;
    process?.terminate();
    if (process !== undefined && (await settlesWithin(process.exited, this.#options.limits.cancelGraceMs))) return;
    await this.#killAndWait();
  }

  async #killAndWait(): Promise<void> {
    const process = this.#process;
    process?.kill();
    if (process === undefined || (await settlesWithin(process.exited, workerWaits.killTimeoutMs))) return;
    const { logger, connector } = this.#options;
    const fields = { connector, worker: process.label };
    logger.error(fields, `The process is still there ${workerWaits.killTimeoutMs} ms after it was killed; it is given up on.`);
    this.#lost.resolve({ exitCode: null, signal: 'SIGKILL' });
  }

  #conclude(exit: ProcessExit, stdout: Buffer): void {
    if (this.#running.isSettled) return;
    const { limits } = this.#options;
    const isClean = exit.exitCode === 0 && exit.breach === undefined;
    if (stdout.length === 0 && isClean) {
      this.#running.fail(this.#failure({ code: 'protocol_violation', text: 'wrote no document to its stdout' }, [reasonOfExit(exit).text]));
      return;
    }
    const reading = readOneshot(stdout, limits, this.#mask);
    if (reading.type === 'error') this.#running.failByConnector(reading.error, stdout.length);
    else if (!isClean) this.#running.fail(this.#failure(reasonOfExit(exit), stdout.length === 0 ? ['it wrote no document'] : []));
    else if (reading.type === 'reply') this.#running.succeed(reading.reply, reading.accepted, stdout.length);
    else {
      const { code, message } = reading.breach;
      this.#running.fail(this.#failure({ code, text: `answered wrongly. ${message}` }, []));
    }
  }

  #failure(reason: EndReason, details: readonly string[]): ProxyError {
    const label = this.#process?.label ?? 'starting';
    const stderr = this.#stderr?.tail() ?? '';
    return new ProxyError(reason.code, endText({ connector: this.#options.connector, label, reason, details, stderr }));
  }
}
