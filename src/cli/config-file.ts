import { join } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { type LoadConfigOptions, loadConfig } from '../config/load-config.ts';
import { ProxyError } from '../errors.ts';
import { faultText } from '../lib/faults.ts';
import type { CliContext } from './context.ts';
import type { CliIo } from './io.ts';
import { createTerminal } from './terminal.ts';

export interface ConfigFileOptions {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
}

/** Adds `--config`, which every subcommand that reads one shares. */
export function withConfig(command: Command): Command {
  return command.option('-c, --config <file>', 'the config file; default: the quick start’s, with its example connectors');
}

/** The config that is used when none is named. */
export function quickstartConfigFile(): string {
  return join(import.meta.dirname, '../../examples/quickstart/bulkhead.yaml');
}

export function configFileOf({ config }: ConfigFileOptions): string {
  return config ?? quickstartConfigFile();
}

export function loadOptionsOf(io: CliIo, { host, port }: ConfigFileOptions): LoadConfigOptions {
  const { environment } = io;
  return {
    environment,
    apiKey: environment['CONNECTOR_PROXY_API_KEY'],
    corsOrigins: environment['CONNECTOR_PROXY_CORS_ORIGINS'],
    host,
    port,
  };
}

/**
 * Reads the config for a subcommand; warnings go to stderr.
 * @throws ProxyError `invalid_config` with every fault, one a line
 */
export async function readConfigFile(context: CliContext, options: ConfigFileOptions): Promise<Config> {
  const { config, warnings } = await readConfigAndWarnings(context, options);
  const terminal = createTerminal(context.io, context.io.stderr);
  for (const warning of warnings) terminal.line(`${terminal.style('yellow', 'warning:')} ${warning}`);
  return config;
}

export interface ReadConfig {
  readonly config: Config;
  /** Each as one line. */
  readonly warnings: readonly string[];
}

/** The same for who tells warnings in its own way. */
export async function readConfigAndWarnings({ io }: CliContext, options: ConfigFileOptions): Promise<ReadConfig> {
  const result = await loadConfig(configFileOf(options), loadOptionsOf(io, options));
  if (!result.ok) throw new ProxyError('invalid_config', `the config has faults:\n${result.faults.map(faultText).join('\n')}`);
  return { config: result.config, warnings: result.warnings.map(faultText) };
}
