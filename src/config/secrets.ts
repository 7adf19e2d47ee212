import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ExecaError } from 'execa';
import { ProxyError } from '../errors.ts';
import type { ApiKeyConfig, ConnectorConfig, SecretSource } from './config.ts';
import { defaults } from './defaults.ts';

/** Bytes of one secret; a key or certificate fits many times. */
export const secretBytesMax: number = defaults.secrets.bytesMax;

export interface ReadSecretOptions {
  /** The proxy's own environment: sources by name, and what a command runs with. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  /** For commands. */
  readonly timeoutMs?: number;
}

/**
 * One secret as text, without the one line break at its end.
 * @throws ProxyError `secret_missing`, which names the source and never the value
 */
export async function readSecret(source: SecretSource, options: ReadSecretOptions): Promise<string> {
  const bytes = await readSource(source, options);
  const text = decode(bytes, sourceText(source)).replace(/\r?\n$/, '');
  if (text === '') throw missing(`${sourceText(source)} is empty`);
  return text;
}

/** How logs, errors and comparisons name a source. */
export function sourceText(source: SecretSource): string {
  switch (source.type) {
    case 'env':
      return `the variable ${source.env}`;
    case 'file':
      return `the file ${source.file}`;
    case 'command':
      // Arguments may hold what should not be shown.
      return `the command ${source.command[0] ?? ''}`;
  }
}

/**
 * All secrets of a connector by name.
 * @throws ProxyError `secret_missing`, which names every one that cannot be read, its source, and where to correct it
 */
export async function resolveSecrets(
  { name, secrets }: Pick<ConnectorConfig, 'name' | 'secrets'>,
  options: ReadSecretOptions,
): Promise<Readonly<Record<string, string>>> {
  const entries = Object.entries(secrets);
  const results = await Promise.allSettled(entries.map(([, source]) => readSecret(source, options)));
  options.signal?.throwIfAborted();
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected' ? [`secret ${entries[index]?.[0]} of connector ${name} cannot be read: ${reasonOf(result.reason)}`] : [],
  );
  if (failures.length > 0) throw missing(`${failures.join('; ')}; correct connectors.${name}.secrets`);
  return Object.fromEntries(results.map((result, index) => [entries[index]?.[0] ?? '', result.status === 'fulfilled' ? result.value : '']));
}

export interface ResolvedApiKey {
  readonly name: string;
  readonly key: string;
  readonly connectors: readonly string[];
}

/**
 * The API keys themselves.
 * @throws ProxyError `secret_missing` for one that cannot be read or is empty; `invalid_config` for one that no header can carry, or that two names share
 */
export async function resolveApiKeys(apiKeys: readonly ApiKeyConfig[], options: ReadSecretOptions): Promise<readonly ResolvedApiKey[]> {
  const keys = await Promise.all(apiKeys.map((apiKey) => resolveApiKey(apiKey, options)));
  for (const [index, { name, key }] of keys.entries()) {
    const other = keys.find((one, place) => place < index && one.key === key);
    if (other !== undefined)
      throw new ProxyError('invalid_config', `the API keys ${other.name} and ${name} are the same; give each caller a key of its own`);
  }
  return keys;
}

async function resolveApiKey({ name, key: source, connectors }: ApiKeyConfig, options: ReadSecretOptions): Promise<ResolvedApiKey> {
  const key = await readSecret(source, options).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    throw missing(`API key ${name} cannot be read: ${reasonOf(error)}; correct server.apiKeys`);
  });
  if (/\p{Cc}/u.test(key) || key.trim() !== key)
    throw new ProxyError(
      'invalid_config',
      `API key ${name} from ${sourceText(source)} has line breaks or outer spaces, which no header carries; choose another`,
    );
  return { name, key, connectors };
}

async function readSource(source: SecretSource, options: ReadSecretOptions): Promise<Uint8Array> {
  switch (source.type) {
    case 'env': {
      const value = options.environment[source.env];
      if (value === undefined) throw missing(`${sourceText(source)} is not set`);
      if (Buffer.byteLength(value) > secretBytesMax) throw tooLarge(source);
      return Buffer.from(value);
    }
    case 'file':
      return await readBoundedFile(source);
    case 'command':
      return await runCommand(source, options);
  }
}

async function readBoundedFile(source: SecretSource & { readonly type: 'file' }): Promise<Uint8Array> {
  try {
    // Without O_NONBLOCK the opening of a pipe waits for its writer.
    await using handle = await open(source.file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await handle.stat()).isFile()) throw missing(`${sourceText(source)} is not a file`);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(secretBytesMax + 1), 0, secretBytesMax + 1, 0);
    if (bytesRead > secretBytesMax) throw tooLarge(source);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const state =
      code === 'ENOENT' ? 'is not there' : code === 'EACCES' ? 'may not be read by this user' : `cannot be read (${code ?? 'unknown'})`;
    throw missing(`${sourceText(source)} ${state}`, error);
  }
}

async function runCommand(source: SecretSource & { readonly type: 'command' }, options: ReadSecretOptions): Promise<Uint8Array> {
  const [program = '', ...arguments_] = source.command;
  const timeoutMs = options.timeoutMs ?? defaults.secrets.commandTimeoutMs;
  // Loaded by who has such a secret only: it takes as long as the rest of the config, and 24 MB.
  const { ExecaError, execa } = await import('execa');
  try {
    const result = await execa(program, arguments_, {
      env: { ...options.environment },
      extendEnv: false,
      stdin: 'ignore',
      stderr: 'ignore',
      encoding: 'buffer',
      stripFinalNewline: false,
      maxBuffer: secretBytesMax,
      timeout: timeoutMs,
      forceKillAfterDelay: 500,
      killDescendants: true,
      ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    });
    return result.stdout;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof ExecaError)) throw error;
    if (error.isMaxBuffer) throw tooLarge(source);
    throw missing(`${sourceText(source)} ${commandState(error, timeoutMs)}`);
  }
}

/** Neither its output nor its arguments: the first may be the secret. */
function commandState(error: ExecaError, timeoutMs: number): string {
  if (error.timedOut) return `did not end within ${timeoutMs} ms`;
  if (error.exitCode !== undefined) return `ended with exit code ${error.exitCode}`;
  if (error.signal !== undefined) return `was ended by ${error.signal}`;
  return error.code === 'ENOENT' ? 'is not there' : `cannot be run (${error.code ?? 'unknown'})`;
}

function decode(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw missing(`${source} is not UTF-8 text`);
  }
}

function tooLarge(source: SecretSource): ProxyError {
  return missing(`${sourceText(source)} gives more than ${secretBytesMax} bytes`);
}

function missing(message: string, cause?: unknown): ProxyError {
  return new ProxyError('secret_missing', message, { cause });
}

function reasonOf(error: unknown): string {
  return error instanceof ProxyError ? error.message : 'an unexpected failure';
}
