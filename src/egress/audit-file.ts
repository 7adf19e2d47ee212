import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chainStart } from './audit-record.ts';

/** The file that is written; older ones are `audit.000001.jsonl`, `audit.000002.jsonl`, … */
export const currentAuditName = 'audit.jsonl';
/** Bytes of one line; every field is bounded well below. */
export const auditLineBytesMax = 65_536;

export interface AuditFile {
  readonly handle: FileHandle;
  /** Where the next line must land. */
  size: number;
  sequence: number;
  /** SHA-256 of the last line. */
  head: string;
}

export interface OpenedAuditFile {
  readonly file: AuditFile;
  /** Bytes of a torn last line that were removed. */
  readonly bytesRemoved: number;
}

export function hashLine(line: string | Uint8Array): string {
  return createHash('sha256').update(line).digest('hex');
}

/** Opens the current file for appending and finds the end of its chain; makes folder and file where they are missing. */
export async function openAuditFile(folder: string): Promise<OpenedAuditFile> {
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const rotated = await rotatedAuditFiles(folder);
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const handle = await open(join(folder, currentAuditName), flags, 0o640);
  try {
    const { size } = await handle.stat();
    const { end, line } = await lastLine(handle, size);
    if (end < size) await handle.truncate(end);
    const sequence = (rotated.at(-1)?.sequence ?? 0) + 1;
    const head = line === undefined ? await lastHashOf(rotated.at(-1)?.path) : hashLine(line);
    return { file: { handle, size: end, sequence, head }, bytesRemoved: size - end };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Moves the current file away and opens the next one; keeps `filesMax` files, the current one included. A failure leaves all as it was. */
export async function rotateAuditFile(folder: string, file: AuditFile, filesMax: number): Promise<AuditFile> {
  const current = join(folder, currentAuditName);
  const aside = join(folder, rotatedName(file.sequence));
  await rename(current, aside);
  const next = await openAuditFile(folder).catch(async (error: unknown) => {
    await rename(aside, current);
    throw error;
  });
  await file.handle.datasync();
  await file.handle.close();
  const rotated = await rotatedAuditFiles(folder);
  await Promise.all(rotated.slice(0, Math.max(0, rotated.length - (filesMax - 1))).map(({ path }) => rm(path, { force: true })));
  return { ...next.file, sequence: file.sequence + 1, head: file.head };
}

/** All files of the log, oldest first: what `verifyAudit` takes. */
export async function auditFiles(folder: string): Promise<readonly string[]> {
  const rotated = await rotatedAuditFiles(folder);
  const names = await readdir(folder);
  return [...rotated.map(({ path }) => path), ...(names.includes(currentAuditName) ? [join(folder, currentAuditName)] : [])];
}

async function rotatedAuditFiles(folder: string): Promise<readonly { path: string; sequence: number }[]> {
  const found = (await readdir(folder)).flatMap((name) => {
    const sequence = /^audit\.(\d{6,})\.jsonl$/.exec(name)?.[1];
    return sequence === undefined ? [] : [{ path: join(folder, name), sequence: Number(sequence) }];
  });
  return found.toSorted((a, b) => a.sequence - b.sequence);
}

function rotatedName(sequence: number): string {
  return `audit.${String(sequence).padStart(6, '0')}.jsonl`;
}

async function lastHashOf(path: string | undefined): Promise<string> {
  if (path === undefined) return chainStart;
  await using handle = await open(path, 'r');
  const { line } = await lastLine(handle, (await handle.stat()).size);
  return line === undefined ? chainStart : hashLine(line);
}

/** The last whole line, and where it ends; a kill in the middle of a write leaves a torn one after it. */
async function lastLine(handle: FileHandle, size: number): Promise<{ end: number; line?: Uint8Array }> {
  const span = Math.min(size, 2 * auditLineBytesMax);
  const bytes = Buffer.alloc(span);
  await handle.read(bytes, 0, span, size - span);
  const end = bytes.lastIndexOf(10);
  if (end < 0) {
    if (size > span)
      throw new Error(`${currentAuditName} ends in a line longer than ${auditLineBytesMax} bytes, which Bulkhead never writes`);
    return { end: 0 };
  }
  const start = end === 0 ? 0 : bytes.lastIndexOf(10, end - 1) + 1;
  return { end: size - span + end + 1, line: bytes.subarray(start, end) };
}
