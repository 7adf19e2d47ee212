import { fstatSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type AuditFile, auditLineBytesMax, currentAuditName, hashLine, openAuditFile, rotateAuditFile } from './audit-file.ts';
import { type AuditLock, lockAuditFolder } from './audit-lock.ts';
import type { AuditRecord, InvocationRecord } from './audit-record.ts';

/** The hash-chained record of what connectors did to the outside, and of every invocation. */
export interface AuditLog {
  /**
   * Settles when the record is in the file (handed to the kernel, not yet on the disk). Rejects when it cannot be written: whoever
   * asked must then not go on.
   */
  append(record: AuditRecord): Promise<void>;
  /** SHA-256 of the last line: keep it elsewhere to notice a cut-off end. */
  head(): string;
  close(): Promise<void>;
}

export interface AuditLogOptions {
  readonly folder: string;
  readonly log: Logger;
  /** A file is put aside when it has grown to this size. */
  readonly fileBytesMax?: number;
  /** Files that are kept, the current one included; at least 2. */
  readonly filesMax?: number;
  /** Records that may wait for the disk. */
  readonly queueMax?: number;
  /** After a failed write: how long until the next try. */
  readonly retryMs?: number;
  /** How often the head of the chain is logged while records come in. */
  readonly headIntervalMs?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export class AuditError extends Error {
  override readonly name = 'AuditError';
}

interface Pending {
  readonly record: AuditRecord;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens the log, mends a torn last line, and continues the chain. One process at a time may write to a folder.
 * @throws ProxyError `invalid_config` when another one does, and when the log cannot be read or written.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  try {
    return await lockAndBegin(options);
  } catch (error) {
    throw error instanceof ProxyError ? error : unusable(options.folder, error);
  }
}

function unusable(folder: string, error: unknown): ProxyError {
  const { code, message } = error as NodeJS.ErrnoException;
  const repair = 'give the proxy a folder that its user may write to (server.audit.folder)';
  return new ProxyError('invalid_config', `The audit log in ${folder} cannot be kept (${code ?? message}); ${repair}.`, { cause: error });
}

async function lockAndBegin(options: AuditLogOptions): Promise<AuditLog> {
  await mkdir(options.folder, { recursive: true, mode: 0o750 });
  // Before the file is opened: what looks like a torn line may be one that the other proxy is writing.
  const lock = await lockAuditFolder(options.folder);
  try {
    return await beginLog(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function beginLog(options: AuditLogOptions, lock: AuditLock): Promise<AuditLog> {
  const { file, bytesRemoved } = await openAuditFile(options.folder);
  const writer = new AuditWriter(options, file, lock);
  try {
    // A named pipe would take lines until it is full, and then none.
    if (!(await file.handle.stat()).isFile()) throw new AuditError(`${currentAuditName} is no regular file`);
    await writer.begin(bytesRemoved);
    return writer;
  } catch (error) {
    await file.handle.close();
    throw error;
  }
}

/** For tools that keep no audit log. */
export const noAuditLog: AuditLog = { append: async () => {}, head: () => '', close: async () => {} };

export function recordInvocation(audit: AuditLog, record: Omit<InvocationRecord, 'type'>): Promise<void> {
  return audit.append({ type: 'invocation', ...record });
}

class AuditWriter implements AuditLog {
  readonly #options: Required<AuditLogOptions>;
  readonly #lock: AuditLock;
  #file: AuditFile;
  #queue: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** Records that were refused since the last successful write, and why. */
  #gap: { lost: number; reason: string; readonly since: number } | undefined;
  /** A write failed: part of a line may be in the file, and is taken back before the next one. */
  #isTorn = false;
  #headToldAt: number;
  #isClosed = false;

  constructor(options: AuditLogOptions, file: AuditFile, lock: AuditLock) {
    this.#lock = lock;
    this.#options = {
      fileBytesMax: 64 * 1024 * 1024,
      filesMax: 8,
      queueMax: 10_000,
      retryMs: 1_000,
      headIntervalMs: 15 * 60_000,
      now: Date.now,
      ...options,
    };
    this.#file = file;
    this.#headToldAt = this.#options.now();
  }

  /** So that a log that cannot be written stops the start. */
  async begin(bytesRemoved: number): Promise<void> {
    if (this.#file.size === 0 || bytesRemoved > 0) await this.#put(bytesRemoved > 0 ? [{ type: 'repair', bytesRemoved }] : []);
  }

  head(): string {
    return this.#file.head;
  }

  append(record: AuditRecord): Promise<void> {
    const { now, retryMs, queueMax } = this.#options;
    if (this.#isClosed) return this.#refuse('the audit log is closed');
    if (this.#gap && now() - this.#gap.since < retryMs) return this.#refuse(this.#gap.reason);
    if (this.#queue.length >= queueMax) return this.#refuse('the disk of the audit log is too slow');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ record, resolve, reject });
    // Not in this turn: what else is recorded in it goes into the same write.
    this.#writing ??= new Promise<void>((next) => setImmediate(next)).then(() => this.#drain());
    return promise;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#writing;
    const { handle, head } = this.#file;
    this.#options.log.info({ auditHead: head, auditFile: this.#file.sequence }, 'audit log closed');
    await handle.datasync().catch(() => {});
    await handle.close();
    this.#lock.release();
  }

  async #refuse(reason: string): Promise<never> {
    if (this.#gap) this.#gap.lost += 1;
    throw new AuditError(`audit record refused: ${reason}`);
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        await this.#write(batch.map(({ record }) => record));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        await this.#fail(batch, error);
      }
    }
    this.#writing = undefined;
  }

  async #write(records: readonly AuditRecord[]): Promise<void> {
    const { fileBytesMax, folder, filesMax, now, headIntervalMs, log } = this.#options;
    if (this.#isTorn) await this.#file.handle.truncate(this.#file.size);
    this.#isTorn = false;
    this.#checkUntouched();
    const isFull = this.#file.size >= fileBytesMax;
    if (isFull) this.#file = await rotateAuditFile(folder, this.#file, filesMax);
    const gap = this.#gap;
    await this.#put(gap ? [{ type: 'gap', lost: gap.lost, reason: gap.reason }, ...records] : records);
    if (gap) log.info({ lost: gap.lost }, 'audit log can be written again');
    this.#gap = undefined;
    if (isFull || now() - this.#headToldAt >= headIntervalMs) this.#tellHead();
  }

  /** Somebody else's write or truncation would break the chain unseen until it is verified, so it stops the log here. */
  #checkUntouched(): void {
    // Not awaited: the inode is in memory, and a turn through the thread pool would cost each connection more than this.
    const { size, nlink } = fstatSync(this.#file.handle.fd);
    if (size !== this.#file.size || nlink === 0) throw new AuditError('the file was changed or removed by another program');
  }

  async #put(records: readonly AuditRecord[]): Promise<void> {
    const lines: string[] = [];
    let { head, size, sequence } = this.#file;
    const header: AuditRecord[] = size === 0 ? [{ type: 'file', version: 1, sequence }] : [];
    for (const record of [...header, ...records]) {
      const line = JSON.stringify({ time: new Date(this.#options.now()).toISOString(), previous: head, ...record });
      if (line.length > auditLineBytesMax / 4) throw new AuditError('a record is larger than a line may be');
      head = hashLine(line);
      lines.push(`${line}\n`);
    }
    const bytes = Buffer.from(lines.join(''));
    this.#isTorn = true;
    for (let written = 0; written < bytes.length; ) written += (await this.#file.handle.write(bytes, written)).bytesWritten;
    this.#isTorn = false;
    this.#file.size = size + bytes.length;
    this.#file.head = head;
  }

  /** What waited is refused and counted. */
  async #fail(batch: readonly Pending[], error: unknown): Promise<void> {
    const reason = (error as NodeJS.ErrnoException).code ?? (error instanceof AuditError ? error.message : 'write failed');
    const { log, now } = this.#options;
    if (!this.#gap) log.error({ reason }, `audit log cannot be written (${reason}): outbound connections are refused until it can`);
    this.#gap = { lost: (this.#gap?.lost ?? 0) + batch.length, reason, since: now() };
    for (const { reject } of batch) reject(new AuditError(`audit record refused: ${reason}`, { cause: error }));
  }

  #tellHead(): void {
    this.#headToldAt = this.#options.now();
    this.#options.log.info({ auditHead: this.#file.head, auditFile: this.#file.sequence }, 'audit log head');
  }
}
