/** A request’s path as routes compare it: without query, percent-decoded, one slash at its beginning. */
export interface RequestPath {
  readonly path: string;
  /** The path with repeated inner slashes merged, when it has any: where the reference sends a client by 308. */
  readonly merged?: string;
}

/**
 * Reads a request target. `%2F` acts as a slash and `//v1/...` is served, as a base URL that ends in a slash makes old clients ask
 * (spiff-contract 2 and 3.1). A target that cannot be decoded stays as it is and so matches no route.
 */
export function requestPath(target: string): RequestPath {
  const raw = pathOf(target);
  const decoded = raw.includes('%') ? decode(raw) : raw;
  const path = decoded.startsWith('//') ? decoded.replace(/^\/+/, '/') : decoded;
  if (!path.includes('//')) return { path };
  return { path, merged: path.replace(/\/{2,}/g, '/') };
}

/** The query of a target with its question mark, or nothing. */
export function queryOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? '' : target.slice(query);
}

export interface CommandPath {
  readonly connector: string;
  readonly command: string;
}

export const invokePrefix = '/v1/do/';

/** The two segments behind `/v1/do/`; undefined when there are more, fewer, or empty ones. */
export function commandPath(path: string): CommandPath | undefined {
  if (!path.startsWith(invokePrefix)) return undefined;
  const slash = path.indexOf('/', invokePrefix.length);
  if (slash <= invokePrefix.length || slash === path.length - 1 || path.includes('/', slash + 1)) return undefined;
  return { connector: path.slice(invokePrefix.length, slash), command: path.slice(slash + 1) };
}

/**
 * `commandPath` of request targets, made once as long as the target stays the same: most calls are for the command of the call before, and to
 * cut the path takes as long as to check a small body.
 */
export function createCommandPaths(): (target: string) => CommandPath | undefined {
  let madeFor = '';
  let made: CommandPath | undefined;
  return (target) => {
    if (target !== madeFor) {
      made = commandPath(requestPath(target).path);
      madeFor = target;
    }
    return made;
  };
}

/** Also takes the absolute form that clients send to a forward proxy. */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return path.startsWith('/') ? path : path.replace(/^https?:\/\/[^/]*/i, '');
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
