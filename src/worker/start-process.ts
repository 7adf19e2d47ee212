import { ProxyError } from '../errors.ts';
import { type TimeLimit, withAbort } from '../lib/time-limit.ts';
import type { ConnectorProcess, ProcessNotice } from '../runner/runner.ts';
import type { SecretBundle, WorkerOptions } from './worker.ts';

type NoticeListener = (notice: ProcessNotice) => void;

export interface StartedProcess {
  readonly process: ConnectorProcess;
  readonly secrets: SecretBundle;
  /** Tells the listener of what was noticed so far and from here on. */
  readonly onNotice: (listener: NoticeListener) => void;
}

/**
 * Reads the secrets and starts the process; what both dialects do first. A process that comes up after the signal aborted is killed.
 * @throws ProxyError of the runner or of the secrets, or the signal’s reason.
 */
export async function startProcess(options: WorkerOptions, signal: AbortSignal): Promise<StartedProcess> {
  const { runner, connector, policy, source } = options;
  const secrets = await withAbort(options.secrets(signal), signal);
  const early: ProcessNotice[] = [];
  let tell: NoticeListener = (notice) => early.push(notice);
  const started = runner.start({ connector, policy, source, onNotice: (notice) => tell(notice) }, signal);
  const process = await withAbort(started, signal, (late) => late.kill());
  const onNotice = (listener: NoticeListener) => {
    tell = listener;
    for (const notice of early) listener(notice);
  };
  return { process, secrets, onNotice };
}

/** Whatever ended a start, as the failure it is told as. */
export function startError(error: unknown, { connector, limits }: WorkerOptions, limit: TimeLimit, outer: AbortSignal): ProxyError {
  if (outer.aborted) return new ProxyError('shutting_down', `The start of connector ${connector} was given up: it is being closed.`);
  if (error instanceof ProxyError) return error;
  if (!limit.isOver) return ProxyError.from(error);
  const message = `Connector ${connector} was not ready ${limits.startTimeoutMs} ms after its start began; raise connectors.${connector}.limits.start if it needs longer.`;
  return new ProxyError('connector_start_failed', message);
}
