/**
 * Schemas of what people write by hand. A message is `what is wrong` and, after a line break, `the repair`; the place is added by
 * whoever knows the file. No message holds the value that was found: it may be a secret in the wrong place.
 */
import * as v from 'valibot';
import type { FaultAt } from './faults.ts';
import { suggest } from './suggest.ts';
import { durationPattern, formatDuration, formatSize, parseDuration, parseSize, sizePattern } from './units.ts';

export function told(message: string, repair: string): string {
  return `${message}\n${repair}`;
}

/** An object of these keys only. Every unknown key is told, where valibot's strictObject stops at the first; the type is the same. */
export function closed<const E extends v.ObjectEntries>(
  entries: E,
  message = told('is not a mapping', 'write key: value lines'),
): v.StrictObjectSchema<E, string> {
  const unknownKey = v.never(told('is not known here', Object.keys(entries).join(' ')));
  const schema = v.objectWithRest(entries, unknownKey, message);
  return mappingOnly(refusing(schema, unknownKey)) as unknown as v.StrictObjectSchema<E, string>;
}

/** A mapping of anything, under any names: it is handed on as it is. */
export function anyMapping(repair = 'write key: value lines') {
  const schema = v.record(v.string(), v.unknown(), told('is not a mapping', repair));
  const run: (typeof schema)['~run'] = (dataset, config) =>
    isObject(dataset.value) ? { typed: true, value: dataset.value } : schema['~run'](dataset, config);
  return mappingOnly({ ...schema, '~run': run });
}

/** valibot takes a list for an object; here it is the fault that it is in a file. */
function mappingOnly<const S extends v.GenericSchema>(schema: S): S {
  const run: S['~run'] = (dataset, config) => schema['~run'](Array.isArray(dataset.value) ? { value: null } : dataset, config);
  return { ...schema, '~run': run };
}

/** Names that valibot passes over in a mapping, as if they were not there. */
const passedOver = ['constructor', 'prototype', '__proto__'] as const;

/** Tells each name that would vanish without a word, as `fault`. */
function refusing<const S extends v.GenericSchema>(schema: S, fault: v.NeverSchema<string> | v.StringSchema<string>): S {
  const run: S['~run'] = (dataset, config) => {
    const { value } = dataset;
    const result = schema['~run'](dataset, config);
    if (!isObject(value)) return result;
    for (const key of passedOver) {
      if (!Object.hasOwn(value, key)) continue;
      v._addIssue(fault, 'key', result, config, {
        input: value[key],
        path: [{ type: 'object', origin: 'key', input: value, key, value: value[key] }],
      });
    }
    return result;
  };
  return { ...schema, '~run': run };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function text(charsMax: number, charsMin = 1) {
  return v.pipe(
    v.string(told('is not text', 'write text, in quotes if it looks like a number or a word such as true')),
    v.minLength(charsMin, told('is empty', 'write something, or remove the key')),
    v.maxLength(charsMax, told(`is longer than ${charsMax} characters`, 'shorten it')),
  );
}

export function list<const S extends v.GenericSchema>(item: S, lengthMax: number) {
  return v.pipe(
    v.array(item, told('is not a list', 'write [a, b] or lines that begin with "- "')),
    v.maxLength(lengthMax, told(`has more than ${lengthMax} entries`, 'remove some')),
  );
}

const unusableName = v.string(told('cannot be used as a name here', 'choose another'));

export function mapOf<const K extends v.GenericSchema<string, string>, const S extends v.GenericSchema>(
  key: K,
  value: S,
  entriesMax: number,
) {
  const schema = v.record(key, value, told('is not a mapping', 'write key: value lines'));
  return v.pipe(
    mappingOnly(refusing(schema, unusableName)),
    v.maxEntries(entriesMax, told(`has more than ${entriesMax} entries`, 'remove some')),
  );
}

/** As `v.optional(schema, {})`, but what that comes to is found once: of hundreds of connectors nearly all leave it out, and share it. */
export function orDefaults<const S extends v.GenericSchema>(schema: S) {
  const nothing = {} as v.InferInput<S>;
  const defaults = v.parse(schema, nothing);
  const run: S['~run'] = (dataset, config) =>
    dataset.value === nothing ? { typed: true, value: defaults } : schema['~run'](dataset, config);
  return v.optional({ ...schema, '~run': run }, nothing);
}

export function flag() {
  return v.boolean(told('is not true or false', 'write true or false'));
}

export function count(min: number, max: number) {
  const message = told(`is not a whole number from ${min} to ${max}`, `write a number from ${min} to ${max}`);
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

export function choice<const O extends readonly string[]>(options: O) {
  return v.picklist(options, told(`is not one of ${options.join(', ')}`, `write ${options.join(' or ')}`));
}

/** Reads `40s` as 40000 milliseconds. */
export function duration(min: string, max: string) {
  return unit({
    noun: 'duration',
    pattern: durationPattern,
    parse: parseDuration,
    format: formatDuration,
    examples: ['500ms', '40s', '5m'],
    min,
    max,
  });
}

/** Reads `256MiB` as bytes. */
export function size(min: string, max: string) {
  return unit({ noun: 'size', pattern: sizePattern, parse: parseSize, format: formatSize, examples: ['64kB', '256MiB', '1GiB'], min, max });
}

interface Unit {
  readonly noun: string;
  readonly pattern: RegExp;
  readonly parse: (text: string) => number | undefined;
  readonly format: (value: number) => string;
  readonly examples: readonly string[];
  readonly min: string;
  readonly max: string;
}

function unit({ noun, pattern, parse, format, examples, min, max }: Unit) {
  const [lowest = 0, highest = 0] = [parse(min), parse(max)];
  const shape = told(`is not a ${noun}`, `write a number and its unit, e.g. ${examples.join(', ')}`);
  const bounds = told(
    `is not from ${format(lowest)} to ${format(highest)}`,
    `write a ${noun} from ${format(lowest)} to ${format(highest)}`,
  );
  return v.pipe(
    v.string(shape),
    v.regex(pattern, shape),
    v.transform((written) => parse(written) ?? Number.NaN),
    v.check((value) => value >= lowest && value <= highest, bounds),
  );
}

export type Checked<S extends v.GenericSchema> =
  | { readonly ok: true; readonly value: v.InferOutput<S> }
  | { readonly ok: false; readonly faults: readonly FaultAt[] };

/** All faults at once, by path. */
export function checkWritten<const S extends v.GenericSchema>(schema: S, value: unknown): Checked<S> {
  const result = v.safeParse(schema, value, { message: ({ expected }) => told(`is not ${expected ?? 'right'}`, 'correct it') });
  if (result.success) return { ok: true, value: result.output };
  return { ok: false, faults: result.issues.map(toFault) };
}

function toFault(issue: v.BaseIssue<unknown>): FaultAt {
  const path = (issue.path ?? []).map(({ key }) => key as string | number);
  const [message = '', repair = ''] = issue.message.split('\n');
  const item = issue.path?.at(-1);
  if (issue.type === 'never') return { path, key: true, ...unknownKey(path, repair.split(' ')) };
  if (item !== undefined && 'origin' in item && item.origin === 'key') {
    if (issue.input === undefined) return { path, message: 'is missing', repair: `add ${String(item.key)}` };
    return { path, key: true, message, repair };
  }
  return { path, message, repair };
}

function unknownKey(path: readonly (string | number)[], known: readonly string[]): { readonly message: string; readonly repair: string } {
  const meant = suggest(String(path.at(-1)), known);
  const list = known.join(', ');
  return {
    message: 'is not known here',
    repair: meant === undefined ? `remove it; known here: ${list}` : `did you mean ${meant}? Known here: ${list}`,
  };
}
