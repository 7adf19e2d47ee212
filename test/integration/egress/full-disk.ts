/** Run on a folder that holds 16 KB: fills it, sees the refusal, makes room, and tells what the log looks like then. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuditError, openAuditLog, recordInvocation } from '../../../src/egress/audit.ts';
import { verifyAudit } from '../../../src/egress/verify-audit.ts';
import { silentLogger } from '../../../src/log.ts';

const [folder = ''] = process.argv.slice(2);
const ballast = join(folder, 'ballast');
await writeFile(ballast, Buffer.alloc(8_192));
const audit = await openAuditLog({ folder, log: silentLogger, retryMs: 1 });
const write = () =>
  recordInvocation(audit, { connector: 'x', command: 'Do', invocation: 'i'.repeat(500), outcome: 'success', durationMs: 1 });
let refused = '';
for (let index = 0; index < 1_000 && refused === ''; index += 1) {
  await write().catch((error: AuditError) => {
    refused = (error.cause as NodeJS.ErrnoException).code ?? error.message;
  });
}
await rm(ballast);
await new Promise((resolve) => setTimeout(resolve, 20));
await write();
await audit.close();
const file = join(folder, 'audit.jsonl');
const verdict = await verifyAudit([file]);
const hasGap = (await readFile(file, 'utf8')).includes('"type":"gap"');
process.stdout.write(JSON.stringify({ refused, verified: verdict.ok, hasGap, records: verdict.ok ? verdict.records : -1 }));
