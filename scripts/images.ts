/**
 * Builds an image of every connector in connector-images/ (npm run images), or of those named: node scripts/images.ts example http.
 * A name with a slash is a folder anywhere: node scripts/images.ts ./my-connector.
 * The manifest goes into the label dev.bulkhead.connector as JSON, which a Dockerfile cannot do by itself: it cannot read a YAML file.
 *
 *   --base-node IMAGE --base-python IMAGE --base-shell IMAGE   instead of the public bases that the Dockerfiles name
 *   --build-arg NAME=VALUE   for the Dockerfile; may be repeated
 *   --docker PROGRAM   default: docker (podman works too)
 *   --network NAME     of the build, where the engine's default network is not to be used
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { readManifest } from '../src/manifest/read-manifest.ts';

const images = fileURLToPath(new URL('../connector-images/', import.meta.url));
const languages = ['node', 'python', 'shell'] as const;

export interface BuildOptions {
  /** A folder in connector-images/, or a path with a slash. */
  readonly connector: string;
  readonly network?: string;
  /** `NAME=VALUE` */
  readonly buildArgs?: readonly string[];
  readonly bases: Readonly<Partial<Record<(typeof languages)[number], string>>>;
}

/** The arguments of one build; pure but for reading the connector's folder. Throws when the manifest has faults. */
export function buildArguments({ connector, bases, network, buildArgs = [] }: BuildOptions): readonly string[] {
  const folder = connector.includes('/') ? resolve(connector) : `${images}${connector}`;
  const base = bases[languageOf(folder)];
  const { version, label } = manifestOf(folder);
  return [
    'build',
    ...(base === undefined ? [] : ['--build-arg', `BASE=${base}`]),
    ...buildArgs.flatMap((given) => ['--build-arg', given]),
    ...(network === undefined ? [] : ['--network', network]),
    ...(label === undefined ? [] : ['--label', `dev.bulkhead.connector=${label}`]),
    '--tag',
    `bulkhead/${basename(folder)}:${version}`,
    folder,
  ];
}

/** spiff-python has no manifest before somebody's packages are in it: it prints one then, by --manifest. */
function manifestOf(folder: string): { readonly version: string; readonly label?: string } {
  const file = `${folder}/connector.yaml`;
  if (!existsSync(file)) return { version: '1.0.0' };
  const text = readFileSync(file, 'utf8');
  const result = readManifest({ file, text });
  if (!result.ok) throw new Error(result.faults.map((fault) => JSON.stringify(fault)).join('\n'));
  return { version: result.manifest.version, label: JSON.stringify(parse(text)) };
}

function languageOf(folder: string): (typeof languages)[number] {
  const files = readdirSync(folder);
  if (files.includes('package.json')) return 'node';
  return files.some((file) => file.endsWith('.py')) ? 'python' : 'shell';
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      docker: { type: 'string' },
      network: { type: 'string' },
      'build-arg': { type: 'string', multiple: true },
      ...Object.fromEntries(languages.map((language) => [`base-${language}`, { type: 'string' as const }])),
    },
  });
  const { 'build-arg': buildArgs = [] } = values as { readonly 'build-arg'?: readonly string[] };
  const given = values as Readonly<Record<string, string | undefined>>;
  const bases = Object.fromEntries(
    languages.flatMap((language) => (given[`base-${language}`] ? [[language, given[`base-${language}`]]] : [])),
  );
  const { network } = given;
  const all = readdirSync(images).filter((name) => existsSync(`${images}${name}/Dockerfile`));
  for (const connector of positionals.length > 0 ? positionals : all) {
    console.log(`building bulkhead/${connector}`);
    const { status } = spawnSync(
      given['docker'] ?? 'docker',
      buildArguments({ connector, bases, buildArgs, ...(network === undefined ? {} : { network }) }),
      { stdio: 'inherit' },
    );
    if (status !== 0) process.exitCode = 1;
  }
}

if (import.meta.main) main();
