import type { AuthManifest, CommandManifest, ContextName, Manifest } from '../manifest/manifest.ts';
import type { CommandName, ConnectorName } from '../manifest/names.ts';
import { describeParameters, type ParameterCheck, type ParameterDescription } from '../manifest/parameters.ts';
import type { Connector } from './connector.ts';
import { handedContext } from './handed-context.ts';

/** All known connectors and what they can do. Immutable: a reload makes a new one. Starts no process. */
export interface Catalog {
  /** In the order of the config. */
  readonly connectors: ReadonlyMap<ConnectorName, Connector>;
  /** Undefined for what is not known, and for a connector that is not available. Lookups in maps only. */
  command(connector: string, command: string): CatalogCommand | undefined;
  /**
   * In Spiff's form, connectors in the order of the config and commands in that of their manifests; `allows` says which connectors the
   * caller may see. The whole list is made once; then nothing is built for a caller who may see all.
   */
  spiffCommands(allows?: (connector: ConnectorName) => boolean): readonly SpiffEntry[];
  /** The same of OAuth applications. */
  spiffAuths(allows?: (connector: ConnectorName) => boolean): readonly SpiffEntry[];
}

interface CatalogCommand {
  readonly connector: Extract<Connector, { state: 'available' }>;
  readonly manifest: CommandManifest;
  readonly check: ParameterCheck;
  /** Engine data that it is handed: what the manifest asks for, as far as the config grants it. */
  readonly context: readonly ContextName[];
}

/** One entry of `GET /v1/commands` or `GET /v1/auths`. */
interface SpiffEntry {
  readonly id: string;
  readonly parameters: readonly ParameterDescription[];
}

/** A connector with the parameter checks of its commands, as the loader has it. */
export interface CatalogEntry {
  readonly connector: Connector;
  readonly checks: ReadonlyMap<CommandName, ParameterCheck>;
}

export function createCatalog(entries: readonly CatalogEntry[]): Catalog {
  const commands = new Map<string, ReadonlyMap<string, CatalogCommand>>();
  const manifests: Manifest[] = [];
  for (const { connector, checks } of entries) {
    if (connector.state === 'unavailable') continue;
    commands.set(connector.name, commandsOf(connector, checks));
    manifests.push(connector.manifest);
  }
  return {
    connectors: new Map(entries.map(({ connector }) => [connector.name, connector])),
    command: (connector, command) => commands.get(connector)?.get(command),
    spiffCommands: spiffList(manifests, (manifest) => manifest.commands),
    spiffAuths: spiffList(manifests, (manifest) => manifest.auths),
  };
}

function commandsOf(connector: CatalogCommand['connector'], checks: CatalogEntry['checks']): ReadonlyMap<string, CatalogCommand> {
  return new Map(
    connector.manifest.commands.flatMap((manifest) => {
      const check = checks.get(manifest.name);
      const context = handedContext(manifest, connector.config);
      return check === undefined ? [] : [[manifest.name as string, { connector, manifest, check, context }] as const];
    }),
  );
}

interface ListedEntry {
  readonly connector: ConnectorName;
  readonly entry: SpiffEntry;
}

/** The whole list is made once, for the first who asks, who may be none; only a part of it is made for a caller. */
function spiffList(
  manifests: readonly Manifest[],
  declared: (manifest: Manifest) => readonly (CommandManifest | AuthManifest)[],
): Catalog['spiffCommands'] {
  const list = (): readonly ListedEntry[] =>
    manifests.flatMap((manifest) =>
      declared(manifest).map((one) => ({
        connector: manifest.name,
        entry: { id: `${manifest.name}/${one.name}`, parameters: describeParameters(one) },
      })),
    );
  let listed: readonly ListedEntry[] | undefined;
  let all: readonly SpiffEntry[] | undefined;
  return (allows) => {
    listed ??= list();
    all ??= listed.map(({ entry }) => entry);
    return allows === undefined ? all : listed.filter(({ connector }) => allows(connector)).map(({ entry }) => entry);
  };
}
