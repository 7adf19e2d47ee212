/**
 * ASCII text put together from many small pieces. A list of them, or a string that V8 keeps as a tree of them, takes tens of bytes for
 * each piece, which may be one character; here what has been collected is packed from time to time.
 */
export class AsciiText {
  static readonly #blockLength = 64 * 1024;
  #blocks: Buffer[] | undefined;
  #held = '';

  /** What another one has packed is taken over, not copied: it may come to lie within many, one within the other. */
  add(piece: string | AsciiText): this {
    if (typeof piece !== 'string' && piece.#blocks !== undefined) {
      const blocks = this.#pack();
      for (const block of piece.#blocks) blocks.push(block);
    }
    this.#held += typeof piece === 'string' ? piece : piece.#held;
    if (this.#held.length >= AsciiText.#blockLength) this.#pack();
    return this;
  }

  /** As a string, which takes less, while it is short. */
  get value(): string | AsciiText {
    return this.#blocks === undefined ? this.#held : this;
  }

  toString(): string {
    if (this.#blocks === undefined) return this.#held;
    return Buffer.concat(this.#pack()).toString('latin1');
  }

  #pack(): Buffer[] {
    this.#blocks ??= [];
    this.#blocks.push(Buffer.from(this.#held, 'latin1'));
    this.#held = '';
    return this.#blocks;
  }
}
