/** Headers as Node’s writeHead takes them: name, value, name, value. */
export type HeaderPairs = readonly string[];

export interface Cors {
  /** For an answer under /v1/: the origin, if it may read it. */
  headers(origin: string | undefined): HeaderPairs;
  /** For the answer to a preflight. */
  preflightHeaders(origin: string | undefined): HeaderPairs;
}

const none: HeaderPairs = [];
const preflight: HeaderPairs = [
  'Access-Control-Allow-Headers',
  'Content-Type, Spiff-Connector-Proxy-Api-Key',
  'Access-Control-Allow-Methods',
  'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
];

/**
 * As the reference has it (spiff-contract 3.6): an allowed origin is echoed, also on a 401; another one gets its answer without
 * headers, which its browser then withholds; a request without Origin is told the first of the configured ones.
 */
export function createCors(origins: readonly string[]): Cors {
  const [first] = origins;
  if (first === undefined) return { headers: () => none, preflightHeaders: () => none };
  const byOrigin = new Map(origins.map((origin) => [origin, headersFor(origin)]));
  const headers = (origin: string | undefined): HeaderPairs => byOrigin.get('*') ?? byOrigin.get(origin ?? first) ?? none;
  return {
    headers,
    preflightHeaders(origin) {
      const allowed = headers(origin);
      return allowed.length === 0 ? none : [...allowed, ...preflight];
    },
  };
}

function headersFor(origin: string): HeaderPairs {
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', 'Invocation-Id, Retry-After', 'Vary', 'Origin'];
}
