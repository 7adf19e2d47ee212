import type { JsonText } from './bulkhead.ts';
import { RequestError } from './errors.ts';
import { isFalsy, kindOf, pythonText } from './params.ts';

/** Checked names and values in the order given. */
export type HeaderList = readonly (readonly [name: string, value: string])[];
/** The same, with null for a header that is not to be sent, whoever would set it. */
export type GivenHeaders = readonly (readonly [name: string, value: string | null])[];

/** The caller's `headers`, by the rules of requests: anything but text and null is refused. */
export function headersOf(headers: JsonText | undefined): GivenHeaders {
  if (headers === undefined || isFalsy(headers)) return [];
  if (kindOf(headers) !== 'dict') throw new RequestError('AttributeError', `'${kindOf(headers)}' object has no attribute 'items'`);
  const given = headers.entries().map(([name, value]) => [JSON.parse(name) as string, value] as const);
  return given.map(([name, value]) => (kindOf(value) === 'NoneType' ? [name, null] : [checkedName(name), checkedValue(name, value)]));
}

const reserved = 'Invalid leading whitespace, reserved character(s), or return character(s) in header';

function checkedName(name: string): string {
  // What Node will not write is refused too: a name that is no token would break the request apart.
  if (!/^[^:\s][^:\r\n]*$/.test(name) || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
    throw new RequestError('InvalidHeader', `${reserved} name: '${name}'`);
  return name;
}

function checkedValue(name: string, value: JsonText): string {
  const kind = kindOf(value);
  if (kind !== 'str') {
    const shown = `(${pythonText(value)}) from ('${name}', ${pythonText(value)})`;
    throw new RequestError('InvalidHeader', `Header part ${shown} must be of type str or bytes, not <class '${kind}'>`);
  }
  const text = value.parse() as string;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no header can carry these
  if (!/^(?:\S[^\r\n]*)?$/.test(text) || /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text))
    throw new RequestError('InvalidHeader', `${reserved} value: '${text}'`);
  return text;
}

/** Case-insensitive names; a name set again keeps its place. */
export class Headers {
  readonly #entries = new Map<string, readonly [string, string]>();

  constructor(initial: HeaderList) {
    this.merge(initial);
  }

  merge(list: GivenHeaders): void {
    for (const [name, value] of list) {
      if (value === null) this.delete(name.toLowerCase());
      else this.set(name, value);
    }
  }

  set(name: string, value: string): void {
    this.#entries.set(name.toLowerCase(), [name, value]);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  list(): HeaderList {
    return [...this.#entries.values()];
  }
}
