import { labelNames, ownerLabel } from '../container-labels.ts';

/**
 * What one request to the engine comes to. `forward`: its path alone; `pull`: with the registry's credentials; `import`: with its body, as a
 * tar archive; `create`: if its payload is a hardened container; `container`: if the container is one of Bulkhead's; `inspect`: the same, and
 * of a foreign one only whether it runs; `info`: as the engine of another machine.
 */
export type GuardedRoute =
  | { readonly type: 'forward' | 'pull' | 'import'; readonly path: string }
  | { readonly type: 'create'; readonly path: string }
  | { readonly type: 'container'; readonly id: string; readonly action: string; readonly query: string }
  | { readonly type: 'inspect'; readonly id: string }
  | { readonly type: 'info' }
  | { readonly type: 'refuse'; readonly reason: string };

/** Pure. A path is rebuilt from what was understood of it, without the client's version of the API, so that nothing else gets through. */
export function guardedRoute(method: string, target: string): GuardedRoute {
  const url = URL.parse(target, 'http://engine');
  const path = /^(?:\/v\d+\.\d+)?(\/[\w.:@/-]*)$/.exec(url?.pathname ?? '')?.[1];
  if (url === null || path === undefined || path.includes('//')) return refuse('its path is odd');
  const key = `${method} ${path}`;
  if (/^(GET|HEAD) \/_ping$|^GET \/version$/.test(key)) return forward(path);
  if (/^GET \/images\/[\w.:@/-]+\/json$/.test(key)) return forward(path);
  switch (key) {
    case 'GET /info':
      return { type: 'info' };
    case 'GET /images/json':
      return forward(`${path}?${picked(url, ['filters', 'all'])}`);
    case 'POST /images/create':
      return imageRoute(url);
    case 'GET /containers/json':
      return forward(`${path}?${new URLSearchParams({ all: 'true', filters: JSON.stringify({ label: [ownFilter] }) })}`);
    case 'POST /containers/create':
      return { type: 'create', path: `${path}?${picked(url, ['name'])}` };
  }
  return containerRoute(method, path, url);
}

const ownFilter = `${labelNames.owner}=${ownerLabel}`;

function forward(path: string): GuardedRoute {
  return { type: 'forward', path };
}

function refuse(reason: string): GuardedRoute {
  return { type: 'refuse', reason };
}

/** Pulls, and the import of the sidecar's own image. */
function imageRoute(url: URL): GuardedRoute {
  const isImport = url.searchParams.has('fromSrc');
  if (!isImport) return { type: 'pull', path: `/images/create?${picked(url, ['fromImage', 'tag'])}` };
  if (url.searchParams.get('fromSrc') !== '-' || url.searchParams.get('repo') !== 'bulkhead-sidecar')
    return refuse('only the sidecar’s image is imported');
  return { type: 'import', path: `/images/create?${picked(url, ['fromSrc', 'repo', 'tag', 'changes'])}` };
}

const actions: Readonly<Record<string, readonly string[]>> = {
  'POST /start': [],
  'POST /kill': ['signal'],
  'POST /attach': ['stream', 'stdin', 'stdout', 'stderr'],
  'DELETE ': ['force', 'v'],
};

function containerRoute(method: string, path: string, url: URL): GuardedRoute {
  const [, id, action = ''] = /^\/containers\/([A-Za-z0-9][\w.-]*)(\/[a-z]+)?$/.exec(path) ?? [];
  if (id === undefined) return refuse('it is none that Bulkhead needs');
  if (method === 'GET' && action === '/json') return { type: 'inspect', id };
  const names = actions[`${method} ${action}`];
  return names === undefined ? refuse('it is none that Bulkhead needs') : { type: 'container', id, action, query: picked(url, names) };
}

/** Only parameters of these names, in one spelling. */
function picked({ searchParams }: URL, names: readonly string[]): string {
  return new URLSearchParams([...searchParams].filter(([name]) => names.includes(name))).toString();
}
