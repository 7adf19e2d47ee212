import type { Catalog } from '../catalog/catalog.ts';
import { ProxyError } from '../errors.ts';
import type { CommandName, ConnectorName } from '../manifest/names.ts';
import type { Access } from './api-keys.ts';
import type { InputRules } from './invocation-input.ts';
import type { CommandMetrics, Metrics } from './metrics.ts';
import type { CommandPath } from './request-path.ts';

/** A command that can be invoked, with all that its invocations share. */
export interface KnownCommand {
  readonly connector: ConnectorName;
  readonly command: CommandName;
  readonly rules: InputRules;
  readonly invocationTimeoutMs: number;
  readonly metrics: CommandMetrics;
}

/**
 * Finds the command of a path. Throws `command_not_found`, in the same words whether it does not exist or the key may not use it, or
 * `connector_unavailable` for a connector whose commands are not known.
 */
export type FindCommand = (path: CommandPath, access: Access) => KnownCommand;

/** What is made for a command is kept as long as its catalog is the current one, and what was found last is found without a search. */
export function createCommandLookup(catalog: () => Catalog, metrics: Metrics): FindCommand {
  let known = new Map<string, KnownCommand>();
  let knownOf: Catalog | undefined;
  let last: { readonly path: CommandPath; readonly access: Access; readonly found: KnownCommand } | undefined;
  return (path, access) => {
    const current = catalog();
    if (current !== knownOf) {
      known = new Map();
      knownOf = current;
      last = undefined;
    }
    if (last?.path === path && last.access === access) return last.found;
    if (!access.allows(path.connector)) throw notFound();
    const id = `${path.connector}/${path.command}`;
    const found = known.get(id) ?? knownCommand(current, path, metrics);
    known.set(id, found);
    last = { path, access, found };
    return found;
  };
}

function notFound(): ProxyError {
  return new ProxyError(
    'command_not_found',
    'No connector has this command, or the API key may not use it. Ids are case sensitive; compare with GET /v1/commands.',
  );
}

function knownCommand(catalog: Catalog, { connector, command }: CommandPath, metrics: Metrics): KnownCommand {
  const found = catalog.command(connector, command);
  if (found === undefined) throw unknown(catalog, connector);
  const { name, config } = found.connector;
  const { nestingMax, messageBytesMax, invocationTimeoutMs } = config.limits;
  return {
    connector: name,
    command: found.manifest.name,
    rules: { parameters: found.check, context: found.context, nestingMax, messageBytesMax },
    invocationTimeoutMs,
    metrics: metrics.command(name, found.manifest.name),
  };
}

/** Of a connector whose manifest cannot be read it is not known whether it has the command. */
function unknown(catalog: Catalog, name: string): ProxyError {
  const connector = catalog.connectors.get(name as ConnectorName);
  return connector?.state === 'unavailable' ? connector.reason : notFound();
}
