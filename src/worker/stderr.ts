import type { Readable } from 'node:stream';
import { ByteBudget } from '../lib/byte-budget.ts';
import type { LogFields, Logger } from '../log.ts';
import type { Mask, TextEnd } from '../protocol/breach.ts';
import type { LogBudget } from './log-budget.ts';

/** Bytes of one line of stderr that are kept; the rest of the line is dropped. */
export const lineBytesMax = 4 * 1024;
/** Read beyond that, so that a secret across the cut is rarely cut before it is masked. */
const maskMarginBytes = 1024;
/** The ring of last bytes, of which messages show the last lines. */
const ringBytesMax = 4 * 1024;
const tailLinesMax = 8;
const tailCharactersMax = 1024;
/** Past this rate stderr is read no faster: reading it costs every connector’s time. */
const readBudget = { bytesPerSecond: 8 * 1024 * 1024, burstBytes: 8 * 1024 * 1024 };

export interface StderrOptions {
  readonly stream: Readable;
  readonly mask: Mask;
  readonly logger: Logger;
  readonly fields: LogFields;
  readonly budget: LogBudget;
}

/** A connector’s stderr: free text that becomes log lines, the last of them kept to explain how it ended. */
export class Stderr {
  readonly #options: StderrOptions;
  readonly #fields: LogFields;
  readonly #budget = new ByteBudget(readBudget, performance.now());
  #ring: Buffer = Buffer.alloc(0);
  #hasLostBytes = false;
  /** The line that is being read. */
  #line: Buffer[] = [];
  #lineBytes = 0;
  /** The one before it, unless it was dropped. */
  #lastLine: string | undefined;
  /** Its rest is dropped too: the end of a secret would not be recognised. */
  #isInDroppedLine = false;
  #resumeTimer: NodeJS.Timeout | undefined;

  constructor(options: StderrOptions) {
    this.#options = options;
    this.#fields = { ...options.fields, stream: 'stderr' };
    const { stream } = options;
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', () => {});
    stream.once('close', () => clearTimeout(this.#resumeTimer));
  }

  /** The last lines, masked; empty when there were none. */
  tail(): string {
    const text = this.#ring.toString('utf8');
    // The first line of a full ring is cut, and a secret in it would not be recognised.
    const lines = this.#hasLostBytes ? text.slice(text.indexOf('\n') + 1 || text.length) : text;
    if (this.#hasLostBytes && lines.trimEnd() === '') return this.#beginningOfLastLine();
    const masked = this.#options.mask(lines, lines.endsWith('\n') ? 'whole' : 'cut');
    const last = masked.trimEnd().split('\n').slice(-tailLinesMax).join('\n');
    return last.length > tailCharactersMax ? `…${last.slice(-tailCharactersMax)}` : last;
  }

  #beginningOfLastLine(): string {
    const line = this.#lineBytes > 0 ? this.#lineText('cut') : (this.#lastLine ?? '');
    return line.length > tailCharactersMax ? `${line.slice(0, tailCharactersMax)}…` : line;
  }

  /** Logs a last line without a line break. */
  finish(): void {
    if (this.#lineBytes > 0) this.#finishLine('cut');
    this.#options.budget.report();
  }

  #read(chunk: Buffer): void {
    this.#remember(chunk);
    this.#logLines(chunk);
    this.#throttle(chunk.length);
  }

  #remember(chunk: Buffer): void {
    if (this.#ring.length + chunk.length > ringBytesMax) this.#hasLostBytes = true;
    const recent =
      chunk.length >= ringBytesMax ? chunk.subarray(-ringBytesMax) : Buffer.concat([this.#ring, chunk]).subarray(-ringBytesMax);
    this.#ring = Buffer.from(recent);
  }

  /** Line by line until the log takes no more; then the rest of the chunk is dropped in one step, so that a flood costs little. */
  #logLines(chunk: Buffer): void {
    let start = this.#afterDroppedLine(chunk);
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      this.#append(chunk.subarray(start, end));
      start = end + 1;
      if (!this.#finishLine()) {
        this.#options.budget.drop(chunk.length - start);
        this.#isInDroppedLine = chunk.at(-1) !== 10;
        return;
      }
    }
    this.#append(chunk.subarray(start));
  }

  /** Where the first line begins that is not the rest of a dropped one. */
  #afterDroppedLine(chunk: Buffer): number {
    if (!this.#isInDroppedLine) return 0;
    const end = chunk.indexOf(10);
    this.#isInDroppedLine = end < 0;
    const start = end < 0 ? chunk.length : end + 1;
    this.#options.budget.drop(start);
    return start;
  }

  #append(part: Buffer): void {
    const roomBytes = lineBytesMax + maskMarginBytes - this.#lineBytes;
    if (roomBytes > 0 && part.length > 0) this.#line.push(Buffer.from(part.subarray(0, roomBytes)));
    this.#lineBytes += part.length;
  }

  #finishLine(end: TextEnd = 'whole'): boolean {
    const isAdmitted = this.#options.budget.admits(Math.min(this.#lineBytes, lineBytesMax));
    if (this.#lineBytes > 0) {
      this.#lastLine = isAdmitted ? this.#lineText(end) : undefined;
      if (this.#lastLine !== undefined) this.#options.logger.info(this.#fields, this.#lastLine);
    }
    this.#line = [];
    this.#lineBytes = 0;
    return isAdmitted;
  }

  #lineText(end: TextEnd): string {
    const isLonger = this.#lineBytes > lineBytesMax + maskMarginBytes;
    const line = this.#options.mask(Buffer.concat(this.#line).toString('utf8').replace(/\r$/, ''), isLonger ? 'cut' : end);
    return this.#lineBytes > lineBytesMax ? `${line.slice(0, lineBytesMax)}…` : line;
  }

  #throttle(bytes: number): void {
    const waitMs = this.#budget.spend(bytes, performance.now());
    const { stream } = this.#options;
    if (waitMs === 0 || stream.destroyed) return;
    stream.pause();
    this.#resumeTimer = setTimeout(() => stream.resume(), waitMs);
  }
}
