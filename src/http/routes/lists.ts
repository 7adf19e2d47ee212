import type { Catalog } from '../../catalog/catalog.ts';
import type { Answer } from '../answer.ts';
import type { Access } from '../api-keys.ts';
import type { AppOptions } from '../app-options.ts';
import { asciiJson } from '../ascii-json.ts';
import { connectorsNow } from '../connectors-view.ts';
import { jsonType } from '../envelope.ts';
import { openApiDocument } from '../openapi.ts';
import type { Route } from '../router.ts';

/** What there is, each key seeing its connectors only. No process is started for any of them. */
export function listRoutes(options: AppOptions): readonly Route[] {
  const { catalog, version } = options;
  const commands = textPerAccess(catalog, (current, access) => asciiJson(current.spiffCommands(access.allows)));
  const auths = textPerAccess(catalog, (current, access) => asciiJson(current.spiffAuths(access.allows)));
  const openApi = textPerAccess(catalog, (current, access) => asciiJson(openApiDocument(current, access, version)));
  return [
    { path: '/v1/commands', type: 'guarded', get: (access) => json(commands(access)) },
    { path: '/v1/auths', type: 'guarded', get: (access) => json(auths(access)) },
    { path: '/v1/connectors', type: 'guarded', get: (access) => json(asciiJson(connectorsNow(options, access))) },
    { path: '/openapi.json', type: 'guarded', get: (access) => json(openApi(access)) },
  ];
}

function json(head: string): Answer {
  return { status: 200, contentType: jsonType, head };
}

/** Made once for a catalog and a key: the engine asks for its list often, and gives up on it after 15 s. */
function textPerAccess(catalog: () => Catalog, make: (catalog: Catalog, access: Access) => string): (access: Access) => string {
  let texts = new WeakMap<Access, string>();
  let textsOf: Catalog | undefined;
  return (access) => {
    const current = catalog();
    if (current !== textsOf) {
      texts = new WeakMap();
      textsOf = current;
    }
    const text = texts.get(access) ?? make(current, access);
    texts.set(access, text);
    return text;
  };
}
