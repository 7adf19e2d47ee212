/**
 * Which JSON Schemas a manifest may use. Whoever writes a manifest is not trusted with the proxy's time: every construct whose cost grows
 * faster than the data, or that reaches outside the document, is refused when the manifest is read.
 */
import type { FaultAt, FaultPath } from '../lib/faults.ts';
import { suggest } from '../lib/suggest.ts';
import { boundPattern } from './pattern.ts';

export const parameterSchemaLimits = {
  /** Subschemas of one command, each counted as often as it is referred to. */
  subschemasMax: 4096,
  propertiesMax: 256,
  depthMax: 32,
  enumMax: 1024,
} as const;

type SchemaObject = { readonly [keyword: string]: unknown };

/** How a keyword's value is read: subschemas are accepted in turn, plain values are checked and copied. */
type Kind =
  | 'schema'
  | 'schemas'
  | 'schemaMap'
  | 'patternMap'
  | 'definitions'
  | 'number'
  | 'count'
  | 'text'
  | 'any'
  | 'values'
  | 'names'
  | 'nameMap'
  | 'type'
  | 'pattern'
  | 'ref';

const keywordsByKind: Readonly<Record<Kind, readonly string[]>> = {
  definitions: ['$defs', 'definitions'],
  ref: ['$ref'],
  type: ['type'],
  any: ['const'],
  values: ['enum'],
  text: ['format'],
  pattern: ['pattern'],
  schema: [
    ...['additionalProperties', 'unevaluatedProperties', 'propertyNames', 'items', 'contains', 'unevaluatedItems'],
    ...['not', 'if', 'then', 'else'],
  ],
  schemas: ['prefixItems', 'allOf', 'anyOf', 'oneOf'],
  schemaMap: ['properties', 'dependentSchemas'],
  patternMap: ['patternProperties'],
  names: ['required'],
  nameMap: ['dependentRequired'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  count: ['minProperties', 'maxProperties', 'minContains', 'maxContains', 'minItems', 'maxItems', 'minLength', 'maxLength'],
};

const kindOf: ReadonlyMap<string, Kind> = new Map(
  Object.entries(keywordsByKind).flatMap(([kind, names]) => names.map((name) => [name, kind as Kind] as const)),
);

/** Shown to people, never checked. */
const annotations: ReadonlySet<string> = new Set([
  '$schema',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'example',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
  'externalDocs',
]);

const refusals: Readonly<Record<string, readonly [message: string, repair: string]>> = {
  uniqueItems: ['is not supported: it compares every pair', 'remove it and check in the command'],
  nullable: ['is not JSON Schema', 'write type: [string, "null"]'],
  $id: ['is not supported', 'remove it; refer by #/$defs/NAME'],
  id: ['is not supported', 'remove it; refer by #/$defs/NAME'],
  $anchor: ['is not supported', 'refer by #/$defs/NAME'],
  $dynamicRef: ['is not supported', 'refer by #/$defs/NAME'],
  $dynamicAnchor: ['is not supported', 'refer by #/$defs/NAME'],
  $recursiveRef: ['is not supported', 'refer by #/$defs/NAME'],
  $recursiveAnchor: ['is not supported', 'refer by #/$defs/NAME'],
  dependencies: ['is of an older draft', 'write dependentRequired or dependentSchemas'],
  additionalItems: ['is of an older draft', 'write prefixItems and items'],
};

const types = ['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'] as const;
const spiffTypes = ['str', 'int', 'bool', 'any'] as const;
export type SpiffType = (typeof spiffTypes)[number];

export type AcceptedSchema =
  | {
      readonly ok: true;
      /** What the interpreter gets: references replaced, patterns bounded, annotations left out. */
      readonly checked: SchemaObject;
    }
  | { readonly ok: false; readonly faults: readonly FaultAt[] };

/** Reads the `parameters` of one command. Paths in faults begin with `path`. */
export function acceptParameterSchema(schema: unknown, path: FaultPath): AcceptedSchema {
  const reading: Reading = { root: isObject(schema) ? schema : {}, faults: [], subschemas: 0, references: [] };
  const checked = acceptSchema(reading, schema, path, 0);
  if (isObject(schema) && schema['type'] !== 'object')
    reading.faults.push({
      path: 'type' in schema ? [...path, 'type'] : path,
      message: 'is not of type object',
      repair: 'write type: object; each property is a parameter',
    });
  if (reading.faults.length > 0 || !isObject(checked)) return { ok: false, faults: reading.faults };
  return { ok: true, checked };
}

interface Reading {
  readonly root: SchemaObject;
  readonly faults: FaultAt[];
  subschemas: number;
  /** Names of the definitions being read, outermost first: a name that comes again is a circle. */
  readonly references: string[];
}

function acceptSchema(reading: Reading, schema: unknown, path: FaultPath, depth: number): SchemaObject | boolean {
  if (typeof schema === 'boolean') return schema;
  const fault = (message: string, repair: string): true => {
    if (reading.faults.length < 50) reading.faults.push({ path, message, repair });
    return true;
  };
  if (!isObject(schema)) return fault('is not a JSON Schema', 'write a mapping, true or false');
  if (depth > parameterSchemaLimits.depthMax) return fault(`nests deeper than ${parameterSchemaLimits.depthMax} levels`, 'flatten it');
  reading.subschemas += 1;
  if (reading.subschemas > parameterSchemaLimits.subschemasMax) {
    if (reading.subschemas === parameterSchemaLimits.subschemasMax + 1)
      fault(`has more than ${parameterSchemaLimits.subschemasMax} subschemas, references counted each time`, 'simplify it');
    return true;
  }
  const checked: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema))
    acceptKeyword(reading, { keyword, value, path: [...path, keyword], depth, checked });
  return checked;
}

interface Keyword {
  readonly keyword: string;
  readonly value: unknown;
  readonly path: FaultPath;
  readonly depth: number;
  readonly checked: Record<string, unknown>;
}

function acceptKeyword(reading: Reading, { keyword, value, path, depth, checked }: Keyword): void {
  const kind = kindOf.get(keyword);
  if (kind === undefined) acceptOther(reading, keyword, value, path);
  else if (kind === 'definitions') acceptDefinitions(reading, value, path);
  else if (kind === 'ref') acceptReference(reading, value, path, depth, checked);
  else acceptPlain(reading, { keyword, value, path, depth, checked }, kind);
}

function acceptPlain(
  reading: Reading,
  { keyword, value, path, depth, checked }: Keyword,
  kind: Exclude<Kind, 'definitions' | 'ref'>,
): void {
  const accepted = acceptValue(reading, kind, value, path, depth);
  checked[keyword] = keyword === 'allOf' && Array.isArray(accepted) ? [...conditionsOf(checked), ...accepted] : accepted;
}

function conditionsOf(checked: Readonly<Record<string, unknown>>): readonly unknown[] {
  return Array.isArray(checked['allOf']) ? checked['allOf'] : [];
}

function acceptOther(reading: Reading, keyword: string, value: unknown, path: FaultPath): void {
  if (annotations.has(keyword)) return;
  const push = (message: string, repair: string): unknown => reading.faults.push({ path, message, repair });
  if (keyword === 'x-spiff-type') {
    if (!(spiffTypes as readonly unknown[]).includes(value))
      push('is not a type that modelers see', `write one of ${spiffTypes.join(', ')}`);
  } else if (keyword === 'x-spiff-required') {
    if (typeof value !== 'boolean') push('is not true or false', 'write true or false');
  } else if (Object.hasOwn(refusals, keyword)) push(...(refusals[keyword] ?? ['', '']));
  else if (!keyword.startsWith('x-')) {
    const meant = suggest(keyword, [...kindOf.keys(), ...annotations]);
    reading.faults.push({
      path,
      key: true,
      message: 'is not a keyword of JSON Schema',
      repair: meant === undefined ? 'remove it, or begin its name with x-' : `did you mean ${meant}?`,
    });
  }
}

function acceptDefinitions(reading: Reading, value: unknown, path: FaultPath): void {
  if (!isObject(value)) reading.faults.push({ path, message: 'is not a mapping', repair: 'write NAME: schema lines' });
  // Each definition is read where it is referred to; one that nobody refers to is still read once, for its faults.
  else if (reading.references.length === 0)
    for (const [name, schema] of Object.entries(value)) acceptDefinition(reading, name, schema, [...path, name], 0);
}

function acceptReference(reading: Reading, value: unknown, path: FaultPath, depth: number, checked: Record<string, unknown>): void {
  const [, place = '', name = ''] = /^#\/(\$defs|definitions)\/([^/~%]{1,128})$/.exec(typeof value === 'string' ? value : '') ?? [];
  const definitions = reading.root[place];
  if (!isObject(definitions) || !Object.hasOwn(definitions, name)) {
    const remote = typeof value === 'string' && !value.startsWith('#');
    reading.faults.push({
      path,
      message: remote ? 'refers outside of this schema' : 'refers to nothing',
      repair: 'write #/$defs/NAME, and define NAME under $defs of parameters',
    });
    return;
  }
  const target = acceptDefinition(reading, name, definitions[name], path, depth + 1);
  // Beside other keywords a reference is one more condition.
  checked['allOf'] = [...conditionsOf(checked), target];
}

function acceptDefinition(reading: Reading, name: string, schema: unknown, path: FaultPath, depth: number): SchemaObject | boolean {
  if (reading.references.includes(name)) {
    reading.faults.push({
      path,
      message: 'refers to itself',
      repair: 'write it out to the depth that is needed, or allow any value there',
    });
    return true;
  }
  reading.references.push(name);
  const accepted = acceptSchema(reading, schema, path, depth);
  reading.references.pop();
  return accepted;
}

function acceptValue(
  reading: Reading,
  kind: Exclude<Kind, 'definitions' | 'ref'>,
  value: unknown,
  path: FaultPath,
  depth: number,
): unknown {
  const wrong = (message: string, repair: string): unknown => {
    reading.faults.push({ path, message, repair });
    return undefined;
  };
  switch (kind) {
    case 'schema':
      return acceptSchema(reading, value, path, depth + 1);
    case 'schemas':
      if (!Array.isArray(value) || value.length === 0) return wrong('is not a list of schemas', 'write [schema, …]');
      return value.map((schema, index) => acceptSchema(reading, schema, [...path, index], depth + 1));
    case 'schemaMap':
      return acceptMap(reading, value, path, depth, (name) => name);
    case 'patternMap':
      return acceptMap(reading, value, path, depth, (name) => acceptPattern(reading, name, [...path, name]));
    case 'pattern':
      return typeof value === 'string' ? acceptPattern(reading, value, path) : wrong('is not text', 'write a regular expression');
    case 'number':
      return typeof value === 'number' ? value : wrong('is not a number', 'write a number');
    case 'count':
      return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
        ? value
        : wrong('is not a whole number', 'write 0 or more');
    case 'text':
      return typeof value === 'string' ? value : wrong('is not text', 'write text');
    case 'any':
      return value;
    case 'values':
      return Array.isArray(value) && value.length <= parameterSchemaLimits.enumMax
        ? value
        : wrong(`is not a list of at most ${parameterSchemaLimits.enumMax} values`, 'write [a, b]');
    case 'names':
      return isNames(value) ? value : wrong('is not a list of names', 'write [name, …]');
    case 'nameMap':
      return isObject(value) && Object.values(value).every(isNames)
        ? value
        : wrong('is not a mapping of lists of names', 'write name: [other, …]');
    case 'type':
      return isType(value) ? value : wrong('is not a type of JSON Schema', `write one of ${types.join(', ')}, or a list of them`);
  }
}

function acceptMap(reading: Reading, value: unknown, path: FaultPath, depth: number, nameOf: (name: string) => string): unknown {
  if (!isObject(value) || Object.keys(value).length > parameterSchemaLimits.propertiesMax) {
    reading.faults.push({
      path,
      message: `is not a mapping of at most ${parameterSchemaLimits.propertiesMax} schemas`,
      repair: 'write name: schema lines',
    });
    return undefined;
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, schema]) => [nameOf(name), acceptSchema(reading, schema, [...path, name], depth + 1)]),
  );
}

function acceptPattern(reading: Reading, pattern: string, path: FaultPath): string {
  const result = boundPattern(pattern);
  if (result.ok) return result.bounded;
  reading.faults.push({ path, message: `the pattern ${result.message}`, repair: result.repair });
  return '';
}

function isType(value: unknown): boolean {
  const known: readonly unknown[] = types;
  return Array.isArray(value) ? value.length > 0 && value.every((type) => known.includes(type)) : known.includes(value);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function isObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
