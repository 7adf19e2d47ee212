import type { AppOptions } from '../app-options.ts';
import type { Route } from '../router.ts';
import { docsRoutes } from './docs.ts';
import { healthRoutes } from './health.ts';
import { listRoutes } from './lists.ts';
import { metricsRoute } from './metrics.ts';

/** Every path of the API. */
export function routeTable(options: AppOptions): readonly Route[] {
  return [
    ...healthRoutes(options),
    ...listRoutes(options),
    // Served before routes are looked at; here for its Allow.
    { path: '/v1/do/:connector/:command', type: 'guarded' },
    ...(options.server.metrics ? [metricsRoute(options)] : []),
    ...docsRoutes(),
  ];
}
