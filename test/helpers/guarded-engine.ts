import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { silentLogger } from '../../src/log.ts';
import { startEngineGuard } from '../../src/runner/engine-guard/engine-guard.ts';

export interface GuardedAnswer {
  readonly status: number | undefined;
  readonly text: string;
}

export interface GuardedEngine extends AsyncDisposable {
  readonly address: string;
  ask(
    method: string,
    path: string,
    sent?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string },
  ): Promise<GuardedAnswer>;
}

/** A guard before the engine of that socket, and a client that says whatever it likes. */
export async function guardEngine(engineSocket: string): Promise<GuardedEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-guard-'));
  const socketPath = join(folder, 'socket');
  const guard = await startEngineGuard({ listen: socketPath, engineSocket, logger: silentLogger, architecture: process.arch });
  return {
    address: `unix://${socketPath}`,
    ask: (method, path, { headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const outgoing = request({ socketPath, method, path, headers, agent: false }, (response) => {
          text(response).then((answer) => resolve({ status: response.statusCode, text: answer }), reject);
        });
        outgoing.on('error', reject).end(body);
      }),
    async [Symbol.asyncDispose]() {
      await guard[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}
