/** Bounds of what one invocation’s answer may carry as `logs`. */
export const invocationLogsMax = { lines: 100, bytes: 64 * 1024 } as const;

/** Lines for the modeler of one invocation; past the bounds they are counted instead of kept. */
export class InvocationLogs {
  #lines: string[] | undefined;
  #bytes = 0;
  #dropped = 0;

  add(line: string): void {
    this.#lines ??= [];
    this.#bytes += Buffer.byteLength(line);
    if (this.#lines.length >= invocationLogsMax.lines || this.#bytes > invocationLogsMax.bytes) this.#dropped += 1;
    else this.#lines.push(line);
  }

  /** The lines, those that the reply itself brought after them. */
  with(more: readonly string[]): readonly string[] {
    if (this.#lines === undefined) return more;
    const note = this.#dropped === 0 ? [] : [`(${this.#dropped} more log lines of this invocation were dropped)`];
    return [...this.#lines, ...note, ...more];
  }
}
