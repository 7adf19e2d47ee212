/**
 * Copies each SDK into the connectors that use it: a connector's folder is complete by itself, since it is mounted or built alone.
 * A connector takes part by having a file of the SDK's name. `--check` copies nothing and exits 1 when a copy is not current.
 */
import { copyFileSync, existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sdk = `${root}connector-images/sdk`;

/** Paths of copies that differ from their source. */
export function staleCopies(): readonly { readonly source: string; readonly copy: string }[] {
  const folders = globSync(['connector-images/*', 'examples/*/connectors/*'], { cwd: root }).map((folder) => `${root}${folder}`);
  return readdirSync(sdk)
    .filter((file) => !file.includes('.test.'))
    .flatMap((file) =>
      folders
        .filter((folder) => folder !== sdk && existsSync(`${folder}/${file}`))
        .map((folder) => ({ source: `${sdk}/${file}`, copy: `${folder}/${file}` })),
    )
    .filter(({ source, copy }) => !readFileSync(source).equals(readFileSync(copy)));
}

if (import.meta.main) {
  const stale = staleCopies();
  const check = process.argv.includes('--check');
  for (const { source, copy } of stale) {
    if (!check) copyFileSync(source, copy);
    console.log(`${check ? 'not current' : 'copied'}: ${copy}`);
  }
  if (check && stale.length > 0) process.exitCode = 1;
}
