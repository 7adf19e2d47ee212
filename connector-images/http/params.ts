import type { JsonText } from './bulkhead.ts';
import { RequestError } from './errors.ts';
import { quotePlus } from './url.ts';

/** The `params` argument of requests, from the caller's own text, as a query string: null is left out, lists repeat their name. */
export function queryOf(params: JsonText | undefined): string {
  const kind = kindOf(params);
  if (params === undefined || isFalsy(params)) return '';
  if (kind === 'str') return params.parse() as string;
  if (kind === 'list') return pairs(params.items().map(pairOf));
  if (kind === 'dict') return pairs(params.entries().map(([name, value]) => [JSON.parse(name) as string, value] as const));
  throw new RequestError('TypeError', 'Cannot mix str and non-str arguments');
}

function pairOf(item: JsonText): readonly [string, JsonText] {
  const [name, value, ...rest] = item.items();
  if (name === undefined || value === undefined || rest.length > 0) {
    throw new RequestError('TypeError', `cannot unpack non-iterable ${kindOf(item)} object`);
  }
  return [pythonText(name), value];
}

function pairs(entries: readonly (readonly [string, JsonText])[]): string {
  return entries.flatMap(([name, value]) => valuesOf(value).map((one) => `${quotePlus(name)}=${quotePlus(one)}`)).join('&');
}

function valuesOf(value: JsonText): readonly string[] {
  const kind = kindOf(value);
  if (kind === 'NoneType') return [];
  // Iterating over a dict gives its names.
  if (kind === 'dict') return value.entries().map(([name]) => JSON.parse(name) as string);
  return kind === 'list'
    ? value
        .items()
        .filter((item) => kindOf(item) !== 'NoneType')
        .map(pythonText)
    : [pythonText(value)];
}

export type PythonKind = 'str' | 'int' | 'float' | 'bool' | 'NoneType' | 'list' | 'dict';

/** What Python would read the value as. */
export function kindOf(value: JsonText | undefined): PythonKind {
  const source = value?.source ?? 'null';
  if (source[0] === '"') return 'str';
  if (source[0] === '{') return 'dict';
  if (source[0] === '[') return 'list';
  if (source === 'null') return 'NoneType';
  if (source === 'true' || source === 'false') return 'bool';
  return /[.eE]/.test(source) ? 'float' : 'int';
}

/** Python's `str(value)`, numbers as the caller wrote them. */
export function pythonText(value: JsonText | undefined): string {
  const kind = kindOf(value);
  if (value === undefined || kind === 'NoneType') return 'None';
  if (kind === 'str') return value.parse() as string;
  if (kind === 'bool') return value.source === 'true' ? 'True' : 'False';
  return value.source;
}

/** What Python takes for false. */
export function isFalsy(value: JsonText | undefined): boolean {
  const source = (value?.source ?? 'null').replace(/\s/g, '');
  return ['null', 'false', '""', '[]', '{}'].includes(source) || (/^-?[0-9]/.test(source) && Number(source) === 0);
}
