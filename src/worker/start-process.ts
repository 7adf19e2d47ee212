import { ProxyError } from '../errors.ts';
import { type TimeLimit, withAbort } from '../lib/time-limit.ts';
import type { ConnectorProcess, ProcessNotice } from '../runner/runner.ts';
import type { SecretBundle, WorkerOptions } from './worker.ts';

/** Whoever has the process: is told what is noticed, and tells what runs in it. */
export interface ProcessOwner {
  notice(notice: ProcessNotice): void;
  /** Ids of the invocations that run in it now. */
  runningIds(): readonly string[];
}

export interface StartedProcess {
  readonly process: ConnectorProcess;
  readonly secrets: SecretBundle;
  /** Tells the owner of what was noticed so far and from here on. */
  readonly attach: (owner: ProcessOwner) => void;
}

/**
 * Reads the secrets and starts the process; what both dialects do first. A process that comes up after the signal aborted is killed.
 * @throws ProxyError of the runner or of the secrets, or the signal’s reason.
 */
export async function startProcess(options: WorkerOptions, signal: AbortSignal): Promise<StartedProcess> {
  const { runner, connector, policy, source } = options;
  const secrets = await withAbort(options.secrets(signal), signal);
  const early: ProcessNotice[] = [];
  let owner: ProcessOwner = { notice: (notice) => early.push(notice), runningIds: () => [] };
  const spec = {
    connector,
    policy,
    source,
    onNotice: (notice: ProcessNotice) => owner.notice(notice),
    invocations: () => owner.runningIds(),
  };
  const process = await withAbort(runner.start(spec, signal), signal, (late) => late.kill());
  const attach = (chosen: ProcessOwner) => {
    owner = chosen;
    for (const notice of early) owner.notice(notice);
  };
  return { process, secrets, attach };
}

/** Whatever ended a start, as the failure it is told as. */
export function startError(error: unknown, { connector, limits }: WorkerOptions, limit: TimeLimit, outer: AbortSignal): ProxyError {
  if (outer.aborted) return new ProxyError('shutting_down', `The start of connector ${connector} was given up: it is being closed.`);
  if (error instanceof ProxyError) return error;
  if (!limit.isOver) return ProxyError.from(error);
  const message = `Connector ${connector} was not ready ${limits.startTimeoutMs} ms after its start began; raise connectors.${connector}.limits.start if it needs longer.`;
  return new ProxyError('connector_start_failed', message);
}
