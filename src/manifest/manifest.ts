import type { NetworkRule } from './host-pattern.ts';
import type { CommandName, ConnectorName } from './names.ts';

/** Which engine data a command may ask for by `context`; nothing else of it is handed over. */
export const contextNames = ['task_data', 'process_instance_id', 'process_model_identifier', 'task_id', 'callback_url'] as const;
export type ContextName = (typeof contextNames)[number];

export const dialects = ['bulkhead/1', 'oneshot', 'spiff-python'] as const;
export type DialectName = (typeof dialects)[number];

export type JsonSchema = { readonly [key: string]: unknown };

/** What an author ships, checked and with defaults filled in. */
export interface Manifest {
  readonly name: ConnectorName;
  readonly version: string;
  readonly description: string;
  readonly protocol: DialectName;
  /** How to start it as a subprocess; an image has its entrypoint. */
  readonly run?: RunManifest;
  readonly commands: readonly CommandManifest[];
  readonly requests: { readonly network: readonly NetworkRule[]; readonly secrets: readonly string[] };
}

export interface RunManifest {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface CommandManifest {
  readonly name: CommandName;
  readonly description: string;
  /** JSON Schema of the input, always of type object. Property order is the order shown to modelers. */
  readonly parameters: JsonSchema;
  readonly context: readonly ContextName[];
}
