import type { ConnectorConfig, LimitsConfig, WorkersConfig } from '../config/config.ts';
import { compareGrants, type GrantComparison } from '../config/grants.ts';
import type { ErrorCode } from '../errors.ts';
import type { CommandManifest, ContextName, JsonSchema, Manifest } from '../manifest/manifest.ts';
import { describeParameters, type ParameterDescription } from '../manifest/parameters.ts';
import type { Connector } from './connector.ts';
import { handedContext } from './handed-context.ts';

/** Everything about a connector that a caller may see: `GET /v1/connectors`, `bulkhead list --json`. Holds no secret and no setting; a reason may name a file. */
export interface ConnectorDescription {
  readonly name: string;
  readonly state: 'available' | 'unavailable';
  /** Why it is unavailable. */
  readonly reason?: { readonly code: ErrorCode; readonly message: string };
  readonly version?: string;
  readonly description?: string;
  readonly protocol?: Manifest['protocol'];
  readonly source: { readonly type: 'folder' } | { readonly type: 'image'; readonly image: string };
  readonly sandbox: 'enforced' | 'none';
  readonly grants: GrantsDescription;
  /** What the manifest requests against what is granted. */
  readonly requests?: GrantComparison;
  readonly limits: LimitsConfig;
  readonly workers: WorkersConfig;
  readonly commands: readonly CommandDescription[];
}

interface GrantsDescription {
  readonly network: ConnectorConfig['network']['type'];
  readonly rules: readonly string[];
  /** Names only. */
  readonly secrets: readonly string[];
  readonly hasDataFolder: boolean;
}

interface CommandDescription {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  /** In the form that the engine's modelers see. */
  readonly parameters: readonly ParameterDescription[];
  /** JSON Schema of the input. */
  readonly schema: JsonSchema;
  /** Engine data that it is handed, once the config has had its say. */
  readonly context: readonly ContextName[];
}

export function describeConnector(connector: Connector): ConnectorDescription {
  const { name, state, config } = connector;
  const common = {
    source: config.source.type === 'folder' ? ({ type: 'folder' } as const) : ({ type: 'image', image: config.source.image } as const),
    sandbox: config.sandbox,
    grants: describeGrants(config),
    limits: config.limits,
    workers: config.workers,
  };
  if (connector.state === 'unavailable')
    return { name, state, reason: { code: connector.reason.code, message: connector.reason.message }, ...common, commands: [] };
  const { version, description, protocol, commands } = connector.manifest;
  return {
    name,
    state,
    version,
    description,
    protocol,
    ...common,
    requests: compareGrants(connector.manifest, config),
    commands: commands.map((command) => describeCommand(connector, command)),
  };
}

function describeGrants({ network, secrets, dataFolder }: ConnectorConfig): GrantsDescription {
  return {
    network: network.type,
    rules: network.type === 'rules' || network.type === 'observe' ? network.rules.map(({ text }) => text) : [],
    secrets: Object.keys(secrets),
    hasDataFolder: dataFolder !== undefined,
  };
}

function describeCommand({ name: connector, config }: Pick<Connector, 'name' | 'config'>, command: CommandManifest): CommandDescription {
  const { name, description, parameters } = command;
  const context = handedContext(command, config);
  return { id: `${connector}/${name}`, name, description, parameters: describeParameters(command), schema: parameters, context };
}
