import type { Readable } from 'node:stream';
import { ByteBudget } from '../lib/byte-budget.ts';
import type { LogFields, Logger } from '../log.ts';
import type { LogBudget } from './log-budget.ts';

/** Bytes of one line of stderr that are kept; the rest of the line is dropped. */
const lineBytesMax = 4 * 1024;
/** Read beyond that, so that a secret across the cut is masked before it is cut. */
const maskMarginBytes = 1024;
/** The ring of last bytes, of which messages show the last lines. */
const ringBytesMax = 4 * 1024;
const tailLinesMax = 8;
const tailCharactersMax = 1024;
/** Past this rate stderr is read no faster: reading it costs every connector’s time. */
const readBudget = { bytesPerSecond: 8 * 1024 * 1024, burstBytes: 8 * 1024 * 1024 };

export interface StderrOptions {
  readonly stream: Readable;
  readonly mask: (text: string) => string;
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
  #line: Buffer[] = [];
  #lineBytes = 0;
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
    const lines = this.#options.mask(this.#hasLostBytes ? text.slice(text.indexOf('\n') + 1) : text);
    const last = lines.trimEnd().split('\n').slice(-tailLinesMax).join('\n');
    return last.length > tailCharactersMax ? `…${last.slice(-tailCharactersMax)}` : last;
  }

  /** Logs a last line without a line break. */
  finish(): void {
    if (this.#lineBytes > 0) this.#finishLine();
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
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#append(chunk.subarray(start, end));
      start = end + 1;
      if (!this.#finishLine()) {
        this.#options.budget.drop(chunk.length - start);
        return;
      }
    }
    this.#append(chunk.subarray(start));
  }

  #append(part: Buffer): void {
    const roomBytes = lineBytesMax + maskMarginBytes - this.#lineBytes;
    if (roomBytes > 0 && part.length > 0) this.#line.push(Buffer.from(part.subarray(0, roomBytes)));
    this.#lineBytes += part.length;
  }

  #finishLine(): boolean {
    const isAdmitted = this.#options.budget.admits(Math.min(this.#lineBytes, lineBytesMax));
    if (isAdmitted && this.#lineBytes > 0) this.#options.logger.info(this.#fields, this.#lineText());
    this.#line = [];
    this.#lineBytes = 0;
    return isAdmitted;
  }

  #lineText(): string {
    const line = this.#options.mask(Buffer.concat(this.#line).toString('utf8').replace(/\r$/, ''));
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
