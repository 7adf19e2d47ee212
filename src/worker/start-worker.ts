import { ProxyError } from '../errors.ts';
import { TimeLimit } from '../lib/time-limit.ts';
import { type InitializeParams, type InitializeResult, protocolVersion } from '../protocol/messages.ts';
import { readInitialize } from '../protocol/reply.ts';
import { PersistentWorker } from './persistent-worker.ts';
import { startError, startProcess } from './start-process.ts';
import type { SecretBundle, Worker, WorkerOptions } from './worker.ts';

/**
 * Starts a connector and shakes hands with it. Whatever goes wrong, nothing of the process is left when it throws.
 * @throws ProxyError `connector_start_failed` with exit code and stderr, `secret_missing`, what the runner throws, or `shutting_down`
 * when the signal aborts.
 */
export async function startPersistentWorker(options: WorkerOptions, signal: AbortSignal): Promise<Worker> {
  using limit = new TimeLimit(options.limits.startTimeoutMs, signal);
  try {
    const { process, secrets, attach } = await startProcess(options, limit.signal);
    const worker = new PersistentWorker(options, process, secrets);
    attach(worker);
    await shakeHands(worker, options, secrets, limit);
    return worker;
  } catch (error) {
    throw startError(error, options, limit, signal);
  }
}

async function shakeHands(worker: PersistentWorker, options: WorkerOptions, secrets: SecretBundle, limit: TimeLimit): Promise<void> {
  const { signal } = limit;
  const giveUp = () => worker.kill(`did not answer initialize within ${options.limits.startTimeoutMs} ms, and was stopped`);
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    const answer = await worker.channel.request('initialize', initializeParams(options, secrets));
    if (answer.type === 'closed') throw answer.error;
    if (answer.type === 'invalid') throw refusal(options, answer.breach.message);
    if (answer.type === 'error') throw refusal(options, `it answered initialize with the error: ${secrets.mask(answer.error.message)}`);
    const reading = readInitialize(answer.result);
    if (!reading.ok) throw refusal(options, reading.breach.message);
    worker.open(checkedConcurrency(reading.result, options));
  } catch (error) {
    worker.kill('was stopped, because its start failed');
    await worker.closed;
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function initializeParams({ connector, settings, proxyVersion }: WorkerOptions, { values }: SecretBundle): InitializeParams {
  const proxy = { name: 'bulkhead', version: proxyVersion };
  return { protocol: protocolVersion, proxy, connector: { name: connector }, config: { ...settings }, secrets: { ...values } };
}

/** @throws ProxyError when the connector is not the one that the manifest describes. */
function checkedConcurrency({ protocol, commands, concurrency }: InitializeResult, options: WorkerOptions): number {
  if (protocol !== protocolVersion) {
    throw refusal(options, `it speaks version ${protocol} of the protocol, and this Bulkhead speaks ${protocolVersion}`);
  }
  const told = new Set<string>(commands.map(({ name }) => name));
  const declared = new Set<string>(options.commands);
  const missing = [...declared.difference(told)];
  const unknown = [...told.difference(declared)];
  if (missing.length > 0) throw refusal(options, `its manifest has commands that it does not have itself: ${nameList(missing)}`);
  if (unknown.length > 0) throw refusal(options, `it has commands that its manifest does not have: ${nameList(unknown)}`);
  return Math.min(concurrency ?? options.limits.concurrency, options.limits.concurrency);
}

const namesShownMax = 5;
const nameCharactersMax = 64;

function nameList(names: readonly string[]): string {
  const shown = names.slice(0, namesShownMax).map((name) => JSON.stringify(name.slice(0, nameCharactersMax)));
  return names.length > namesShownMax ? `${shown.join(', ')} and ${names.length - namesShownMax} more` : shown.join(', ');
}

function refusal({ connector }: WorkerOptions, why: string): ProxyError {
  return new ProxyError('connector_start_failed', `Connector ${connector} cannot be used: ${why}${why.endsWith('.') ? '' : '.'}`);
}
