/** `node scripts/generate.ts` writes the files that come from the sources; `--check` names those that are not current and exits 1. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cliPage } from './generate/cli-page.ts';
import { errorsPage } from './generate/errors-page.ts';
import type { GeneratedBytes, GeneratedFile } from './generate/generated-file.ts';
import { jsonMachine } from './generate/json-machine.ts';
import { protocolPage } from './generate/protocol-page.ts';
import { protocolSchema } from './generate/protocol-schema.ts';
import { configPage, manifestPage } from './generate/written-pages.ts';
import { configSchema, manifestSchema } from './generate/written-schema.ts';

const root = join(import.meta.dirname, '..');

/** Add a generator here. Each gives one file and reads nothing but the sources. */
const generators: readonly (() => GeneratedFile | Promise<GeneratedFile | GeneratedBytes>)[] = [
  cliPage,
  errorsPage,
  protocolPage,
  protocolSchema,
  configSchema,
  configPage,
  manifestSchema,
  manifestPage,
  jsonMachine,
];

async function isCurrent({ path, content }: GeneratedFile | GeneratedBytes): Promise<boolean> {
  const present = await readFile(join(root, path)).catch(() => undefined);
  return present?.equals(Buffer.from(content)) === true;
}

async function write({ path, content }: GeneratedFile | GeneratedBytes): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

for (const generate of generators) {
  const file = await generate();
  if (await isCurrent(file)) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file.path} is not current: run npm run generate and commit it.`);
    process.exitCode = 1;
  } else {
    await write(file);
    console.info(`wrote ${file.path}`);
  }
}
