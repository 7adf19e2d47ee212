import type { Command } from 'commander';
import { findAuditFiles } from '../egress/read-audit.ts';
import { verifyAudit } from '../egress/verify-audit.ts';
import { type ConfigFileOptions, readConfigFile, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { exitCodes, UsageError } from './io.ts';

interface VerifyOptions extends ConfigFileOptions {
  readonly json?: boolean;
  readonly folder?: string;
}

/** `bulkhead audit verify`: whether every record still follows the one before it. Reads only; may run beside a proxy. */
export function addAudit(program: Command, context: CliContext): void {
  const audit = program.command('audit').description('work with the audit log');
  withConfig(audit.command('verify').description('check the chain of the audit log: a removed or changed record shows'))
    .option('--folder <folder>', 'the log’s folder; default: server.audit.folder of the config')
    .option('--json', 'print the verdict as JSON')
    .action((options: VerifyOptions) => verify(options, context));
}

async function verify(options: VerifyOptions, context: CliContext): Promise<void> {
  const { terminal } = context;
  const folder = options.folder ?? (await readConfigFile(context, options)).server.audit?.folder;
  if (folder === undefined) throw new UsageError('the config keeps no audit log (server.audit); name its folder by --folder');
  const files = await findAuditFiles(folder);
  if (files.length === 0) throw new UsageError(`there is no audit log in ${folder}`);
  const verdict = await verifyAudit(files);
  if (options.json) terminal.json(verdict);
  else if (verdict.ok) {
    terminal.line(`${terminal.style('green', 'whole:')} ${verdict.records} records in ${files.length} files`);
    terminal.line(`head ${verdict.head}  (compare with the head that the proxy logged last: a cut-off end shows only there)`);
  } else terminal.line(`${terminal.style('red', 'broken:')} ${verdict.file}:${verdict.line}: ${verdict.reason}`);
  context.finish(verdict.ok ? exitCodes.ok : exitCodes.failed);
}
