import type { CommandManifest, Manifest } from '../manifest/manifest.ts';
import type { CommandName, ConnectorName } from '../manifest/names.ts';
import { describeParameters, type ParameterCheck, type ParameterDescription } from '../manifest/parameters.ts';
import type { Connector } from './connector.ts';

/** All known connectors and what they can do. Immutable: a reload makes a new one. Starts no process. */
export interface Catalog {
  /** In the order of the config. */
  readonly connectors: ReadonlyMap<ConnectorName, Connector>;
  /** Undefined for what is not known, and for a connector that is not available. Lookups in maps only. */
  command(connector: string, command: string): CatalogCommand | undefined;
  /**
   * In Spiff's form, connectors in the order of the config and commands in that of their manifests; `allows` says which connectors the
   * caller may see. The whole list is prepared; nothing is built for a caller who may see all.
   */
  spiffCommands(allows?: (connector: ConnectorName) => boolean): readonly SpiffCommand[];
}

interface CatalogCommand {
  readonly connector: Extract<Connector, { state: 'available' }>;
  readonly manifest: CommandManifest;
  readonly check: ParameterCheck;
}

/** One entry of `GET /v1/commands`. */
interface SpiffCommand {
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
  const listed: { readonly connector: ConnectorName; readonly command: SpiffCommand }[] = [];
  for (const { connector, checks } of entries) {
    if (connector.state === 'unavailable') continue;
    commands.set(connector.name, commandsOf(connector, checks));
    listed.push(...spiffCommandsOf(connector.manifest).map((command) => ({ connector: connector.name, command })));
  }
  const all = listed.map(({ command }) => command);
  return {
    connectors: new Map(entries.map(({ connector }) => [connector.name, connector])),
    command: (connector, command) => commands.get(connector)?.get(command),
    spiffCommands: (allows) =>
      allows === undefined ? all : listed.filter(({ connector }) => allows(connector)).map(({ command }) => command),
  };
}

function commandsOf(connector: CatalogCommand['connector'], checks: CatalogEntry['checks']): ReadonlyMap<string, CatalogCommand> {
  return new Map(
    connector.manifest.commands.flatMap((manifest) => {
      const check = checks.get(manifest.name);
      return check === undefined ? [] : [[manifest.name as string, { connector, manifest, check }] as const];
    }),
  );
}

function spiffCommandsOf(manifest: Manifest): readonly SpiffCommand[] {
  return manifest.commands.map((command) => ({ id: `${manifest.name}/${command.name}`, parameters: describeParameters(command) }));
}
