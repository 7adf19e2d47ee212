import { Validator } from '@cfworker/json-schema';
import type { FaultAt, FaultPath } from '../lib/faults.ts';
import type { SeenType } from '../lib/json-scan.ts';
import { suggest } from '../lib/suggest.ts';
import type { CommandManifest } from './manifest.ts';
import { acceptParameterSchema, type SpiffType } from './parameter-schema.ts';
import { followReference } from './schema-references.ts';

/** How the engine's modelers see a parameter. */
export interface ParameterDescription {
  readonly id: string;
  readonly type: SpiffType;
  readonly required: boolean;
}

/** What a command takes, prepared when its manifest is read. */
export interface ParameterCheck {
  /**
   * What is wrong with an input, each text naming its parameter; empty when nothing is. `names` are the input's top-level names, each once,
   * `typeAt` tells the type of each one's value by its index. `parse` gives the input as plain data; it is called at most once, and only when
   * a parameter that is there has a schema that says more than a type, or another type. No text holds a value.
   */
  check(names: readonly string[], typeAt: (index: number) => SeenType, parse: () => unknown): readonly string[];
}

export type CompiledParameters =
  | { readonly ok: true; readonly check: ParameterCheck }
  | { readonly ok: false; readonly faults: readonly FaultAt[] };

/** Characters of a caller's own parameter name that an error repeats. */
const nameCharsMax = 64;
/** Unknown names that one error lists. */
const unknownNamesMax = 20;

type Schema = Readonly<Record<string, unknown>>;

// ---- what modelers see --------------------------------------------------------------------------------------------------------

/** In Spiff's form, in the order of the schema's properties. */
export function describeParameters(command: Pick<CommandManifest, 'parameters'>): readonly ParameterDescription[] {
  const required = new Set(asList(command.parameters['required']));
  return Object.entries(asSchema(command.parameters['properties'])).map(([id, property]) => {
    const follow = (written: unknown): Schema => followReference(command.parameters, asSchema(written));
    const schema = follow(property);
    const shown = schema['x-spiff-required'];
    return { id, type: spiffType(schema, follow), required: typeof shown === 'boolean' ? shown : required.has(id) };
  });
}

function spiffType(schema: Schema, follow: (written: unknown) => Schema): SpiffType {
  const shown = schema['x-spiff-type'];
  if (shown !== undefined) return shown as SpiffType;
  const { type, anyOf, oneOf } = schema as { readonly [keyword: string]: unknown };
  const named = Array.isArray(type) ? type : type === undefined ? asList(anyOf ?? oneOf).map((option) => follow(option)['type']) : [type];
  const [only, ...others] = named.filter((name) => name !== 'null');
  if (others.length > 0) return 'any';
  return only === 'string' ? 'str' : only === 'integer' ? 'int' : only === 'boolean' ? 'bool' : 'any';
}

// ---- what callers may send ----------------------------------------------------------------------------------------------------

/** Faults are of the schema; paths begin with `path`. */
export function compileParameters(command: Pick<CommandManifest, 'parameters'>, path: FaultPath = []): CompiledParameters {
  const accepted = acceptParameterSchema(command.parameters, path);
  if (!accepted.ok) return accepted;
  const contradictions = requiredUnknown(accepted.checked, path);
  if (contradictions.length > 0) return { ok: false, faults: contradictions };
  return { ok: true, check: checkOf(accepted.checked) };
}

/** A required name that is refused as unknown would refuse every input. */
function requiredUnknown({ properties, patternProperties, additionalProperties, required }: Schema, path: FaultPath): readonly FaultAt[] {
  if (patternProperties !== undefined || (additionalProperties !== undefined && additionalProperties !== false)) return [];
  return asList(required).flatMap((name, index) =>
    Object.hasOwn(asSchema(properties), String(name))
      ? []
      : [{ path: [...path, 'required', index], message: 'is no parameter', repair: 'describe it under properties, or remove it' }],
  );
}

/** Of one parameter, or one kind of them. */
interface ValueRule {
  /** Every value of these types is right: a large one need not be parsed to know that. */
  readonly types: readonly SeenType[];
  check(value: unknown, name: string): string | undefined;
}

interface KnownParameter {
  readonly name: string;
  readonly rule: ValueRule | undefined;
}

interface Rules {
  readonly known: readonly KnownParameter[];
  readonly knownNamed: (name: string) => KnownParameter | undefined;
  readonly patterns: readonly { readonly pattern: RegExp; readonly rule: ValueRule | undefined }[];
  /** For every other name; `refused` when there may be none. */
  readonly rest: ValueRule | undefined | 'refused';
  readonly required: readonly string[];
  /** Conditions between parameters. */
  readonly whole: Validator | undefined;
}

/** Its rules are made for the first input: most of the commands of a large catalog are not run, and rules are several times their schema. */
function checkOf(schema: Schema): ParameterCheck {
  let rules: Rules | undefined;
  return {
    check(names, typeAt, parse) {
      rules ??= rulesOf(schema);
      const faults: string[] = [];
      const pending = checkNames(rules, { names, typeAt }, faults);
      if (faults.length > 0 || (pending.length === 0 && rules.whole === undefined)) return faults;
      return checkValues(rules, pending, parse());
    },
  };
}

function rulesOf(schema: Schema): Rules {
  const { properties, patternProperties, additionalProperties, required, type: _type, ...between } = schema;
  const known = Object.entries(asSchema(properties)).map(([name, property]) => ({ name, rule: valueRule(property) }));
  return {
    known,
    knownNamed: finderOf(known),
    patterns: Object.entries(asSchema(patternProperties)).map(([pattern, property]) => ({
      pattern: new RegExp(pattern, 'u'),
      rule: valueRule(property),
    })),
    rest: additionalProperties === undefined || additionalProperties === false ? 'refused' : valueRule(additionalProperties),
    required: [...new Set(asList(required) as readonly string[])],
    whole: Object.keys(between).length > 0 ? new Validator(schema as object) : undefined,
  };
}

/** Up to so many names are compared one by one: to look a new text up in a map or set takes as long as ten comparisons. */
const comparedNamesMax = 8;

function finderOf(known: readonly KnownParameter[]): Rules['knownNamed'] {
  if (known.length <= comparedNamesMax) return (wanted) => known.find(({ name }) => name === wanted);
  const byName = new Map(known.map((parameter) => [parameter.name, parameter]));
  return (wanted) => byName.get(wanted);
}

interface Given {
  readonly names: readonly string[];
  readonly typeAt: (index: number) => SeenType;
}

type Pending = { readonly name: string; readonly rule: ValueRule };

/** Faults of names go into `faults`; what is returned needs the values. */
function checkNames(rules: Rules, { names, typeAt }: Given, faults: string[]): readonly Pending[] {
  const pending: Pending[] = [];
  const unknown: string[] = [];
  const add = (name: string, index: number, rule: ValueRule | undefined): void => {
    if (rule !== undefined && !rule.types.includes(typeAt(index))) pending.push({ name, rule });
  };
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string;
    const known = rules.knownNamed(name);
    if (known !== undefined) {
      add(name, index, known.rule);
      continue;
    }
    const matching = rules.patterns.filter(({ pattern }) => pattern.test(name));
    for (const { rule } of matching) add(name, index, rule);
    if (matching.length > 0) continue;
    if (rules.rest === 'refused') unknown.push(name);
    else add(name, index, rules.rest);
  }
  for (const name of absentOf(rules.required, names)) faults.push(`parameter ${quote(name)} is missing`);
  if (unknown.length > 0) faults.push(...unknownFaults(rules, unknown));
  return pending;
}

function unknownFaults({ known }: Rules, unknown: readonly string[]): readonly string[] {
  const names = known.map(({ name }) => name);
  const faults = unknown.slice(0, unknownNamesMax).map((name) => `parameter ${quote(name)} is unknown${hint(name, names)}`);
  return unknown.length > faults.length ? [...faults, `${unknown.length - faults.length} more parameters are unknown`] : faults;
}

/** The required names that are not there. */
function absentOf(required: readonly string[], names: readonly string[]): readonly string[] {
  if (required.length === 0) return [];
  const given = names.length <= comparedNamesMax ? undefined : new Set(names);
  return required.filter((name) => !(given === undefined ? names.includes(name) : given.has(name)));
}

function checkValues({ whole }: Rules, pending: readonly Pending[], input: unknown): readonly string[] {
  const values = asSchema(input);
  const faults: string[] = [];
  for (const { name, rule } of pending) {
    const fault = rule.check(Object.hasOwn(values, name) ? values[name] : undefined, name);
    if (fault !== undefined) faults.push(fault);
  }
  if (faults.length > 0 || whole === undefined) return faults;
  const wrong = failures(whole, input).at(-1);
  return wrong === undefined ? [] : [`the parameters together do not fit the schema of the command: ${reason(wrong)}`];
}

/** Undefined for a schema that takes everything. */
function valueRule(schema: unknown): ValueRule | undefined {
  if (schema === true || (typeof schema === 'object' && schema !== null && Object.keys(schema).length === 0)) return undefined;
  if (schema === false) return { types: [], check: (_, name) => `parameter ${quote(name)} may not be given` };
  const validator = new Validator(schema as object);
  return {
    types: typesOf(schema as Schema),
    check(value, name) {
      const [first] = failures(validator, value);
      if (first === undefined) return undefined;
      const where = first.instanceLocation === '#' ? '' : ` at ${short(first.instanceLocation.slice(1))}`;
      return `parameter ${quote(name)}${where} ${reason(first, schema as Schema)}`;
    },
  };
}

/** Those that a schema takes whatever the value is. */
function typesOf({ type, ...more }: Schema): readonly SeenType[] {
  if (Object.keys(more).length > 0) return [];
  const types = (Array.isArray(type) ? type : [type]) as readonly SeenType[];
  return types.includes('number') ? [...types, 'integer'] : types;
}

// ---- words for what the interpreter found -------------------------------------------------------------------------------------

type Failure = ReturnType<Validator['validate']>['errors'][number];

/** Those at the place itself, most general first; the interpreter's own texts hold values and are not used. */
function failures(validator: Validator, value: unknown): readonly Failure[] {
  try {
    const errors = validator.validate(value).errors;
    return errors
      .filter(({ keyword }) => !wrappers.has(keyword))
      .concat(errors)
      .slice(0, 1);
  } catch (error) {
    // Data that nests deeper than the interpreter can follow.
    if (error instanceof RangeError) return [{ keyword: 'depth', keywordLocation: '#', instanceLocation: '#', error: '' }];
    throw error;
  }
}

/** They say only that something below them is wrong, which is told more exactly there. */
const wrappers: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'additionalProperties',
  'items',
  'prefixItems',
  'allOf',
  '$ref',
  'if',
  'dependentSchemas',
]);

function reason({ keyword, keywordLocation }: Failure, schema?: Schema): string {
  const wanted = schema === undefined ? undefined : at(schema, keywordLocation);
  const amount = typeof wanted === 'number' ? ` ${wanted}` : '';
  switch (keyword) {
    case 'type':
      return `is not of type ${asList(Array.isArray(wanted) ? wanted : [wanted]).join(' or ')}`;
    case 'enum':
    case 'const':
      return 'is not one of the values that the schema lists';
    case 'required':
    case 'dependentRequired':
      return 'lacks a member that the schema requires';
    case 'false':
      return 'has a member that the schema does not know';
    case 'format':
      return `is not a ${typeof wanted === 'string' ? short(wanted) : 'text'} as the schema’s format asks`;
    case 'pattern':
      return 'does not match the schema’s pattern, or is too long for it';
    case 'depth':
      return 'nests too deep to be checked';
    default:
      return `does not meet "${keyword}"${amount} of the schema`;
  }
}

/** The value at a JSON pointer that the interpreter made from this very schema. */
function at(schema: Schema, pointer: string): unknown {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~'));
  return steps.reduce<unknown>((node, step) => (typeof node === 'object' && node !== null ? (node as Schema)[step] : undefined), schema);
}

function hint(name: string, known: readonly string[]): string {
  const meant = suggest(name, known);
  return meant === undefined ? '' : `; did you mean ${quote(meant)}?`;
}

function quote(name: string): string {
  return JSON.stringify(short(name));
}

function short(text: string): string {
  return text.length > nameCharsMax ? `${text.slice(0, nameCharsMax)}…` : text;
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
