import { randomUUID } from 'node:crypto';
import { lstat, readdir, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { checkPackages } from '../catalog/check-packages.ts';
import { manifestFileName } from '../catalog/load-catalog.ts';
import { ProxyError } from '../errors.ts';
import { type Fault, faultText } from '../lib/faults.ts';
import { lineNotUtf8 } from '../lib/utf8.ts';
import { type Manifest, manifestLimits } from '../manifest/manifest.ts';
import { readManifest } from '../manifest/read-manifest.ts';
import { askSpiffHost } from './ask-spiff-host.ts';
import type { CliContext } from './context.ts';
import { type Discovery, discoveredText, namesBeyond, namesIn, undiscoveredText } from './discovered-manifest.ts';
import { UsageError } from './io.ts';
import { createTerminal } from './terminal.ts';

interface DiscoverOptions {
  readonly write?: boolean;
}

/** `bulkhead discover FOLDER`: what the Spiff packages in a folder have, as the connector.yaml that the catalog needs. */
export function addDiscover(program: Command, context: CliContext): void {
  program
    .command('discover')
    .description('list what the Spiff packages in a connector’s folder have, as its connector.yaml')
    .argument('<folder>', 'the connector’s folder, with its packages (connector_*)')
    .option('--write', 'write connector.yaml, keeping what else is in it, instead of printing it')
    .action((folder: string, options: DiscoverOptions) => discover(folder, options, context));
}

async function discover(path: string, { write }: DiscoverOptions, context: CliContext): Promise<void> {
  const { terminal, io } = context;
  const folder = await realpath(resolve(io.cwd, path)).catch(() => {
    throw new UsageError(`there is no folder ${path}`);
  });
  const file = join(folder, manifestFileName);
  const text = (await readWritten(file)) ?? (await draft(folder));
  const manifest = checkedManifest(text, file);
  const { discovery, notes } = await askHost(manifest, folder);
  const errors = createTerminal(io, io.stderr);
  for (const note of notes) errors.line(note);
  if (discovery.commands.length === 0)
    throw new ProxyError('invalid_config', `the packages of ${file} have no command: no class in a module of their \`commands\``);
  const result = discoveredText(text, discovery);
  accept(readManifest({ text: result, file }));
  if (!write) return terminal.line(result.trimEnd());
  await replace(file, result);
  terminal.line(`${file}: ${summary(text, result)}`);
}

async function readWritten(file: string): Promise<string | undefined> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats === undefined) return undefined;
  if (!stats.isFile()) throw new UsageError(`${file} is no file; a manifest may not lead elsewhere`);
  if (stats.size > manifestLimits.fileBytesMax) throw new UsageError(`${file} has more than ${manifestLimits.fileBytesMax} bytes`);
  const bytes = await readFile(file);
  const line = lineNotUtf8(bytes);
  if (line !== undefined) throw new UsageError(`${file} is not UTF-8 in line ${line}; save it in the encoding UTF-8`);
  return bytes.toString();
}

/** For a folder that holds packages and no manifest yet. */
async function draft(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  const packages = entries.filter((entry) => entry.isDirectory() && entry.name.startsWith('connector_')).map((entry) => entry.name);
  const [first] = packages.toSorted();
  if (first === undefined) throw new UsageError(`${folder} has neither ${manifestFileName} nor a package (a folder connector_*)`);
  const name = packages.length === 1 ? first.slice('connector_'.length) : basename(folder);
  const folders = packages.toSorted().map((one) => `./${one}`);
  return `name: ${name}\nversion: 1.0.0\nprotocol: spiff-python\nrun:\n  packages: [${folders.join(', ')}]\n`;
}

/** All of it but commands and auths, which are not known yet. */
function checkedManifest(text: string, file: string): Manifest {
  const manifest = accept(readManifest({ text: undiscoveredText(text) ?? text, file }));
  if (manifest.protocol === 'spiff-python' && manifest.run?.packages !== undefined) return manifest;
  throw new UsageError(`${file} is not one of protocol: spiff-python with run.packages; other connectors say their commands themselves`);
}

function accept(result: ReturnType<typeof readManifest>): Manifest {
  if (result.ok) return result.manifest;
  throw new ProxyError('invalid_config', `the manifest has faults:\n${result.faults.map((fault: Fault) => faultText(fault)).join('\n')}`);
}

async function askHost(manifest: Manifest, folder: string): Promise<{ readonly discovery: Discovery; readonly notes: readonly string[] }> {
  await checkPackages(manifest.name, folder, manifest.run?.packages);
  const { stdout, notes } = await askSpiffHost({ manifest, folder, question: ['--manifest', manifest.name] });
  try {
    return { discovery: JSON.parse(stdout) as Discovery, notes };
  } catch (cause) {
    throw new ProxyError('connector_start_failed', `the host of connector ${manifest.name} printed no manifest`, { cause });
  }
}

/** Whole or not at all, and never through a link. */
async function replace(file: string, text: string): Promise<void> {
  const fresh = `${file}.${randomUUID()}`;
  await writeFile(fresh, text, { flag: 'wx' });
  await rename(fresh, file);
}

function summary(before: string, after: string): string {
  const [was, is] = [namesIn(before, 'commands'), namesIn(after, 'commands')];
  const change = (word: string, names: readonly string[]): string => (names.length === 0 ? '' : `; ${word}: ${names.join(', ')}`);
  const counts = `${is.length} commands, ${namesIn(after, 'auths').length} auths`;
  return `${counts}${was.length === 0 ? '' : change('new', namesBeyond(is, was))}${change('gone', namesBeyond(was, is))}`;
}
