import { auditLineBytesMax, hashLine } from './audit-file.ts';
import { chainStart } from './audit-record.ts';
import { openAuditToRead } from './read-audit.ts';

export type AuditVerdict =
  /** `anchor`: what the first file says came before it; all zeros when the log is whole from its beginning. `head`: hash of the last line. */
  | { readonly ok: true; readonly records: number; readonly anchor: string; readonly head: string }
  | { readonly ok: false; readonly file: string; readonly line: number; readonly reason: string };

/**
 * Whether every line still follows the one before it, over all files, oldest first. Shows a change, removal, insertion or reordering of lines
 * and files. Not seen: lines cut off at the very end (compare `head` with one that the proxy logged), and whole files removed from the beginning
 * (compare `anchor`, or the sequence of the first file).
 * @throws ProxyError `invalid_config` when a file cannot be read.
 */
export async function verifyAudit(files: readonly string[]): Promise<AuditVerdict> {
  let anchor: string | undefined;
  let head = chainStart;
  let sequence: number | undefined;
  let records = 0;
  for (const file of files) {
    let number = 0;
    for await (const line of linesOf(file)) {
      number += 1;
      const at = { file, line: number };
      if (!line.isWhole)
        return { ok: false, ...at, reason: 'the line has no end: it was cut off, or the proxy was killed while writing it' };
      const record = parseRecord(line.bytes);
      if (!record) return { ok: false, ...at, reason: 'the line is not an audit record' };
      anchor ??= record.previous;
      if (records > 0 && record.previous !== head) return { ok: false, ...at, reason: brokenLink(number) };
      const fault = number === 1 ? headerFault(record, sequence) : undefined;
      if (fault !== undefined) return { ok: false, ...at, reason: fault };
      if (number === 1) sequence = record.sequence;
      head = hashLine(line.bytes);
      records += 1;
    }
    if (number === 0 && files.length > 1) return { ok: false, file, line: 0, reason: 'the file is empty' };
  }
  return { ok: true, records, anchor: anchor ?? chainStart, head };
}

function brokenLink(line: number): string {
  return line === 1
    ? 'the file does not follow the one before it: a file is missing, or the end of the one before was changed'
    : 'the line does not follow the one before it: that one was changed, or lines were removed, added or moved';
}

interface ReadRecord {
  readonly previous: string;
  readonly type: unknown;
  readonly sequence?: number;
}

function parseRecord(bytes: Uint8Array): ReadRecord | undefined {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Partial<ReadRecord> | null;
    return typeof value?.previous === 'string' ? (value as ReadRecord) : undefined;
  } catch {
    return undefined;
  }
}

function headerFault(record: ReadRecord, before: number | undefined): string | undefined {
  if (record.type !== 'file' || typeof record.sequence !== 'number') return 'the file does not begin with its header: lines were removed';
  if (before !== undefined && record.sequence !== before + 1) return `the file has the sequence ${record.sequence} and follows ${before}`;
  if (record.sequence === 1 && record.previous !== chainStart) return 'the first file of the log says that something came before it';
  return undefined;
}

interface Line {
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

async function* linesOf(file: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  await using handle = await openAuditToRead(file);
  for await (const chunk of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
      yield { bytes: bytes.subarray(0, end), isWhole: true };
      bytes = bytes.subarray(end + 1);
    }
    rest = bytes;
    if (rest.length > auditLineBytesMax) break;
  }
  if (rest.length > 0) yield { bytes: rest, isWhole: false };
}
