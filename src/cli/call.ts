import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { createLogger } from '../log.ts';
import { type ConfigFileOptions, readConfigFile, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { exitCodes, UsageError } from './io.ts';
import { logDestination } from './log-destination.ts';
import { readVersion } from './version.ts';

interface CallOptions extends ConfigFileOptions {
  readonly url?: string;
  readonly jsonFile?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * `bulkhead call CONNECTOR/Command key=value…`: one invocation, through the same code as a backend's, whether a server runs (`--url`) or
 * not. The answer's body goes to stdout as it came; exit code 1 when the command failed.
 */
export function addCall(program: Command, context: CliContext): void {
  withConfig(program.command('call').description('run one command, without a server or against one'))
    .argument('<connector/Command>', 'which command')
    .argument('[parameters...]', 'key=text, key:=JSON for numbers, true, false, null, lists and objects, or one JSON FILE with all of them')
    .option('--json-file <file>', 'take the whole input from a JSON file; - is standard input')
    .option('--url <url>', 'ask this server; its key is taken from CONNECTOR_PROXY_API_KEY')
    .option('--json', 'print the answer in one line even on a terminal')
    .option('--verbose', 'show the log of the connector')
    .action(async (id: string, parameters: string[], options: CallOptions) => {
      const input = await readInput(parameters, options, context);
      if (options.url !== undefined) return await post(id, input, remote(options.url, context), options, context);
      await using local = await startLocal(options, context);
      return await post(id, input, local, options, context);
    });
}

/** The input's own text: numbers stay as they were written. */
async function readInput(parameters: readonly string[], { jsonFile }: CallOptions, { io }: CliContext): Promise<string> {
  const [first, ...more] = parameters;
  // A word without `=` can be no parameter: `call example/Hello --json input.json` means what it says.
  const file = jsonFile ?? (first !== undefined && more.length === 0 && !first.includes('=') ? first : undefined);
  if (file === undefined) return inputOf(parameters);
  if (jsonFile !== undefined && parameters.length > 0) throw new UsageError('give parameters or --json-file, not both');
  if (file === '-') return await text(io.stdin);
  return await readFile(resolve(io.cwd, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`the input file ${file} cannot be read (${error.code ?? 'unknown'}); parameters are key=text or key:=JSON`);
  });
}

function inputOf(parameters: readonly string[]): string {
  const members = new Map<string, string>();
  for (const parameter of parameters) {
    const { key, value } = memberOf(parameter);
    if (members.has(key)) throw new UsageError(`parameter ${JSON.stringify(key)} is given twice; leave one, or write a list as key:=[…]`);
    members.set(key, value);
  }
  return `{${[...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}

/** The value as JSON. */
function memberOf(parameter: string): { readonly key: string; readonly value: string } {
  const match = /^([^=]*?)(:?)=(.*)$/s.exec(parameter);
  const [, key = '', colon, value = ''] = match ?? [];
  if (match === null || key === '') throw new UsageError(`parameter ${JSON.stringify(parameter)} is neither key=text nor key:=JSON`);
  if (colon === '') return { key, value: JSON.stringify(value) };
  if (!isJson(value)) throw new UsageError(`the value of ${key}:= is not JSON; write ${key}=… for text`);
  return { key, value };
}

function isJson(value: string): boolean {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

function remote(url: string, { io }: CliContext): Target {
  if (!URL.canParse(url)) throw new UsageError('--url is no URL, e.g. http://127.0.0.1:7004');
  const key = io.environment['CONNECTOR_PROXY_API_KEY'];
  // Told here, since `fetch` would put the key into its message.
  if (key !== undefined && /[^\x20-\x7e\xa0-\xff]/.test(key))
    throw new UsageError('CONNECTOR_PROXY_API_KEY holds a line break or another character that no header carries; set it to the key alone');
  return { url: url.replace(/\/+$/, ''), headers: key === undefined ? {} : { 'spiff-connector-proxy-api-key': key } };
}

/** A proxy of its own, on a free port of loopback, that only this process knows the key of. */
async function startLocal(options: CallOptions, context: CliContext): Promise<Target & AsyncDisposable> {
  const { io } = context;
  const config = await readConfigFile(context, options);
  const logger = createLogger({ level: options.verbose ? 'debug' : 'error', destination: await logDestination(io, 'auto') });
  const key = crypto.randomUUID();
  const environment = { ...io.environment, [keyVariable]: key };
  const { startBulkhead } = await import('./compose.ts');
  const bulkhead = await startBulkhead({ config: localConfig(config), environment, logger, version: readVersion(), keepsSpares: false });
  return {
    url: bulkhead.url,
    headers: { 'spiff-connector-proxy-api-key': key },
    [Symbol.asyncDispose]: () => bulkhead.close(Date.now()),
  };
}

const keyVariable = 'BULKHEAD_CALL_KEY';

function localConfig(config: Config): Config {
  const { audit: _, ...server } = config.server;
  const apiKeys = [{ name: 'call', key: { type: 'env' as const, env: keyVariable }, connectors: ['*'] }];
  return { ...config, server: { ...server, host: '127.0.0.1', port: 0, metrics: false, apiKeys } };
}

async function post(id: string, input: string, { url, headers }: Target, { json }: CallOptions, context: CliContext): Promise<void> {
  const path = id.split('/').map(encodeURIComponent).join('/');
  const response = await fetch(`${url}/v1/do/${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: input,
  }).catch((error: unknown) => {
    throw new UsageError(`${url} cannot be reached (${String((error as Error).cause ?? error)})`);
  });
  const answer = await response.text();
  context.terminal.line(context.io.stdout.isTTY && !json ? indented(answer) : answer);
  context.finish(response.ok && !saysError(answer) ? exitCodes.ok : exitCodes.failed);
}

/** For people, and only where that changes no value: a number that a double cannot hold stays as it came. */
function indented(answer: string): string {
  try {
    const value: unknown = JSON.parse(answer);
    return JSON.stringify(value) === answer ? JSON.stringify(value, null, 2) : answer;
  } catch {
    return answer;
  }
}

/** An envelope of HTTP status 200 can hold an error: the engine sees it, so does the exit code. */
function saysError(answer: string): boolean {
  try {
    const value = JSON.parse(answer) as { error?: unknown } | null;
    return typeof value?.error === 'object' && value.error !== null;
  } catch {
    return false;
  }
}
