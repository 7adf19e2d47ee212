import type { GenericSchema } from 'valibot';
import { markdownTable } from './generated-file.ts';
import { jsonSchemaOf } from './protocol-schema.ts';

/** The part of JSON Schema that the messages use. */
interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** The members of an object, those of objects within it by dotted names. */
export function schemaTable(schema: GenericSchema): string {
  const rows = rowsOf(jsonSchemaOf(schema), '');
  return rows.length === 0 ? '' : markdownTable(['member', 'type', 'required', 'meaning'], rows);
}

function rowsOf({ properties = {}, required = [] }: JsonSchema, prefix: string): readonly (readonly string[])[] {
  return Object.entries(properties).flatMap(([name, member]) => {
    const row = [`\`${prefix}${name}\``, typeOf(member), required.includes(name) ? 'yes' : 'no', meaningOf(member)];
    const inner = member.properties === undefined ? (member.items ?? {}) : member;
    return [row, ...rowsOf(inner, `${prefix}${name}${member.items === undefined ? '' : '[]'}.`)];
  });
}

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  if (schema.type === 'array') return `array of ${typeOf(schema.items ?? {})}`;
  if (schema.type === 'object' && schema.additionalProperties?.type === 'string') return 'object of strings';
  if (schema.minimum !== undefined) return `${schema.type}, ${schema.minimum} to ${schema.maximum}`;
  return schema.type ?? 'any JSON';
}

function meaningOf({ description = '', default: preset }: JsonSchema): string {
  return preset === undefined ? description : `${description} Default: \`${JSON.stringify(preset)}\`.`.trimStart();
}
