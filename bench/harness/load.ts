import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export interface LoadOptions {
  readonly url: string;
  /** File with the body of every request. */
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
  /** Of an MCP gateway; wrk only. */
  readonly session?: string;
  /** A connection of its own for every request, as Spiff’s engine calls; wrk only. */
  readonly connectsAnew?: boolean;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export type LoadGenerator = (options: LoadOptions) => Promise<LoadResult>;

interface LoadSummary {
  readonly requests: number;
  readonly failed: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const wrkScript = fileURLToPath(new URL('../load/post.lua', import.meta.url));
const ownClient = fileURLToPath(new URL('../load/client.ts', import.meta.url));

/** wrk, which takes the least of the machine; where it is not installed, a client of our own, which takes more and says so. */
export function findLoadGenerator(): { readonly name: string; readonly run: LoadGenerator } {
  return hasWrk() ? { name: 'wrk', run: runWrk } : { name: 'bench/load/client.ts (wrk is not installed)', run: runClient };
}

export function hasWrk(): boolean {
  return spawnSync('wrk', ['-v']).error === undefined;
}

async function runWrk({ url, body, connections, seconds, session, connectsAnew = false }: LoadOptions): Promise<LoadResult> {
  const duration = seconds >= 1 ? `${Math.round(seconds)}s` : '1s';
  const args = ['-t1', `-c${connections}`, `-d${duration}`, '--timeout', '30s', '-s', wrkScript, url];
  const more = { ...(session === undefined ? {} : { MCP_SESSION: session }), ...(connectsAnew ? { CONNECTS_ANEW: 'true' } : {}) };
  return await summaryOf('wrk', args, { ...process.env, BODY: body, ...more });
}

/** Also for what wrk cannot do: a fixed pace. */
export async function runClient({
  url,
  body,
  connections,
  seconds,
  perSecond,
}: LoadOptions & { readonly perSecond?: number }): Promise<LoadResult> {
  const args = [ownClient, url, body, String(connections), String(seconds), String(perSecond ?? 0)];
  return await summaryOf(process.execPath, args, process.env);
}

async function summaryOf(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<LoadResult> {
  const child = spawn(command, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await text(child.stdout);
  const line = said.split('\n').find((candidate) => candidate.startsWith('{'));
  if (line === undefined) throw new Error(`The load generator gave no result: ${said}`);
  const { requests, failed, durationUs, p50Us, p99Us } = JSON.parse(line) as LoadSummary;
  // An error is answered faster than the work is done: a run with any measures something else.
  if (failed > 0) throw new Error(`${failed} of ${requests} requests failed (${args.at(-1)} ${args.join(' ')}).`);
  return { requests, perSecond: requests / (durationUs / 1e6), p50Us, p99Us };
}
