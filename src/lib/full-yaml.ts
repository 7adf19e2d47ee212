import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

/** The parser of all of YAML: seventy files, which a start does not wait for when its YAML is plain and without faults. */
export function fullYaml(): typeof import('yaml') {
  return load('yaml') as typeof import('yaml');
}
