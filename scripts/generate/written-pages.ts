import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { durationPattern, sizePattern } from '../../src/lib/units.ts';
import { type GeneratedFile, markdownTable } from './generated-file.ts';
import { configSchema, manifestSchema, type WrittenSchema } from './written-schema.ts';

const root = join(import.meta.dirname, '../..');
const begin = '<!-- reference: made by npm run generate; not to be edited here -->';
const end = '<!-- end of reference -->';

/** The guide is written by hand; the table between its marks is not. */
export function configPage(): GeneratedFile {
  return pageWith('docs/config.md', JSON.parse(configSchema().content));
}

export function manifestPage(): GeneratedFile {
  return pageWith('docs/manifest.md', JSON.parse(manifestSchema().content));
}

function pageWith(path: string, schema: WrittenSchema): GeneratedFile {
  const page = readFileSync(join(root, path), 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path} lacks the lines "${begin}" and "${end}"`);
  return { path, content: `${page.slice(0, from)}${begin}\n\n${reference(schema)}\n\n${page.slice(to)}` };
}

function reference(schema: WrittenSchema): string {
  return markdownTable(['key', 'value', 'default', 'meaning'], rowsOf(schema, ''));
}

function rowsOf({ properties = {}, required = [] }: WrittenSchema, prefix: string): readonly (readonly string[])[] {
  return Object.entries(properties).flatMap(([name, member]) => {
    const key = `${prefix}${name}`;
    const row = [`\`${key}\``, valueText(member), presetOf(member, required.includes(name)), member.description ?? ''];
    return [row, ...rowsBelow(member, key)];
  });
}

function rowsBelow(member: WrittenSchema, key: string): readonly (readonly string[])[] {
  if (member.items !== undefined) return rowsOf(member.items, `${key}[].`);
  if (typeof member.additionalProperties === 'object') return rowsOf(member.additionalProperties, `${key}.NAME.`);
  return rowsOf(member, `${key}.`);
}

function valueText({ type, enum: options, anyOf, items, minimum, maximum, additionalProperties, pattern = '' }: WrittenSchema): string {
  if (options !== undefined) return options.map((option) => `\`${String(option)}\``).join(', ');
  if (anyOf !== undefined) return anyOf.map(valueText).join('; or ');
  if (type === 'array') return `list of ${valueText(items ?? {})}`;
  if (type === 'object') return typeof additionalProperties === 'object' ? 'mapping by name' : 'mapping';
  if (pattern === durationPattern.source) return 'duration';
  if (pattern === sizePattern.source) return 'size';
  if (type === 'string') return 'text';
  if (type === 'boolean') return '`true`, `false`';
  const noun = type === 'integer' ? 'whole number' : 'number';
  return minimum === undefined ? noun : `${noun}, ${minimum} to ${maximum}`;
}

function presetOf({ default: preset }: WrittenSchema, isRequired: boolean): string {
  if (isRequired) return 'required';
  return preset === undefined || JSON.stringify(preset) === '{}'
    ? ''
    : `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``;
}
