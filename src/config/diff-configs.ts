import { isDeepStrictEqual } from 'node:util';

/** What a reload does to each connector. */
export interface ConfigDiff<N extends string> {
  readonly added: readonly N[];
  readonly removed: readonly N[];
  readonly changed: readonly N[];
  readonly unchanged: readonly N[];
}

/**
 * Compares by value: two reads of the same files are equal. Works on connectors of a config as well as of a catalog, whose entries hold
 * the manifest too.
 */
export function diffConfigs<N extends string, T>(before: ReadonlyMap<N, T>, after: ReadonlyMap<N, T>): ConfigDiff<N> {
  const both = [...after.keys()].filter((name) => before.has(name));
  const unchanged = both.filter((name) => isDeepStrictEqual(before.get(name), after.get(name)));
  return {
    added: [...after.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: both.filter((name) => !unchanged.includes(name)),
    unchanged,
  };
}
