import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { ApiKeys } from './api-keys.ts';
import type { AppOptions } from './app-options.ts';
import type { Cors } from './cors.ts';
import { badRequest, createRouter } from './router.ts';
import { routeTable } from './routes/table.ts';

export interface RestOptions extends AppOptions {
  readonly apiKeys: ApiKeys;
  readonly cors: Cors;
}

/** Everything that is Hono’s. Never throws. */
export type Rest = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

export function createRest(options: RestOptions): Rest {
  const { fetch } = createRouter({ ...options, routes: routeTable(options) });
  const listener = getRequestListener(fetch, { errorHandler: badRequest });
  return (incoming, outgoing) => void listener(incoming, outgoing);
}
