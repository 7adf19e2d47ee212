import type { Command } from 'commander';
import type { Catalog } from '../catalog/catalog.ts';
import type { Config, ConnectorConfig } from '../config/config.ts';
import { compareGrants, diffGrants } from '../config/grants.ts';
import type { AuditRecord } from '../egress/audit-record.ts';
import { findAuditFiles, openAuditToRead } from '../egress/read-audit.ts';
import { type Suggestion, suggestRules } from '../egress/suggest.ts';
import type { ConnectorName } from '../manifest/names.ts';
import { openCatalog } from './catalog-file.ts';
import { type ConfigFileOptions, readConfigFile, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { exitCodes, UsageError } from './io.ts';
import type { Terminal } from './terminal.ts';

interface PolicyOptions extends ConfigFileOptions {
  readonly json?: boolean;
  readonly before?: string;
}

/** `bulkhead policy suggest` and `bulkhead policy diff`. */
export function addPolicy(program: Command, context: CliContext): void {
  const policy = program.command('policy').description('work with what connectors are granted');
  withConfig(policy.command('suggest').description('the smallest rules for what a connector did under network: observe'))
    .argument('<connector>', 'which connector')
    .option('--json', 'print the suggestion as JSON')
    .action((name: string, options: PolicyOptions) => suggest(name, options, context));
  withConfig(policy.command('diff').description('what manifests request beyond the config, and what widened since an earlier config'))
    .option('--before <file>', 'the earlier config; exit code 1 when something is granted that it did not grant')
    .option('--json', 'print the differences as JSON')
    .action((options: PolicyOptions) => diff(options, context));
}

async function suggest(name: string, options: PolicyOptions, context: CliContext): Promise<void> {
  const config = await readConfigFile(context, options);
  const connector = config.connectors.get(name as ConnectorName);
  if (connector === undefined) throw new UsageError(`the config has no connector ${name}`);
  const folder = config.server.audit?.folder;
  if (folder === undefined)
    throw new UsageError('the config keeps no audit log; add server.audit, and let the connector work under network: observe');
  const files = await findAuditFiles(folder);
  // No log is not the same as a log that shows nothing: rules of that would cut the connector off.
  if (files.length === 0) throw new UsageError(`there is no audit log in ${folder} yet; let the connector work under network: observe`);
  const records: AuditRecord[] = [];
  for await (const record of readRecords(files)) records.push(record);
  const suggestion = suggestRules({ connector: name, records, granted: rulesOf(connector) });
  if (options.json) context.terminal.json(suggestion);
  else showSuggestion(name, suggestion, context.terminal);
}

/** Records of the log, oldest first. A line that is none is passed over: `audit verify` is there to tell. */
async function* readRecords(files: readonly string[]): AsyncGenerator<AuditRecord> {
  for (const file of files) {
    await using handle = await openAuditToRead(file);
    for await (const line of handle.readLines()) {
      const record = recordOf(line);
      if (record !== undefined) yield record;
    }
  }
}

function recordOf(line: string): AuditRecord | undefined {
  try {
    return JSON.parse(line) as AuditRecord;
  } catch {
    return undefined;
  }
}

function rulesOf({ network }: ConnectorConfig) {
  return network.type === 'rules' || network.type === 'observe' ? network.rules : [];
}

function showSuggestion(name: string, { rules, unused, refused }: Suggestion, terminal: Terminal): void {
  terminal.line(`connectors:\n  ${name}:\n    network: ${JSON.stringify(rules)}`);
  for (const rule of unused) terminal.line(terminal.style('yellow', `# granted, but not used: ${rule}`));
  for (const { host, port, reason, count } of refused)
    terminal.line(terminal.style('yellow', `# refused ${count} times: ${host}:${port}, ${reason}`));
}

interface Difference {
  readonly connector: string;
  /** `not compared`: its manifest cannot be read, so that what it requests is not known. */
  readonly change: 'requested, not granted' | 'not compared' | 'widened' | 'narrowed';
  readonly what: string;
}

async function diff(options: PolicyOptions, context: CliContext): Promise<void> {
  const { terminal } = context;
  await using opened = await openCatalog(context, options);
  const before = options.before === undefined ? undefined : await readConfigFile(context, { ...options, config: options.before });
  const differences = [...requested(opened.catalog), ...(before === undefined ? [] : changed(before, opened.config))];
  if (options.json) terminal.json({ differences });
  else if (differences.length === 0) terminal.line('no differences');
  else
    terminal.table(
      differences.map(({ connector, change, what }) => [connector, terminal.style(change === 'widened' ? 'red' : 'yellow', change), what]),
    );
  context.finish(differences.some(({ change }) => change === 'widened') ? exitCodes.failed : exitCodes.ok);
}

function requested(catalog: Catalog): readonly Difference[] {
  return [...catalog.connectors.values()].flatMap((connector): readonly Difference[] => {
    if (connector.state === 'unavailable') return [{ connector: connector.name, change: 'not compared', what: connector.reason.message }];
    const { network, secrets } = compareGrants(connector.manifest, connector.config);
    const missing = [...network.missing.map((rule) => `network: ${rule}`), ...secrets.missing.map((name) => `secret: ${name}`)];
    return missing.map((what) => ({ connector: connector.name, change: 'requested, not granted', what }));
  });
}

function changed(before: Config, after: Config): readonly Difference[] {
  const names = new Set([...before.connectors.keys(), ...after.connectors.keys()]);
  return [...names].flatMap((connector) => {
    const { widened, narrowed } = diffGrants(before.connectors.get(connector), after.connectors.get(connector));
    return [
      ...widened.map((what) => ({ connector, change: 'widened' as const, what })),
      ...narrowed.map((what) => ({ connector, change: 'narrowed' as const, what })),
    ];
  });
}
