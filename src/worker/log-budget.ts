import { ByteBudget } from '../lib/byte-budget.ts';
import type { LogFields, Logger } from '../log.ts';

/** Bytes of log lines that one worker may cause, by stderr and by `log` notifications together. */
export const logBudget = { bytesPerSecond: 64 * 1024, burstBytes: 256 * 1024 } as const;
/** What a line costs beside its own bytes: time, and the log's own fields. */
const lineCostBytes = 128;

/** Lets a worker’s lines into the log as long as they are no flood; of a flood one line tells the beginning and one the size. */
export class LogBudget {
  readonly #budget = new ByteBudget(logBudget, performance.now());
  readonly #logger: Logger;
  readonly #fields: LogFields;
  #droppedBytes = 0;

  constructor(logger: Logger, fields: LogFields) {
    this.#logger = logger;
    this.#fields = fields;
  }

  /** Whether a line of so many bytes may be logged now; counted as dropped if not. Dropping lasts until half the burst is free again. */
  admits(bytes: number): boolean {
    const reserveBytes = this.#droppedBytes > 0 ? logBudget.burstBytes / 2 : 0;
    if (!this.#budget.take(bytes + lineCostBytes + reserveBytes, performance.now())) {
      this.drop(bytes);
      return false;
    }
    this.#budget.refund(reserveBytes);
    this.report();
    return true;
  }

  drop(bytes: number): void {
    if (this.#droppedBytes === 0) {
      const rate = `${logBudget.bytesPerSecond / 1024} KiB/s`;
      this.#logger.warn(this.#fields, `The connector logs faster than ${rate}; lines are dropped until it slows down.`);
    }
    this.#droppedBytes += Math.max(bytes, 1);
  }

  /** Tells of what was dropped since the last report, if anything. */
  report(): void {
    if (this.#droppedBytes === 0) return;
    this.#logger.warn({ ...this.#fields, droppedBytes: this.#droppedBytes }, `Dropped ${this.#droppedBytes} bytes of the connector’s log.`);
    this.#droppedBytes = 0;
  }
}
