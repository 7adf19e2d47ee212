import type { Document } from 'yaml';
import { fullYaml } from '../lib/full-yaml.ts';
import type { AuthManifest, CommandManifest } from '../manifest/manifest.ts';

/** What the packages have, as their host prints it. */
export interface Discovery {
  readonly commands: readonly Declaration[];
  readonly auths: readonly Declaration[];
}

type Declaration = Pick<AuthManifest, 'name' | 'parameters'> & Partial<Pick<CommandManifest, 'description' | 'context'>>;
type Written = Readonly<Record<string, unknown>>;

/** Columns of a line that is broken nowhere. */
const lineWidth = 0;

/** The text without what discovery writes, so that the rest of it can be checked; undefined when it is no mapping. */
export function undiscoveredText(text: string): string | undefined {
  const { isMap, parseDocument } = fullYaml();
  const document = parseDocument(text);
  if (document.errors.length > 0 || !isMap(document.contents)) return undefined;
  document.delete('auths');
  document.set('commands', document.createNode([{ name: 'none' }]));
  return document.toString({ lineWidth });
}

/**
 * The manifest's text with the commands and auths that were found. Its other keys stay as they are, comments included; of a command that
 * was there before, so do its description, its context, and what its author says of a parameter beside type and need.
 */
export function discoveredText(text: string, { commands, auths }: Discovery): string {
  const document = fullYaml().parseDocument(text);
  const old = document.toJS() as Written;
  place(document, 'commands', commands, old);
  if (auths.length > 0 || old['auths'] !== undefined) place(document, 'auths', auths, old);
  return document.toString({ lineWidth });
}

/** Names that are in one list and not in the other. */
export function namesBeyond(one: readonly string[], other: readonly string[]): readonly string[] {
  return [...new Set(one).difference(new Set(other))];
}

export function namesIn(text: string, key: 'commands' | 'auths'): readonly string[] {
  const value: unknown = fullYaml().parseDocument(text).toJS();
  return listOf(mappingOf(value)[key]).flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
}

function place(document: Document, key: 'commands' | 'auths', found: readonly Declaration[], old: Written): void {
  const before = new Map(listOf(old[key]).map((one) => [one['name'], one]));
  const node = document.createNode(found.map((one) => merged(one, before.get(one.name) ?? {})));
  // A mapping of plain values, such as a parameter, takes one line.
  const { isScalar, visit } = fullYaml();
  visit(node, {
    Map: (_, map) => {
      map.flow = map.items.every(({ value }) => isScalar(value));
    },
    Seq: (_, list) => {
      list.flow = list.items.every(isScalar);
    },
  });
  document.set(key, node);
}

function merged({ name, description, parameters, context }: Declaration, old: Written): Written {
  const said = old['description'] || description;
  const asked = old['context'] ?? context;
  return {
    name,
    ...(said === undefined || said === '' ? {} : { description: said }),
    parameters: mergedParameters(parameters, mappingOf(old['parameters'])),
    ...(asked === undefined ? {} : { context: asked }),
  };
}

function mergedParameters(found: Written, old: Written): Written {
  const before = mappingOf(old['properties']);
  const properties = Object.entries(mappingOf(found['properties'])).map(([name, property]) => [
    name,
    { ...mappingOf(before[name]), ...mappingOf(property) },
  ]);
  return { ...found, properties: Object.fromEntries(properties) };
}

function mappingOf(value: unknown): Written {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Written) : {};
}

function listOf(value: unknown): readonly Written[] {
  return Array.isArray(value) ? value.map(mappingOf) : [];
}
