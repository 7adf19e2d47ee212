import type { Access } from '../api-keys.ts';
import type { AppOptions } from '../app-options.ts';
import type { Route } from '../router.ts';

export function metricsRoute({ metrics }: AppOptions): Route {
  return {
    path: '/metrics',
    type: 'guarded',
    async get(access) {
      const { contentType, text } = await metrics.page();
      return { status: 200, contentType, head: visibleLines(text, access) };
    },
  };
}

/** A key that may not use a connector does not see it here either. */
function visibleLines(text: string, access: Access): string {
  return text
    .split('\n')
    .filter((line) => {
      const connector = /[{,]connector="([^"]*)"/.exec(line)?.[1];
      return connector === undefined || access.allows(connector);
    })
    .join('\n');
}
