import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import { ConfigSchema, NetworkFormsSchema, NetworkGrantSchema } from '../../src/config/schema.ts';
import { ManifestSchema } from '../../src/manifest/manifest.ts';
import { type GeneratedFile, jsonFile } from './generated-file.ts';

/** The part of JSON Schema that files written by hand use. */
export interface WrittenSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly WrittenSchema[];
  readonly properties?: Readonly<Record<string, WrittenSchema>>;
  readonly required?: readonly string[];
  readonly items?: WrittenSchema;
  readonly additionalProperties?: WrittenSchema | boolean;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** For editors: `# yaml-language-server: $schema=…` as the first line of connector.yaml. */
export function manifestSchema(): GeneratedFile {
  return jsonFile('docs/schema/manifest.schema.json', schemaOf(ManifestSchema));
}

/** For editors: `# yaml-language-server: $schema=…` as the first line of bulkhead.yaml. */
export function configSchema(): GeneratedFile {
  return jsonFile('docs/schema/config.schema.json', schemaOf(ConfigSchema));
}

/** As it is written: units as text, what has a default may be left out. What JSON Schema cannot say is checked by Bulkhead only. */
function schemaOf(schema: GenericSchema): WrittenSchema {
  return closeObjects(convert(schema)) as WrittenSchema;
}

function convert(schema: GenericSchema): unknown {
  return toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
    ignoreActions: ['brand', 'check', 'raw_transform', 'transform'],
    // Its form depends on the value, which the converter does not have.
    overrideSchema: ({ valibotSchema }) => (valibotSchema === NetworkGrantSchema ? formsOfNetwork() : undefined),
  });
}

function formsOfNetwork(): Record<string, unknown> {
  const { $schema: _, ...forms } = convert(NetworkFormsSchema) as Record<string, unknown>;
  return forms;
}

/** `{ not: {} }` is how the converter writes "no other key"; editors want the short form. */
function closeObjects(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closeObjects);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      key === 'additionalProperties' && 'not' in Object(value) ? false : closeObjects(value),
    ]),
  );
}
