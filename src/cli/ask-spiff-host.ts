import type { Readable } from 'node:stream';
import type { ConnectorConfig } from '../config/config.ts';
import { resolveConfig } from '../config/resolve-config.ts';
import { ConfigSchema } from '../config/schema.ts';
import { ProxyError } from '../errors.ts';
import { TimeLimit } from '../lib/time-limit.ts';
import { checkWritten } from '../lib/written.ts';
import { type Manifest, manifestLimits } from '../manifest/manifest.ts';
import { escapeUnprintable } from '../protocol/breach.ts';
import type { ConnectorProcess } from '../runner/runner.ts';
import { spiffHostSource } from '../runner/spiff-host.ts';
import { createSubprocessRunner } from '../runner/subprocess.ts';
import { policyOf } from '../sandbox/policy-of.ts';

export interface HostQuestion {
  readonly manifest: Manifest;
  /** Real path of the connector’s folder. */
  readonly folder: string;
  readonly question: readonly string[];
}

export interface HostAnswer {
  readonly stdout: string;
  /** What it printed to stderr, in printable lines. */
  readonly notes: readonly string[];
}

/** Imports of large packages take seconds on a slow machine. */
const answerTimeoutMs = 60_000;
const stderrBytesMax = 64 * 1024;

/**
 * Runs the host of Spiff's packages once, for what it prints: in the sandbox, with the limits that a config has by default, without any
 * network. The packages are somebody else's code.
 * @throws ProxyError `connector_start_failed`, `sandbox_unavailable`
 */
export async function askSpiffHost({ manifest, folder, question }: HostQuestion): Promise<HostAnswer> {
  const { name, run } = manifest;
  const config = defaultConfig(name, folder);
  const source = spiffHostSource({ folder, packages: run?.packages ?? [], interpreter: run?.command, sandbox: 'enforced', more: question });
  const runner = createSubprocessRunner({ keepsSpares: false });
  using limit = new TimeLimit(answerTimeoutMs, new AbortController().signal);
  try {
    const process = await runner.start({ connector: name, policy: policyOf(config, manifest), source, onNotice: () => {} }, limit.signal);
    limit.signal.addEventListener('abort', () => process.kill());
    return await answerOf(process, name, limit);
  } finally {
    await runner.close();
  }
}

function defaultConfig(name: Manifest['name'], folder: string): ConnectorConfig {
  const written = checkWritten(ConfigSchema, { connectors: { [name]: { path: folder } } });
  const config = written.ok ? resolveConfig(written.value, { file: folder, folder }).config.connectors.get(name) : undefined;
  if (config === undefined) throw new ProxyError('internal_error', 'the defaults of a connector have faults');
  return config;
}

async function answerOf(process: ConnectorProcess, name: string, limit: TimeLimit): Promise<HostAnswer> {
  process.stdin.on('error', () => {});
  process.stdin.end();
  const [stdout, stderr, { exitCode }] = await Promise.all([
    textOf(process.stdout, manifestLimits.fileBytesMax, () => process.kill()),
    textOf(process.stderr, stderrBytesMax),
    process.exited,
  ]);
  const notes = stderr.split('\n').filter(Boolean).map(escapeUnprintable);
  if (exitCode === 0) return { stdout, notes };
  const why = limit.isOver ? `did not answer within ${answerTimeoutMs} ms` : `ended with exit code ${exitCode ?? 'none, killed'}`;
  throw new ProxyError('connector_start_failed', [`the host of connector ${name} ${why}`, ...notes].join('\n'));
}

/** At most so many bytes of it; what is beyond is read and dropped. */
async function textOf(stream: Readable, bytesMax: number, beyond: () => void = () => {}): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else beyond();
  }
  return Buffer.concat(chunks).toString();
}
