import type { IncomingMessage } from 'node:http';
import type { Answer } from '../answer.ts';
import { type Access, type ApiKeys, apiKeyHeader, noAccess } from '../api-keys.ts';
import type { AppOptions } from '../app-options.ts';
import { asciiJson } from '../ascii-json.ts';
import { connectorStates } from '../connectors-view.ts';
import { jsonType } from '../envelope.ts';
import type { Route } from '../router.ts';

const rootText =
  'This is Bulkhead, a connector proxy for SpiffWorkflow. Point the backend at this URL; /v1/commands lists the commands, /docs shows the API.';

const alive: Answer = { status: 200, contentType: jsonType, head: '{"ok": true}' };

interface HealthRoute extends Route {
  readonly get: (access: Access) => Answer;
}

export interface ProbeOptions extends AppOptions {
  readonly apiKeys: ApiKeys;
}

/** Open to everybody; what `/readyz` tells of connectors takes a key. */
export function healthRoutes(options: AppOptions): readonly HealthRoute[] {
  const isAlive = { type: 'open', get: () => alive } as const;
  return [
    { path: '/', type: 'open', get: () => ({ status: 200, contentType: 'text/html; charset=utf-8', head: rootText }) },
    { path: '/liveness', ...isAlive },
    { path: '/v1/liveness', ...isAlive },
    { path: '/healthz', ...isAlive },
    { path: '/readyz', type: 'open', get: (access) => readyAnswer(options, access) },
  ];
}

/** 503 while starting or draining, so that nobody sends work then. A connector that is unavailable makes nothing else unready. */
function readyAnswer(options: AppOptions, access: Access): Answer {
  const { state, controls } = options.readiness();
  const detail = access === noAccess ? {} : { version: options.version, controls, connectors: connectorStates(options, access) };
  return { status: state === 'ready' ? 200 : 503, contentType: jsonType, head: asciiJson({ ready: state === 'ready', state, ...detail }) };
}

/**
 * What a plain GET of one of these paths is answered; undefined: it is none. Others are left to the router, which gives the same answers:
 * those with a query, another method, or, under /v1/, with what CORS asks for.
 */
export function createProbes(options: ProbeOptions): (incoming: IncomingMessage) => Answer | undefined {
  const probes = new Map(healthRoutes(options).map(({ path, get }) => [path, get]));
  probes.delete('/v1/liveness');
  return ({ method, url = '/', headers }) => {
    const get = method === 'GET' ? probes.get(url) : undefined;
    return get?.(options.apiKeys.find(headers[apiKeyHeader]) ?? noAccess);
  };
}
