import { write, writeSync } from 'node:fs';
import { lineText } from '../log.ts';

/** Of lines that wait while others are written. For what comes on top, the process waits for the file itself: slowly, nothing is lost. */
export const waitingBytesMax = 2 ** 20;

const lineFeed = 0x0a;

/**
 * Lines to a file, which the thread pool writes: what a write costs, and a disk that takes its time, hold up no call. A file that takes no
 * more, on a full disk say, is asked again with the next lines: those that it did not take are lost, and told of once it takes some. Node’s
 * own stream for a file is at its end with the first error.
 */
export class FileLines {
  readonly #fd: number;
  /** One is filled while the other is written. What was never filled is no memory. */
  #filling = Buffer.allocUnsafeSlow(waitingBytesMax);
  #writing = Buffer.allocUnsafeSlow(waitingBytesMax);
  #filled = 0;
  #isWriting = false;
  #lost = 0;
  /** Why, in the system’s word. */
  #cause = '';
  /** Whether the file ends amid a line. */
  #isCut = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(lines: Buffer): void {
    if (this.#filled + lines.length > waitingBytesMax) {
      this.writeNow(lines);
      return;
    }
    lines.copy(this.#filling, this.#filled);
    this.#filled += lines.length;
    if (!this.#isWriting) this.#begin();
  }

  /** What is being written may come after it, where the thread pool has not begun yet: lines tell their time. */
  writeNow(lines: Buffer): void {
    const waiting = this.#filling.subarray(0, this.#filled);
    this.#filled = 0;
    for (const part of [waiting, lines]) if (part.length > 0) this.#lose(this.#tellOfLost() ? this.#takeNow(part) : part);
  }

  #begin(): void {
    const lines = this.#filling.subarray(0, this.#filled);
    [this.#filling, this.#writing] = [this.#writing, this.#filling];
    this.#filled = 0;
    if (this.#tellOfLost()) this.#goOn(lines);
    else this.#lose(lines);
  }

  #goOn(lines: Buffer): void {
    this.#isWriting = true;
    write(this.#fd, lines, 0, lines.length, null, (error, taken) => {
      const rest = this.#without(lines, error === null ? taken : 0);
      if (error === null && rest.length > 0) {
        this.#goOn(rest);
        return;
      }
      this.#isWriting = false;
      if (error !== null) this.#cause = error.code ?? String(error);
      this.#lose(rest);
      if (this.#filled > 0) this.#begin();
    });
  }

  /** What is left, when the file takes no more. */
  #takeNow(lines: Buffer): Buffer {
    let rest = lines;
    try {
      while (rest.length > 0) rest = this.#without(rest, writeSync(this.#fd, rest));
    } catch (error) {
      this.#cause = (error as NodeJS.ErrnoException).code ?? String(error);
    }
    return rest;
  }

  #without(lines: Buffer, taken: number): Buffer {
    if (taken > 0) this.#isCut = lines[taken - 1] !== lineFeed;
    return lines.subarray(taken);
  }

  #lose(lines: Buffer): void {
    for (let at = lines.indexOf(lineFeed); at !== -1; at = lines.indexOf(lineFeed, at + 1)) this.#lost += 1;
  }

  /** False when lines are lost and the file does not even take that. */
  #tellOfLost(): boolean {
    if (this.#lost === 0) return true;
    const text = lineText('warn', { cause: this.#cause, lines: this.#lost }, 'log lines could not be written and are lost');
    if (this.#takeNow(Buffer.from(this.#isCut ? `\n${text}` : text)).length > 0) return false;
    this.#lost = 0;
    return true;
  }
}
