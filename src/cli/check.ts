import type { Command } from 'commander';
import type { Connector } from '../catalog/connector.ts';
import type { ConnectorConfig } from '../config/config.ts';
import { compareGrants, type GrantComparison } from '../config/grants.ts';
import { loadConfig } from '../config/load-config.ts';
import { type ReadSecretOptions, resolveSecrets } from '../config/secrets.ts';
import { ProxyError } from '../errors.ts';
import { type Fault, faultText } from '../lib/faults.ts';
import { openCatalog } from './catalog-file.ts';
import { type ConfigFileOptions, configFileOf, loadOptionsOf, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { exitCodes } from './io.ts';
import type { Terminal } from './terminal.ts';

interface CheckOptions extends ConfigFileOptions {
  readonly json?: boolean;
}

interface CheckReport {
  readonly ok: boolean;
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
  readonly connectors: readonly ConnectorReport[];
}

type ConnectorReport =
  | { readonly name: string; readonly state: 'unavailable'; readonly reason: string; readonly faults: readonly Fault[] }
  | {
      readonly name: string;
      readonly state: 'available';
      readonly sandbox: 'enforced' | 'none';
      readonly requests: GrantComparison;
      /** Why secrets of it cannot be read here and now; of commands it is not known. */
      readonly unreadSecrets?: string;
    };

/** `bulkhead check`: all faults of the config and of every manifest; what each connector requests against what it is granted. */
export function addCheck(program: Command, context: CliContext): void {
  withConfig(program.command('check').description('check the config and all manifests; show what is requested against what is granted'))
    .addHelpText('after', '\nSecrets that cannot be read here are warnings. Those of commands are not tried: nothing is run.')
    .option('--json', 'print the report as JSON')
    .action(async (options: CheckOptions) => {
      const report = await check(options, context);
      if (options.json) context.terminal.json(report);
      else showReport(report, context.terminal);
      context.finish(report.ok ? exitCodes.ok : exitCodes.failed);
    });
}

async function check(options: CheckOptions, context: CliContext): Promise<CheckReport> {
  const result = await loadConfig(configFileOf(options), loadOptionsOf(context.io, options));
  if (!result.ok) return { ok: false, faults: result.faults, warnings: [], connectors: [] };
  await using opened = await openCatalog(context, options);
  const report = (connector: Connector) => reportOf(connector, context.io.environment);
  const connectors = await Promise.all([...opened.catalog.connectors.values()].map(report));
  const ok = connectors.every(({ state }) => state === 'available');
  return { ok, faults: [], warnings: result.warnings, connectors };
}

async function reportOf(connector: Connector, environment: ReadSecretOptions['environment']): Promise<ConnectorReport> {
  const { name, config } = connector;
  if (connector.state === 'unavailable') {
    const { reason, faults = [] } = connector;
    return { name, state: 'unavailable', reason: reason.message, faults };
  }
  const unreadSecrets = await unreadOf(config, environment);
  const requests = compareGrants(connector.manifest, config);
  return { name, state: 'available', sandbox: config.sandbox, requests, ...(unreadSecrets === undefined ? {} : { unreadSecrets }) };
}

/** A check runs nothing, and may be made where the secrets are not: a warning, not a fault. */
async function unreadOf({ name, secrets }: ConnectorConfig, environment: ReadSecretOptions['environment']): Promise<string | undefined> {
  const readable = Object.fromEntries(Object.entries(secrets).filter(([, { type }]) => type !== 'command'));
  try {
    await resolveSecrets({ name, secrets: readable }, { environment });
    return undefined;
  } catch (error) {
    return ProxyError.from(error).message;
  }
}

function showReport({ ok, faults, connectors }: CheckReport, terminal: Terminal): void {
  for (const fault of faults) terminal.line(`${terminal.style('red', 'fault:')} ${faultText(fault)}`);
  for (const connector of connectors) showConnector(connector, terminal);
  terminal.line(ok ? terminal.style('green', 'no faults') : terminal.style('red', 'faults found'));
}

function showConnector(report: ConnectorReport, terminal: Terminal): void {
  const name = terminal.style('bold', report.name);
  if (report.state === 'unavailable') {
    const texts = report.faults.length > 0 ? report.faults.map(faultText) : [report.reason];
    for (const text of texts) terminal.line(`${name}  ${terminal.style('red', 'fault:')} ${text}`);
    return;
  }
  const { unreadSecrets } = report;
  const { network, secrets } = report.requests;
  terminal.line(`${name}  network: ${network.grant}${report.sandbox === 'none' ? `, ${terminal.style('yellow', 'sandbox: none')}` : ''}`);
  for (const [what, { granted, missing, extra }] of [
    ['network', network],
    ['secret', secrets],
  ] as const) {
    for (const one of granted) terminal.line(`  ${what} ${one}  ${terminal.style('green', 'requested, granted')}`);
    for (const one of missing) terminal.line(`  ${what} ${one}  ${terminal.style('yellow', 'requested, not granted')}`);
    for (const one of extra) terminal.line(`  ${what} ${one}  ${terminal.style('yellow', 'granted, not requested')}`);
  }
  if (unreadSecrets !== undefined) terminal.line(`  ${terminal.style('yellow', 'warning:')} ${unreadSecrets}`);
}
