import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AuditLogOptions, openAuditLog, recordInvocation } from '../../../src/egress/audit.ts';
import { auditFiles } from '../../../src/egress/audit-file.ts';
import { chainStart } from '../../../src/egress/audit-record.ts';
import { verifyAudit } from '../../../src/egress/verify-audit.ts';
import { type LogFields, silentLogger } from '../../../src/log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const open = (options: Partial<AuditLogOptions> = {}) => openAuditLog({ folder, log: silentLogger, ...options });
const current = (): string => join(folder, 'audit.jsonl');
const invocation = (id: string) => ({ connector: 'x', command: 'Do', invocation: id, outcome: 'success', durationMs: 5 }) as const;

async function writeLines(count: number, options: Partial<AuditLogOptions> = {}): Promise<string[]> {
  const audit = await open(options);
  for (let index = 0; index < count; index += 1) await recordInvocation(audit, invocation(`inv-${index}`));
  await audit.close();
  return (await readFile(current(), 'utf8')).split('\n').slice(0, -1);
}

describe('the audit log', () => {
  it('writes a header and one chained line a record', async () => {
    const lines = (await writeLines(2, { now: () => 0 })).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines[0]).toEqual({ time: '1970-01-01T00:00:00.000Z', previous: chainStart, type: 'file', version: 1, sequence: 1 });
    expect(lines[1]).toMatchObject({ type: 'invocation', connector: 'x', command: 'Do', invocation: 'inv-0', outcome: 'success' });
    expect(lines[2]?.['previous']).toMatch(/^[0-9a-f]{64}$/);
    expect(Object.keys(lines[2] ?? {}).slice(0, 2)).toEqual(['time', 'previous']);
    expect(await verifyAudit([current()])).toMatchObject({ ok: true, records: 3, anchor: chainStart });
  });

  it('keeps the order of what is appended in one turn, in few writes', async () => {
    const audit = await open();
    await Promise.all(Array.from({ length: 500 }, (_, index) => recordInvocation(audit, invocation(String(index)))));
    const verdict = await verifyAudit([current()]);
    expect(verdict).toMatchObject({ ok: true, records: 501, head: audit.head() });
    const text = await readFile(current(), 'utf8');
    expect([...text.matchAll(/"invocation":"(\d+)"/g)].map(([, id]) => Number(id))).toEqual(
      Array.from({ length: 500 }, (_, index) => index),
    );
    await audit.close();
  });

  it('continues the chain after a restart', async () => {
    await writeLines(3);
    await writeLines(3);
    expect(await verifyAudit([current()])).toMatchObject({ ok: true, records: 7 });
  });

  it('rotates by size, keeps so many files, and chains across them', async () => {
    await writeLines(60, { fileBytesMax: 2_000, filesMax: 3 });
    const files = await auditFiles(folder);
    expect(files).toHaveLength(3);
    expect(files.at(-1)).toBe(current());
    for (const file of files) expect((await stat(file)).size).toBeLessThan(2_600);
    expect(await verifyAudit(files)).toMatchObject({ ok: true });
    expect(await verifyAudit(files)).not.toMatchObject({ anchor: chainStart });
    await writeLines(1, { fileBytesMax: 2_000, filesMax: 3 });
    expect(await verifyAudit(await auditFiles(folder))).toMatchObject({ ok: true });
  });

  it('removes a torn last line at the next start, on record', async () => {
    await writeLines(2);
    await appendFile(current(), '{"time":"torn');
    expect(await verifyAudit([current()])).toMatchObject({ ok: false, line: 4 });
    const lines = await writeLines(1);
    expect(JSON.parse(lines[3] ?? '')).toMatchObject({ type: 'repair', bytesRemoved: 13 });
    expect(await verifyAudit([current()])).toMatchObject({ ok: true, records: 5 });
  });

  it('refuses to go on when somebody else writes to its file, and recovers when that is undone', async () => {
    const errors: LogFields[] = [];
    const audit = await open({ retryMs: 1, log: { ...silentLogger, error: (fields) => errors.push(fields) } });
    const { size } = await stat(current());
    await appendFile(current(), 'x\n');
    await expect(recordInvocation(audit, invocation('a'))).rejects.toThrow('changed or removed by another program');
    expect(errors).toHaveLength(1);
    await truncate(current(), size);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await recordInvocation(audit, invocation('b'));
    await audit.close();
    const text = await readFile(current(), 'utf8');
    expect(text).toContain('"type":"gap","lost":1,');
    expect(text).not.toContain('"invocation":"a"');
    expect(await verifyAudit([current()])).toMatchObject({ ok: true, records: 3 });
  });

  it('refuses to go on when its file is removed', async () => {
    const audit = await open();
    await rm(current());
    await expect(recordInvocation(audit, invocation('a'))).rejects.toThrow('changed or removed');
    await audit.close();
  });

  it('refuses records when too many wait, and after it is closed', async () => {
    const audit = await open({ queueMax: 2 });
    const results = await Promise.allSettled(['a', 'b', 'c'].map((id) => recordInvocation(audit, invocation(id))));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await audit.close();
    await audit.close();
    await expect(recordInvocation(audit, invocation('d'))).rejects.toThrow('closed');
  });

  it('logs the head of the chain from time to time and at the end', async () => {
    const heads: unknown[] = [];
    let now = 0;
    const audit = await open({
      now: () => now,
      headIntervalMs: 1_000,
      log: { ...silentLogger, info: ({ auditHead }) => heads.push(auditHead) },
    });
    await recordInvocation(audit, invocation('a'));
    now = 1_000;
    await recordInvocation(audit, invocation('b'));
    expect(heads).toEqual([audit.head()]);
    await audit.close();
    expect(heads).toEqual([audit.head(), audit.head()]);
  });

  it('refuses a second proxy on the same folder, whatever it is called, until the first has ended', async () => {
    const first = await open();
    const link = `${folder}-link`;
    await symlink(folder, link);
    const second = open({ folder: link });
    await expect(second).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('Another proxy writes the audit log'),
    });
    await recordInvocation(first, invocation('a'));
    await first.close();
    await (await open({ folder: link })).close();
    await rm(link);
    expect(await verifyAudit([current()])).toMatchObject({ ok: true, records: 2 });
  });

  it('does not start on a folder that cannot be written', async () => {
    await writeFile(join(folder, 'file'), '');
    const refusal = (code: string) => ({
      code: 'invalid_config',
      message: expect.stringMatching(new RegExp(`${folder}.* cannot be kept .*${code}`)),
    });
    await expect(open({ folder: join(folder, 'file') })).rejects.toMatchObject(refusal('EEXIST'));
    await expect(open({ folder: join(folder, 'file/below') })).rejects.toMatchObject(refusal('ENOTDIR'));
    await mkdir(current());
    await expect(open()).rejects.toMatchObject(refusal('EISDIR'));
    await rmdir(current());
    await promisify(execFile)('mkfifo', [current()]);
    await expect(open()).rejects.toMatchObject(refusal('ESPIPE|no regular file'));
    await rm(current());
    await (await open()).close();
  });

  it('takes back a half-written line when the disk is full, and goes on when there is room again', async ({ skip }) => {
    const script = join(import.meta.dirname, '../../fixtures/egress/full-disk.ts');
    const run = [
      '-Urm',
      'sh',
      '-c',
      `mount -t tmpfs -o size=16k,mode=0700 tmpfs ${folder} && exec ${process.execPath} ${script} ${folder}`,
    ];
    const { stdout } = await promisify(execFile)('unshare', run).catch((error: { stderr?: string }) => {
      if (/unshare|mount/.test(String(error.stderr))) skip('no mount namespaces here');
      throw error;
    });
    expect(JSON.parse(stdout)).toEqual({ refused: 'ENOSPC', verified: true, hasGap: true, records: expect.any(Number) });
  });
});

describe('verifyAudit', () => {
  const damaged = async (change: (lines: string[]) => string[]): Promise<unknown> => {
    const lines = await writeLines(5);
    await writeFile(
      current(),
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return await verifyAudit([current()]);
  };

  it.each([
    ['a changed line', (lines: string[]) => lines.with(2, (lines[2] ?? '').replace('inv-1', 'inv-9')), 4],
    ['a removed line', (lines: string[]) => lines.toSpliced(2, 1), 3],
    ['two lines that changed places', (lines: string[]) => lines.toSpliced(2, 2, lines[3] ?? '', lines[2] ?? ''), 3],
    ['an added line', (lines: string[]) => lines.toSpliced(2, 0, lines[2] ?? ''), 4],
    ['a line that is no JSON', (lines: string[]) => lines.with(2, 'x'), 3],
    ['a line without a link', (lines: string[]) => lines.with(2, '{"type":"end"}'), 3],
    ['a removed header', (lines: string[]) => lines.slice(1), 1],
    ['a blank line', (lines: string[]) => lines.toSpliced(2, 0, ''), 3],
    ['a line longer than any', (lines: string[]) => lines.with(2, 'x'.repeat(200_000)), 3],
  ])('shows %s', async (_what, change, line) => {
    expect(await damaged(change)).toMatchObject({ ok: false, file: current(), line });
  });

  it('does not see lines cut off at the end; the head does', async () => {
    const lines = await writeLines(5);
    const whole = await verifyAudit([current()]);
    await writeFile(current(), `${lines.slice(0, -1).join('\n')}\n`);
    const cut = await verifyAudit([current()]);
    expect(cut).toMatchObject({ ok: true, records: 5 });
    expect(cut.ok && cut.head).not.toBe(whole.ok && whole.head);
  });

  it('shows a missing, moved or emptied file, and a first file that claims a past', async () => {
    await writeLines(40, { fileBytesMax: 2_000, filesMax: 10 });
    const files = await auditFiles(folder);
    expect(files.length).toBeGreaterThan(3);
    expect(await verifyAudit(files)).toMatchObject({ ok: true, anchor: chainStart });
    expect(await verifyAudit(files.toSpliced(1, 1))).toMatchObject({ ok: false, file: files[2], line: 1 });
    expect(await verifyAudit([files[1] ?? '', files[0] ?? ''])).toMatchObject({ ok: false, file: files[0], line: 1 });
    await writeFile(files[1] ?? '', '');
    expect(await verifyAudit(files)).toMatchObject({ ok: false, file: files[1], reason: 'the file is empty' });
    const [header = '', ...rest] = (await readFile(files[0] ?? '', 'utf8')).split('\n');
    await writeFile(files[0] ?? '', [header.replace(chainStart, 'f'.repeat(64)), ...rest].join('\n'));
    expect(await verifyAudit(files.slice(0, 1))).toMatchObject({ ok: false, line: 1 });
  });

  it('takes no files, and an empty log', async () => {
    expect(await verifyAudit([])).toEqual({ ok: true, records: 0, anchor: chainStart, head: chainStart });
    expect(await readdir(folder)).toEqual([]);
  });
});
