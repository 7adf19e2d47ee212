import { RequestError } from './errors.ts';
import { exchange, type HttpResponse, type Limits } from './exchange.ts';
import { type GivenHeaders, Headers } from './headers.ts';
import type { Environment } from './proxy.ts';
import { type PreparedUrl, prepareUrl } from './url.ts';

export interface ClientRequest {
  readonly method: string;
  readonly url: string;
  readonly query: string;
  readonly headers: GivenHeaders;
  readonly json?: string;
  readonly auth?: readonly [user: string, password: string];
  readonly follow: boolean;
  readonly userAgent: string;
  readonly limits: Limits;
  readonly environment: Environment;
  readonly authorities?: readonly string[];
  readonly signal: AbortSignal;
}

const redirectsMax = 30;
const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** One request as Python's requests sends it, redirects included. Throws RequestError. */
export async function send(request: ClientRequest): Promise<HttpResponse> {
  let url = prepareUrl(request.url, request.query);
  let { method } = request;
  let body = request.json === undefined ? undefined : Buffer.from(request.json);
  const headers = prepareHeaders(request, url, body);
  const cookies = new Map<string, string>();
  for (let count = 0; ; count += 1) {
    const response = await exchange({
      ...request,
      method,
      url,
      headers: withHost(headers, url, cookies),
      ...(body === undefined ? {} : { body }),
    });
    const location = response.headers['location'];
    if (!request.follow || location === undefined || !redirectStatuses.has(response.status)) return response;
    if (count >= redirectsMax) throw new RequestError('TooManyRedirects', `Exceeded ${redirectsMax} redirects.`);
    remember(response, url, cookies);
    const next = resolveLocation(location, url);
    method = methodAfter(response.status, method);
    if (response.status !== 307 && response.status !== 308) {
      body = undefined;
      for (const name of ['content-length', 'content-type', 'transfer-encoding']) headers.delete(name);
      // As urllib3 does for the methods that have a body as a rule.
      if (method === 'POST' || method === 'PUT' || method === 'PATCH') headers.set('Content-Length', '0');
    }
    if (mustForgetAuth(url, next)) {
      headers.delete('authorization');
      if (next.credentials !== undefined) headers.set('Authorization', basic(next.credentials));
    }
    if (next.netloc !== url.netloc) {
      // Cookies and a Host header were meant for the first host.
      cookies.clear();
      headers.delete('host');
      headers.delete('cookie');
    }
    url = next;
  }
}

/** The order in which requests sends them: its own, the caller's, then length, type and authorization. */
function prepareHeaders(request: ClientRequest, url: PreparedUrl, body: Buffer | undefined): Headers {
  const headers = new Headers([
    ['User-Agent', request.userAgent],
    ['Accept-Encoding', 'gzip, deflate'],
    ['Accept', '*/*'],
    ['Connection', 'keep-alive'],
  ]);
  headers.merge(request.headers);
  if (body !== undefined) headers.set('Content-Length', String(body.length));
  else if (request.method !== 'GET' && request.method !== 'HEAD') headers.set('Content-Length', '0');
  if (body !== undefined && !headers.has('content-type')) headers.set('Content-Type', 'application/json');
  const auth = request.auth ?? url.credentials;
  if (auth !== undefined) headers.set('Authorization', basic(auth));
  return headers;
}

function basic(credentials: readonly [string, string]): string {
  for (const part of credentials) latin1(part);
  return `Basic ${Buffer.from(credentials.join(':'), 'latin1').toString('base64')}`;
}

function latin1(text: string): void {
  const at = [...text].findIndex((c) => (c.codePointAt(0) ?? 0) > 0xff);
  if (at === -1) return;
  throw new RequestError('UnicodeEncodeError', `'latin-1' codec can't encode character in position ${at}: ordinal not in range(256)`);
}

function withHost(
  headers: Headers,
  { netloc, scheme }: PreparedUrl,
  cookies: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  const list = headers.list();
  for (const [, value] of list) latin1(value);
  const defaultPort = scheme === 'https' ? ':443' : ':80';
  const host = netloc.endsWith(defaultPort) && !netloc.endsWith(`]${defaultPort}`) ? netloc.slice(0, -defaultPort.length) : netloc;
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  return [
    ...(headers.has('host') ? [] : [['Host', host] as const]),
    ...list,
    ...(cookie === '' || headers.has('cookie') ? [] : [['Cookie', cookie] as const]),
  ];
}

/** Cookies live as long as the chain of redirects, and go back to the host that set them only. */
function remember({ setCookies }: HttpResponse, url: PreparedUrl, cookies: Map<string, string>): void {
  for (const line of setCookies) {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const secureOnly = attributes.some((attribute) => attribute.toLowerCase() === 'secure');
    if (at > 0 && (!secureOnly || url.scheme === 'https')) cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

function resolveLocation(location: string, from: PreparedUrl): PreparedUrl {
  // Bytes of a header are Latin-1 to Node; servers that send others send UTF-8.
  const text = Buffer.from(location, 'latin1').toString();
  if (text.startsWith('//')) return prepareUrl(`${from.scheme}:${text}`);
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return prepareUrl(text);
  const base = `${from.scheme}://${from.netloc}`;
  const [path = ''] = from.path.split('?');
  if (text.startsWith('/')) return prepareUrl(base + text);
  if (text.startsWith('?') || text.startsWith('#') || text === '')
    return prepareUrl(base + (text.startsWith('?') ? path : from.path) + text);
  return prepareUrl(`${base}${path.slice(0, path.lastIndexOf('/') + 1)}${text}`);
}

function mustForgetAuth(from: PreparedUrl, to: PreparedUrl): boolean {
  if (from.host !== to.host) return true;
  if (from.scheme === 'http' && from.port === 80 && to.scheme === 'https' && to.port === 443) return false;
  return from.port !== to.port || from.scheme !== to.scheme;
}

function methodAfter(status: number, method: string): string {
  if (method === 'HEAD') return method;
  if (status === 303 || status === 302) return 'GET';
  return status === 301 && method === 'POST' ? 'GET' : method;
}
