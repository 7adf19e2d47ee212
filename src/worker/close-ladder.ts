import { settlesWithin } from '../lib/pause.ts';
import type { ConnectorProcess } from '../runner/runner.ts';
import type { Channel } from './channel.ts';
import { workerWaits } from './worker.ts';

/**
 * Asks a process to go by ever firmer means and waits after each: `shutdown`, end of stdin, SIGTERM, SIGKILL. Returns as soon as it has
 * exited, at the latest after the sum of `workerWaits`. It is the exit that is waited for: a grandchild may hold the pipes.
 */
export async function closePolitely(process: ConnectorProcess, channel: Channel): Promise<void> {
  const { exited } = process;
  await settlesWithin(Promise.race([channel.request('shutdown', {}), exited]), workerWaits.shutdownTimeoutMs);
  channel.endInput();
  if (await settlesWithin(exited, workerWaits.stdinEndTimeoutMs)) return;
  process.terminate();
  if (await settlesWithin(exited, workerWaits.terminateTimeoutMs)) return;
  process.kill();
}
