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

export type SchemaObject = { readonly [keyword: string]: unknown };

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

/** Undefined for what is only shown, and for what is none of JSON Schema’s. */
export function keywordKind(keyword: string): Kind | undefined {
  return kindOf.get(keyword);
}

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
  const reading: Reading = { root: isSchemaObject(schema) ? schema : {}, path: [...path], faults: [], subschemas: 0, references: [] };
  const checked = acceptSchema(reading, schema, 0);
  if (isSchemaObject(schema) && schema['type'] !== 'object')
    reading.faults.push({
      path: 'type' in schema ? [...path, 'type'] : path,
      message: 'is not of type object',
      repair: 'write type: object; each property is a parameter',
    });
  if (reading.faults.length > 0 || !isSchemaObject(checked)) return { ok: false, faults: reading.faults };
  return { ok: true, checked };
}

interface Reading {
  readonly root: SchemaObject;
  /** Where the reading is; copied only for a fault, since a catalog has thousands of places. */
  readonly path: (string | number)[];
  readonly faults: FaultAt[];
  subschemas: number;
  /** Names of the definitions being read, outermost first: a name that comes again is a circle. */
  readonly references: string[];
}

function addFault({ path, faults }: Reading, message: string, repair: string): undefined {
  faults.push({ path: [...path], message, repair });
}

function acceptSchema(reading: Reading, schema: unknown, depth: number): SchemaObject | boolean {
  if (typeof schema === 'boolean') return schema;
  if (!isSchemaObject(schema)) return refuse(reading, 'is not a JSON Schema', 'write a mapping, true or false');
  const { depthMax, subschemasMax } = parameterSchemaLimits;
  if (depth > depthMax) return refuse(reading, `nests deeper than ${depthMax} levels`, 'flatten it');
  reading.subschemas += 1;
  if (reading.subschemas > subschemasMax) {
    if (reading.subschemas > subschemasMax + 1) return true;
    return refuse(reading, `has more than ${subschemasMax} subschemas, references counted each time`, 'simplify it');
  }
  const checked: Record<string, unknown> = {};
  for (const keyword of Object.keys(schema)) {
    reading.path.push(keyword);
    acceptKeyword(reading, { keyword, value: schema[keyword], depth, checked });
    reading.path.pop();
  }
  return checked;
}

const refusalsMax = 50;

/** What is read on instead. */
function refuse(reading: Reading, message: string, repair: string): true {
  if (reading.faults.length < refusalsMax) addFault(reading, message, repair);
  return true;
}

interface Keyword {
  readonly keyword: string;
  readonly value: unknown;
  readonly depth: number;
  readonly checked: Record<string, unknown>;
}

function acceptKeyword(reading: Reading, { keyword, value, depth, checked }: Keyword): void {
  const kind = kindOf.get(keyword);
  if (kind === undefined) acceptOther(reading, keyword, value);
  else if (kind === 'definitions') acceptDefinitions(reading, value);
  else if (kind === 'ref') acceptReference(reading, value, depth, checked);
  else {
    const accepted = acceptValue(reading, kind, value, depth);
    checked[keyword] = keyword === 'allOf' && Array.isArray(accepted) ? [...conditionsOf(checked), ...accepted] : accepted;
  }
}

function conditionsOf(checked: Readonly<Record<string, unknown>>): readonly unknown[] {
  return Array.isArray(checked['allOf']) ? checked['allOf'] : [];
}

function acceptOther(reading: Reading, keyword: string, value: unknown): void {
  if (annotations.has(keyword)) return;
  if (keyword === 'x-spiff-type') {
    if (!(spiffTypes as readonly unknown[]).includes(value))
      addFault(reading, 'is not a type that modelers see', `write one of ${spiffTypes.join(', ')}`);
  } else if (keyword === 'x-spiff-required') {
    if (typeof value !== 'boolean') addFault(reading, 'is not true or false', 'write true or false');
  } else if (Object.hasOwn(refusals, keyword)) addFault(reading, ...(refusals[keyword] ?? ['', '']));
  else if (!keyword.startsWith('x-')) {
    const meant = suggest(keyword, [...kindOf.keys(), ...annotations]);
    reading.faults.push({
      path: [...reading.path],
      key: true,
      message: 'is not a keyword of JSON Schema',
      repair: meant === undefined ? 'remove it, or begin its name with x-' : `did you mean ${meant}?`,
    });
  }
}

function acceptDefinitions(reading: Reading, value: unknown): void {
  if (!isSchemaObject(value)) addFault(reading, 'is not a mapping', 'write NAME: schema lines');
  // Each definition is read where it is referred to; one that nobody refers to is still read once, for its faults.
  else if (reading.references.length === 0)
    for (const name of Object.keys(value)) {
      reading.path.push(name);
      acceptDefinition(reading, name, value[name], 0);
      reading.path.pop();
    }
}

function acceptReference(reading: Reading, value: unknown, depth: number, checked: Record<string, unknown>): void {
  const [, place = '', name = ''] = /^#\/(\$defs|definitions)\/([^/~%]{1,128})$/.exec(typeof value === 'string' ? value : '') ?? [];
  const definitions = reading.root[place];
  if (!isSchemaObject(definitions) || !Object.hasOwn(definitions, name)) {
    const remote = typeof value === 'string' && !value.startsWith('#');
    addFault(
      reading,
      remote ? 'refers outside of this schema' : 'refers to nothing',
      'write #/$defs/NAME, and define NAME under $defs of parameters',
    );
    return;
  }
  const target = acceptDefinition(reading, name, definitions[name], depth + 1);
  // Beside other keywords a reference is one more condition.
  checked['allOf'] = [...conditionsOf(checked), target];
}

function acceptDefinition(reading: Reading, name: string, schema: unknown, depth: number): SchemaObject | boolean {
  if (reading.references.includes(name)) {
    addFault(reading, 'refers to itself', 'write it out to the depth that is needed, or allow any value there');
    return true;
  }
  reading.references.push(name);
  const accepted = acceptSchema(reading, schema, depth);
  reading.references.pop();
  return accepted;
}

function acceptValue(reading: Reading, kind: Exclude<Kind, 'definitions' | 'ref'>, value: unknown, depth: number): unknown {
  switch (kind) {
    case 'schema':
      return acceptSchema(reading, value, depth + 1);
    case 'schemas':
      if (!Array.isArray(value) || value.length === 0) return addFault(reading, 'is not a list of schemas', 'write [schema, …]');
      return value.map((schema, index) => acceptAt(reading, index, schema, depth));
    case 'schemaMap':
    case 'patternMap':
      return acceptMap(reading, value, depth, kind);
    case 'pattern':
      return typeof value === 'string' ? acceptPattern(reading, value) : addFault(reading, 'is not text', 'write a regular expression');
    case 'number':
      return typeof value === 'number' ? value : addFault(reading, 'is not a number', 'write a number');
    case 'count':
      return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
        ? value
        : addFault(reading, 'is not a whole number', 'write 0 or more');
    case 'text':
      return typeof value === 'string' ? value : addFault(reading, 'is not text', 'write text');
    case 'any':
      return value;
    case 'values':
      return Array.isArray(value) && value.length <= parameterSchemaLimits.enumMax
        ? value
        : addFault(reading, `is not a list of at most ${parameterSchemaLimits.enumMax} values`, 'write [a, b]');
    case 'names':
      return isNames(value) ? value : addFault(reading, 'is not a list of names', 'write [name, …]');
    case 'nameMap':
      return isSchemaObject(value) && Object.values(value).every(isNames)
        ? value
        : addFault(reading, 'is not a mapping of lists of names', 'write name: [other, …]');
    case 'type':
      return isType(value)
        ? value
        : addFault(reading, 'is not a type of JSON Schema', `write one of ${types.join(', ')}, or a list of them`);
  }
}

function acceptMap(reading: Reading, value: unknown, depth: number, kind: 'schemaMap' | 'patternMap'): unknown {
  if (!isSchemaObject(value) || Object.keys(value).length > parameterSchemaLimits.propertiesMax) {
    return addFault(reading, `is not a mapping of at most ${parameterSchemaLimits.propertiesMax} schemas`, 'write name: schema lines');
  }
  const names = Object.keys(value);
  return Object.fromEntries(
    names.map((name) => [kind === 'patternMap' ? acceptPatternAt(reading, name) : name, acceptAt(reading, name, value[name], depth)]),
  );
}

function acceptAt(reading: Reading, step: string | number, schema: unknown, depth: number): SchemaObject | boolean {
  reading.path.push(step);
  const accepted = acceptSchema(reading, schema, depth + 1);
  reading.path.pop();
  return accepted;
}

function acceptPatternAt(reading: Reading, pattern: string): string {
  reading.path.push(pattern);
  const accepted = acceptPattern(reading, pattern);
  reading.path.pop();
  return accepted;
}

function acceptPattern(reading: Reading, pattern: string): string {
  const result = boundPattern(pattern);
  if (result.ok) return result.bounded;
  addFault(reading, `the pattern ${result.message}`, result.repair);
  return '';
}

function isType(value: unknown): boolean {
  const known: readonly unknown[] = types;
  return Array.isArray(value) ? value.length > 0 && value.every((type) => known.includes(type)) : known.includes(value);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
