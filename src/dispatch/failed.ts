import type { ProxyError } from '../errors.ts';
import type { Outcome } from '../worker/invocation.ts';

/** The outcome of an invocation that no worker took. */
export function failed(error: ProxyError, queueMs = 0): Outcome {
  return { type: 'failure', failure: { origin: 'proxy', error, logs: [] }, phases: { queueMs, startMs: 0, runMs: 0, replyBytes: 0 } };
}
