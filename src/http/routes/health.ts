import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, answerTimeoutMsDefault, beginAnswer } from '../answer.ts';
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
 * Answers a plain GET of one of these paths, and says whether it was one. Others are left to the router, which gives the same answers:
 * those with a query, another method, or, under /v1/, with what CORS asks for.
 */
export function createProbes(
  options: AppOptions & { readonly apiKeys: ApiKeys },
): (incoming: IncomingMessage, outgoing: ServerResponse) => boolean {
  const { answerTimeoutMs = answerTimeoutMsDefault } = options.server;
  const probes = new Map(healthRoutes(options).map(({ path, get }) => [path, get]));
  probes.delete('/v1/liveness');
  return (incoming, outgoing) => {
    const get = incoming.method === 'GET' ? probes.get(incoming.url ?? '/') : undefined;
    if (get === undefined) return false;
    const answer = get(options.apiKeys.find(incoming.headers[apiKeyHeader]) ?? noAccess);
    beginAnswer({ incoming, outgoing, answer, more: [], answerTimeoutMs })?.();
    return true;
  };
}
