/**
 * Copies each SDK into the connectors that use it: a connector's folder is complete by itself, since it is mounted or built alone.
 * A connector takes part by having a file of the SDK's name. `--check` copies nothing and exits 1 when a copy is not current.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const images = fileURLToPath(new URL('../connector-images/', import.meta.url));

/** Paths of copies that differ from their source. */
export function staleCopies(): readonly { readonly source: string; readonly copy: string }[] {
  return readdirSync(`${images}sdk`)
    .filter((file) => !file.includes('.test.'))
    .flatMap((file) =>
      readdirSync(images)
        .filter((connector) => connector !== 'sdk' && existsSync(`${images}${connector}/${file}`))
        .map((connector) => ({ source: `${images}sdk/${file}`, copy: `${images}${connector}/${file}` })),
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
