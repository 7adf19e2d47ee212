import type { ProxyError } from '../errors.ts';
import { ByteBudget } from '../lib/byte-budget.ts';
import type { Keeping } from '../lib/growing-buffer.ts';
import { byteLengthOf } from '../lib/pieces.ts';
import { Slots } from '../lib/slots.ts';
import { TurnShare } from '../lib/turn-share.ts';
import type { Mask } from '../protocol/breach.ts';
import { encodeInvoke, encodeNotification, encodeRequest, type InvokeFields } from '../protocol/encode.ts';
import { lineLimitsDefault } from '../protocol/limits.ts';
import { type Breach, type Incoming, LineReader } from '../protocol/lines.ts';
import type { ConnectorProcess } from '../runner/runner.ts';
import { BatchedWriter } from './batched-writer.ts';
import { createIdSource, isIdInSlot, type RequestId, slotOf } from './ids.ts';

/** An answer to one request, or the reason why there will be none. */
export type Answer = Exclude<Incoming, { type: 'notification' }> | { readonly type: 'closed'; readonly error: ProxyError };
export type Notification = Extract<Incoming, { type: 'notification' }>;
export type Settle = (answer: Answer) => void;

/** A request that waits for its answer. */
interface Pending {
  id: RequestId;
  slot: number;
  readonly settle: Settle;
}

export interface ChannelLimits {
  readonly messageBytesMax: number;
  readonly nestingMax: number;
  readonly stdinQueueBytesMax: number;
}

export interface ChannelHandlers {
  notification(notification: Notification): void;
  /** The first thing that the protocol does not allow. Nothing is read after it. */
  breach(breach: Breach): void;
  /** A pipe broke or ended: a symptom, whose reason the exit tells. */
  broken(pipe: 'stdin' | 'stdout'): void;
  /** Hides secrets in what a breach quotes. */
  readonly mask: Mask;
}

/** Notifications are parsed, so a flood of them costs the whole proxy; past this rate the connector’s stdout is read no faster. */
const notificationBudget = { bytesPerSecond: 8 * 1024 * 1024, burstBytes: 8 * 1024 * 1024 };

/**
 * The correlated link over a process’s stdin and stdout: every request has an unguessable id and is settled once, by its answer or by the
 * end of the channel. An answer to an id that waits for none is a breach.
 */
export class Channel {
  readonly #process: ConnectorProcess;
  readonly #handlers: ChannelHandlers;
  readonly #writer: BatchedWriter;
  readonly #reader: LineReader;
  readonly #pending = new Slots<Pending>();
  readonly #nextId = createIdSource();
  readonly #messageBytesMax: number;
  readonly #budget = new ByteBudget(notificationBudget, performance.now());
  readonly #turnShare: TurnShare;
  #answerBytes = 0;
  #hasNotified = false;
  #hasEnded = false;
  #unfinished: Breach | undefined;
  #throttleTimer: NodeJS.Timeout | undefined;
  #closedBy: ProxyError | undefined;

  constructor(process: ConnectorProcess, limits: ChannelLimits, handlers: ChannelHandlers) {
    this.#process = process;
    this.#handlers = handlers;
    this.#messageBytesMax = limits.messageBytesMax;
    this.#writer = new BatchedWriter(process.stdin, limits.stdinQueueBytesMax);
    const lineLimits = { ...lineLimitsDefault, messageBytesMax: limits.messageBytesMax, nestingMax: limits.nestingMax };
    this.#reader = new LineReader(lineLimits, {
      message: (message) => this.#receive(message),
      breach: (breach) => this.#breach(breach),
      mask: handlers.mask,
    });
    this.#turnShare = new TurnShare(process.stdout, {
      mayGoOn: () => this.#throttleTimer === undefined,
      isAwaited: () => this.#pending.size > 0,
    });
    process.stdin.on('error', () => handlers.broken('stdin'));
    process.stdout.on('error', () => handlers.broken('stdout'));
    process.stdout.on('data', (chunk: Buffer) => this.#read(chunk, 'own'));
    process.stdout.lendTo?.((bytes) => this.#read(bytes, 'lent'));
    process.stdout.on('end', () => this.#end());
  }

  /** Requests that wait for an answer. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes;
  }

  /** What is wrong with the last line, when stdout ended within it: a detail of the end, not its reason. */
  get unfinished(): Breach | undefined {
    return this.#unfinished;
  }

  request(method: 'initialize' | 'ping' | 'shutdown', params: object): Promise<Answer> {
    return new Promise((resolve) => {
      if (this.#closedBy !== undefined) {
        resolve({ type: 'closed', error: this.#closedBy });
        return;
      }
      const { id } = this.#expect(resolve);
      this.#writer.write([encodeRequest(id.text, method, params)], 'alone');
    });
  }

  /** Nothing is sent unless it returns `sent`: the message may be over the size limit, or the connector reads its stdin too slowly. */
  invoke(fields: InvokeFields, settle: Settle): 'sent' | 'too-large' | 'stalled' {
    const isAlone = this.#pending.size === 0;
    const pending = this.#expect(settle);
    const { command, input, context, engineData } = fields;
    const parts = encodeInvoke({ id: pending.id.text, command, input, context, engineData });
    const bytes = byteLengthOf(parts);
    const isTooLarge = bytes > this.#messageBytesMax;
    if (isTooLarge || !this.#writer.hasRoomFor(bytes)) {
      this.#forget(pending);
      return isTooLarge ? 'too-large' : 'stalled';
    }
    this.#writer.write(parts, isAlone ? 'alone' : 'among others');
    return 'sent';
  }

  cancel(invocationId: string, reason: string): void {
    if (this.#closedBy !== undefined) return;
    this.#writer.write([encodeNotification('cancel', { invocationId, reason })], 'among others');
  }

  endInput(): void {
    this.#writer.end();
  }

  /** Settles everything that waits and ignores whatever else arrives. Idempotent. */
  close(error: ProxyError): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = error;
    this.#reader.stop();
    clearTimeout(this.#throttleTimer);
    this.#throttleTimer = undefined;
    // Nothing listens any more, but a full pipe would keep a process from ending by itself.
    this.#process.stdout.resume();
    for (const pending of this.#pending.values()) {
      this.#forget(pending);
      pending.settle({ type: 'closed', error });
    }
  }

  #expect(settle: Settle): Pending {
    const pending = { id: noId, slot: 0, settle };
    pending.slot = this.#pending.add(pending);
    pending.id = this.#nextId(pending.slot);
    return pending;
  }

  #find(id: string): Pending | undefined {
    const pending = this.#pending.get(slotOf(id));
    return pending !== undefined && isIdInSlot(id, pending.id) ? pending : undefined;
  }

  #forget({ slot }: Pending): void {
    this.#pending.remove(slot);
  }

  #read(chunk: Buffer, keeping: Keeping): void {
    if (this.#closedBy !== undefined) return;
    this.#answerBytes = 0;
    this.#hasNotified = false;
    // Before the reader takes it.
    const { byteLength } = chunk;
    this.#turnShare.took(byteLength);
    this.#reader.push(chunk, keeping);
    const noiseBytes = byteLength - this.#answerBytes;
    if (this.#hasNotified && noiseBytes > 0) this.#throttle(noiseBytes);
  }

  #throttle(bytes: number): void {
    const waitMs = this.#budget.spend(bytes, performance.now());
    if (waitMs === 0 || this.#closedBy !== undefined) return;
    this.#process.stdout.pause();
    this.#throttleTimer = setTimeout(() => {
      this.#throttleTimer = undefined;
      this.#process.stdout.resume();
    }, waitMs);
  }

  #receive(message: Incoming): void {
    if (message.type === 'notification') {
      this.#hasNotified = true;
      this.#handlers.notification(message);
      return;
    }
    const pending = this.#find(message.id);
    if (pending === undefined) {
      this.#breach(unknownId);
      return;
    }
    this.#forget(pending);
    if (message.type !== 'invalid') this.#answerBytes += message.lineBytes;
    pending.settle(message);
  }

  #breach(breach: Breach): void {
    if (this.#closedBy !== undefined) return;
    if (this.#hasEnded) {
      this.#unfinished = breach;
      return;
    }
    this.#reader.stop();
    const culprit = breach.id === undefined ? undefined : this.#find(breach.id);
    if (culprit !== undefined) this.#forget(culprit);
    // First, so that nobody is given the place that the culprit leaves.
    this.#handlers.breach(breach);
    // It fails by the breach itself, all others by the end of the connector.
    culprit?.settle({ type: 'invalid', id: culprit.id.text, breach });
  }

  #end(): void {
    if (this.#closedBy !== undefined) return;
    this.#hasEnded = true;
    this.#reader.end();
    this.#handlers.broken('stdout');
  }
}

const noId: RequestId = { text: '', random: '' };

const unknownId: Breach = {
  code: 'protocol_violation',
  message: 'The connector answered an id that waits for no answer: it answered twice, or it made the id up. Answer each request once.',
};
