import type { Connector } from '../catalog/connector.ts';
import type { ConnectorConfig } from '../config/config.ts';
import { ProxyError } from '../errors.ts';
import type { ProcessSource } from '../runner/runner.ts';
import { declaredCommands, spiffHostSource } from '../runner/spiff-host.ts';
import type { WorkerLimits } from '../worker/worker.ts';

export type AvailableConnector = Extract<Connector, { state: 'available' }>;

/** @throws ProxyError `connector_start_failed` when the manifest of a folder does not say how to run it. */
export function sourceOf({ name, config, manifest, folder }: AvailableConnector): ProcessSource {
  const { source } = config;
  if (source.type === 'image') return source;
  const { command, packages } = manifest.run ?? {};
  const at = folder ?? source.path;
  if (packages !== undefined) {
    const more = [declaredCommands(manifest)];
    return spiffHostSource({ folder: at, packages, interpreter: command, sandbox: config.sandbox, more });
  }
  if (command !== undefined) return { type: 'folder', folder: at, command };
  throw new ProxyError('connector_start_failed', `Connector ${name} cannot be started: its manifest has no run.command.`);
}

/** Bytes that may wait for a connector that reads slowly: some small messages, or two of the largest. */
const stdinQueueBytesMin = 4 * 1024 * 1024;

export function workerLimits({ limits, workers }: ConnectorConfig): WorkerLimits {
  const { startTimeoutMs, cancelGraceMs, messageBytesMax, nestingMax } = limits;
  const stdinQueueBytesMax = Math.max(stdinQueueBytesMin, 2 * messageBytesMax);
  const concurrency = workers.mode === 'single-use' ? 1 : workers.concurrency;
  return { startTimeoutMs, cancelGraceMs, messageBytesMax, nestingMax, stdinQueueBytesMax, concurrency };
}
