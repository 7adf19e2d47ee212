import { readFileSync } from 'node:fs';

/** The version of this package, from the one place that holds it. */
export function readVersion(): string {
  const packageJson: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (packageJson as { version: string }).version;
}
