import { GrowingBuffer, type Keeping } from '../lib/growing-buffer.ts';
import { bytesOf, textBytesMax } from '../lib/pieces.ts';
import { type Breach, excerptBytes, type Mask, notAMessage, type TextEnd, tooLarge } from './breach.ts';
import { type BegunLine, beginLine, type Incoming, idOfBeginning, readLine, readPlainAnswer } from './incoming.ts';
import type { LineLimits } from './limits.ts';

export type { Breach } from './breach.ts';
export type { Incoming } from './incoming.ts';
export { type LineLimits, lineLimitsDefault } from './limits.ts';

export interface LineHandlers {
  message(message: Incoming): void;
  /** Called at most once; nothing is told after it. */
  breach(breach: Breach): void;
  /** Applied to what the connector wrote before any of it is put into a message. Default: nothing is masked. */
  readonly mask?: Mask;
}

/** A line longer than this is scanned while it comes. */
const longLineBytes = 65_536;
const lineFeed = 0x0a;
const openBrace = 0x7b;

/**
 * Bytes of a connector’s stdout to messages. Linear in the bytes however they are split; the same messages however they are split.
 * Ends at the first breach, within the chunk that holds it.
 */
export class LineReader {
  readonly #limits: LineLimits;
  readonly #handlers: LineHandlers;
  readonly #mask: Mask;
  /** The part of a line that has come so far. */
  readonly #line: GrowingBuffer;
  #begun: BegunLine | undefined;
  #blankLines = 0;
  #isStopped = false;

  constructor(limits: LineLimits, handlers: LineHandlers) {
    this.#limits = limits;
    this.#line = new GrowingBuffer(limits.messageBytesMax);
    this.#handlers = handlers;
    this.#mask = handlers.mask ?? ((text) => text);
  }

  push(chunk: Uint8Array, keeping: Keeping = 'own'): void {
    // As a Buffer, whose search for one byte is the machine’s memchr.
    const bytes = bytesOf(chunk);
    let from = 0;
    while (!this.#isStopped && from < bytes.length) {
      const at = bytes.indexOf(lineFeed, from);
      const end = at === -1 ? bytes.length : at;
      if (at === -1 || !this.#takeText(bytes, from, end)) this.#part(bytes.subarray(from, end), at === -1, keeping);
      from = end + 1;
    }
  }

  /** stdout ended. Bytes of an unfinished line are a breach. */
  end(): void {
    if (this.#isStopped) return;
    const line = this.#line.whole();
    if (isBlank(line)) this.stop();
    else if (mayBeMessage(line)) this.#break(cutOff(line.length));
    else this.#break(wrongBeginning(line, this.#mask, 'cut'));
  }

  /** Ignores everything from here on, also the rest of the current chunk. For breaches that only the worker can see. */
  stop(): void {
    this.#isStopped = true;
    this.#clear();
  }

  /** Takes a small line that came in one chunk and is a plain answer, which nearly every one is; else it is to be taken as bytes. */
  #takeText(bytes: Buffer, start: number, end: number): boolean {
    if (this.#line.length > 0 || end - start > Math.min(textBytesMax, this.#limits.messageBytesMax)) return false;
    const answer = readPlainAnswer(bytes.toString('latin1', start, end), this.#limits);
    if (answer === undefined) return false;
    this.#blankLines = 0;
    this.#handlers.message(answer);
    return true;
  }

  #part(part: Buffer, isUnfinished: boolean, keeping: Keeping): void {
    if (this.#line.length + part.length > this.#limits.messageBytesMax) this.#breakOverlong(part);
    else if (isUnfinished) this.#keep(part, keeping);
    else this.#endLine(part, keeping);
  }

  /** Part of a line whose end is still to come: text that will never be a message is told early, for its end may never come. */
  #keep(part: Buffer, keeping: Keeping): void {
    const before = this.#line.length;
    // Before its memory goes.
    this.#begun?.scan.advance(part);
    this.#line.append(part, keeping);
    if (this.#begun === undefined && this.#line.length > longLineBytes) this.#begun = beginLine(this.#line.whole(), this.#limits);
    if (before > excerptBytes || this.#line.length <= excerptBytes) return;
    const beginning = this.#line.whole().subarray(0, excerptBytes + 1);
    if (!mayBeMessage(beginning)) this.#break(wrongBeginning(beginning, this.#mask, 'cut'));
  }

  /** A line that came in one chunk is read where it is, or in a copy, for an answer is passed on. */
  #endLine(last: Buffer, keeping: Keeping): void {
    if (this.#line.length === 0) {
      this.#take(keeping === 'own' ? last : Buffer.from(last));
      return;
    }
    this.#line.append(last, keeping);
    const line = this.#line.whole();
    const begun = this.#begun;
    this.#clear();
    this.#take(line, begun);
  }

  #clear(): void {
    this.#line.clear();
    this.#begun = undefined;
  }

  #breakOverlong(part: Buffer): void {
    const { messageBytesMax } = this.#limits;
    this.#line.append(part.subarray(0, excerptBytes + 1));
    const beginning = this.#line.whole().subarray(0, Math.min(excerptBytes, messageBytesMax) + 1);
    if (mayBeMessage(beginning)) this.#break(tooLarge(messageBytesMax, idOfBeginning(beginning)));
    else this.#break(wrongBeginning(beginning, this.#mask, 'cut'));
  }

  #take(line: Buffer, begun?: BegunLine): void {
    if (isBlank(line)) {
      this.#countBlank();
      return;
    }
    this.#blankLines = 0;
    if (!mayBeMessage(line)) {
      this.#break(wrongBeginning(line, this.#mask, 'whole'));
      return;
    }
    const reading = readLine(line, this.#limits, this.#mask, begun);
    if (reading.ok) this.#handlers.message(reading.message);
    else this.#break(reading.breach);
  }

  #countBlank(): void {
    this.#blankLines += 1;
    if (this.#blankLines <= this.#limits.blankLinesMax) return;
    const message = `The connector wrote more than ${this.#limits.blankLinesMax} blank lines in a row to stdout. Write messages only.`;
    this.#break({ code: 'protocol_violation', message });
  }

  #break(breach: Breach): void {
    this.stop();
    this.#handlers.breach(breach);
  }
}

function cutOff(bytes: number): Breach {
  const message = `The connector’s stdout ended within a message, after ${bytes} bytes without a line break. End each message with LF.`;
  return { code: 'protocol_violation', message };
}

function wrongBeginning(beginning: Buffer, mask: Mask, end: TextEnd): Breach {
  const isArray = beginning[firstVisible(beginning)] === 0x5b;
  return notAMessage(beginning, mask, isArray ? 'an array; there are no batches' : 'it does not begin with {', end);
}

/** Whether the first byte that is not blank is a brace; also of what is blank as far as it goes. */
function mayBeMessage(line: Buffer): boolean {
  const at = firstVisible(line);
  return at === line.length || line[at] === openBrace;
}

function isBlank(line: Buffer): boolean {
  return firstVisible(line) === line.length;
}

function firstVisible(line: Buffer): number {
  let at = 0;
  while (at < line.length && (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0d)) at += 1;
  return at;
}
