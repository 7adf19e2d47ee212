import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { ProxyError } from '../errors.ts';
import { bytesOf } from '../lib/pieces.ts';
import type { Logger } from '../log.ts';
import type { Answer } from './answer.ts';
import { type Access, type ApiKeys, apiKeyHeader, noAccess } from './api-keys.ts';
import type { Cors, HeaderPairs } from './cors.ts';
import { errorEnding, unauthorizedAnswer } from './envelope.ts';
import { invokePrefix, queryOf, requestPath } from './request-path.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';

/** A path of the API and what it does; HEAD and OPTIONS come with it. */
export interface Route {
  readonly path: string;
  /** `guarded`: it shows or does something, so that it takes a key where the server has keys. */
  readonly type: 'open' | 'guarded';
  /** A GET, or nothing: the one POST of the API, running a command, is served before routes are looked at. */
  readonly get?: (access: Access) => Answer | Promise<Answer>;
}

export interface RouterOptions {
  readonly routes: readonly Route[];
  readonly apiKeys: ApiKeys;
  readonly cors: Cors;
  readonly logger: Logger;
}

type Bindings = { readonly Bindings: HttpBindings };
type RouterContext = Context<Bindings>;

/** Everything but running a command, also the probes that app.ts answers itself. The order of checks: key, path, method. */
export function createRouter({ routes, apiKeys, cors, logger }: RouterOptions): Hono<Bindings> {
  const app = new Hono<Bindings>({ getPath: pathOf });
  const guarded = new Set(routes.filter(({ type }) => type === 'guarded').map(({ path }) => path));
  app.use(async (c, next) => {
    const isGuarded = guarded.has(c.req.path) || c.req.path.startsWith(invokePrefix);
    if (isGuarded && methodOf(c) !== 'OPTIONS' && accessOf(c, apiKeys) === undefined) c.res = toResponse(unauthorizedAnswer);
    else await next();
    addHeaders(c, corsHeaders(c, cors));
  });
  for (const route of routes) app.all(route.path, (c) => serve(route, c, apiKeys));
  app.notFound((c) => toResponse(mergedAnswer(c, app) ?? errorEnding(unknownPath()).answer));
  app.onError((error) => toResponse(unexpectedAnswer(error, logger)));
  return app;
}

/** For requests that are so wrong that no route sees them, such as one without a Host. */
export function badRequest(): Response {
  return toResponse(errorEnding(new ProxyError('invalid_request', 'The request line or its Host header is not valid HTTP.')).answer);
}

function pathOf(_: Request, { env }: { readonly env?: HttpBindings } = {}): string {
  return requestPath(env?.incoming.url ?? '/').path;
}

/** Hono hands HEAD to routes as GET and drops the body. */
function methodOf(c: RouterContext): string {
  return c.env.incoming.method ?? 'GET';
}

function accessOf(c: RouterContext, apiKeys: ApiKeys): Access | undefined {
  return apiKeys.find(c.env.incoming.headers[apiKeyHeader]);
}

async function serve(route: Route, c: RouterContext, apiKeys: ApiKeys): Promise<Response> {
  const method = methodOf(c);
  const allow = route.get === undefined ? 'POST, OPTIONS' : 'GET, HEAD, OPTIONS';
  if (method === 'OPTIONS') return toResponse({ status: 200, contentType: 'text/html; charset=utf-8', headers: ['Allow', allow] });
  if (route.get !== undefined && (method === 'GET' || method === 'HEAD'))
    return toResponse(await route.get(accessOf(c, apiKeys) ?? noAccess));
  const error = new ProxyError('method_not_allowed', `This path takes ${allow.replace(', OPTIONS', '')} only.`);
  return toResponse({ ...errorEnding(error).answer, headers: ['Allow', allow] });
}

/** As the reference: a path that would be known without its repeated slashes is answered with where to ask. */
function mergedAnswer(c: RouterContext, app: Hono<Bindings>): Answer | undefined {
  const target = c.env.incoming.url ?? '/';
  const { merged } = requestPath(target);
  if (merged === undefined || !isRouted(app, merged)) return undefined;
  // Relative, so that it is right behind a proxy that ends TLS or adds a prefix; encoded, so that it cannot name another host.
  const location = merged.split('/').map(encodeURIComponent).join('/') + queryOf(target);
  return { status: 308, contentType: 'text/html; charset=utf-8', headers: ['Location', location] };
}

function isRouted(app: Hono<Bindings>, path: string): boolean {
  // The middleware matches every path; a route is one handler more.
  return app.router.match('GET', path)[0].length > 1;
}

function corsHeaders(c: RouterContext, cors: Cors): HeaderPairs {
  if (!c.req.path.startsWith('/v1/')) return [];
  const { headers } = c.env.incoming;
  const isPreflight = methodOf(c) === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
  return isPreflight ? cors.preflightHeaders(headers.origin) : cors.headers(headers.origin);
}

function unknownPath(): ProxyError {
  return new ProxyError('not_found', 'The API has no such path; compare with /openapi.json.');
}

function toResponse({ status, contentType, headers = [], head = '', bytes, tail = '' }: Answer): Response {
  const response = new Response(bytes === undefined ? head + tail : Buffer.concat([head, bytes, tail].map(bytesOf)), {
    status,
  });
  response.headers.set('Content-Type', contentType);
  for (let at = 0; at < headers.length; at += 2) response.headers.set(headers[at] as string, headers[at + 1] as string);
  return response;
}

function addHeaders(c: RouterContext, headers: HeaderPairs): void {
  for (let at = 0; at < headers.length; at += 2) c.res.headers.set(headers[at] as string, headers[at + 1] as string);
}
