import type { IncomingMessage, ServerResponse } from 'node:http';
import { Deadlines } from '../lib/deadlines.ts';
import { once } from '../lib/once.ts';
import { type Answer, answerTimeoutMsDefault, beginAnswer, limitStall } from './answer.ts';
import { createApiKeys } from './api-keys.ts';
import type { AppOptions } from './app-options.ts';
import { createCommandLookup } from './command-lookup.ts';
import { createCors } from './cors.ts';
import { createCommandPaths } from './request-path.ts';
import { createProbes } from './routes/health.ts';
import { createInvokeRoute } from './routes/invoke.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';

/** The HTTP API as one listener for a Node server. Never throws; every request gets an answer or loses its connection. */
export interface App extends Disposable {
  handle(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Loads what all but calls and probes take, so that it does not hold up the calls beside the first such request. */
  prepare(): Promise<void>;
}

/**
 * Running a command goes straight from Node to its route: with Hono's and the adapter's objects in between, a call costs about
 * 10 µs of CPU more, of some 40 (measured with 64 connections). So do probes, which are what a start waits for: Hono with all that
 * it needs is a tenth of it. Everything else is Hono's.
 */
export function createApp(options: AppOptions): App {
  const { answerTimeoutMs = answerTimeoutMsDefault } = options.server;
  const apiKeys = createApiKeys(options.keys);
  const cors = createCors(options.server.corsOrigins);
  const deadlines = new Deadlines();
  const findCommand = createCommandLookup(options.catalog, options.metrics);
  const commandPathOf = createCommandPaths();
  const invoke = createInvokeRoute({ ...options, apiKeys, cors, findCommand, deadlines });
  const probeAnswer = createProbes({ ...options, apiKeys });
  const rest = once(async () => (await import('./rest.ts')).createRest({ ...options, apiKeys, cors }));
  const send = (incoming: IncomingMessage, outgoing: ServerResponse, answer: Answer): void =>
    beginAnswer({ incoming, outgoing, answer, more: [], answerTimeoutMs })?.();
  // Up to its `await` it runs at once.
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const probe = probeAnswer(incoming);
    if (probe !== undefined) return send(incoming, outgoing, probe);
    (await rest.get())(incoming, outgoing);
  };
  return {
    handle(incoming, outgoing) {
      const path = incoming.method === 'POST' ? commandPathOf(incoming.url ?? '/') : undefined;
      if (path !== undefined) return invoke(incoming, outgoing, path);
      limitStall(outgoing, answerTimeoutMs);
      // The router tells of its own failures; its code may be gone, as after an update.
      serve(incoming, outgoing).catch((error: unknown) => send(incoming, outgoing, unexpectedAnswer(error, options.logger)));
    },
    async prepare() {
      await rest.get();
    },
    [Symbol.dispose]: () => deadlines[Symbol.dispose](),
  };
}
