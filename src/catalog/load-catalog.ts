import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config, ConnectorConfig } from '../config/config.ts';
import { ProxyError } from '../errors.ts';
import { type Fault, faultText } from '../lib/faults.ts';
import { lineNotUtf8 } from '../lib/utf8.ts';
import { type Manifest, manifestLabel, manifestLimits } from '../manifest/manifest.ts';
import { readManifest } from '../manifest/read-manifest.ts';
import { type Catalog, type CatalogEntry, createCatalog } from './catalog.ts';
import { checkPackages } from './check-packages.ts';

export const manifestFileName = 'connector.yaml';

/** Faults of one manifest that its reason names; `check` shows all. */
const faultsShownMax = 5;

export interface LoadCatalogOptions {
  /** The manifest's text out of the image's label, by inspecting the image. Without it, images are unavailable. */
  readonly readImageManifest?: (image: string, engine: string | undefined, signal: AbortSignal | undefined) => Promise<string>;
  readonly signal?: AbortSignal;
}

/** How long manifests are read without a turn for others: at a reload, calls wait no longer. */
const turnMs = 5;

/** Reads every manifest. What is wrong with one connector makes that one unavailable, with its reason; others are served. */
export async function loadCatalog(config: Pick<Config, 'connectors'>, options: LoadCatalogOptions = {}): Promise<Catalog> {
  const connectors = [...config.connectors.values()];
  const folders = connectors.filter(({ source }) => source.type === 'folder');
  const images = connectors.filter(({ source }) => source.type === 'image');
  // An engine may take long, which is no reason for others to wait.
  const fromImages = Promise.all(images.map((connector) => loadEntry(connector, options)));
  const entries = (await Promise.all([loadFolders(folders, options), fromImages])).flat();
  options.signal?.throwIfAborted();
  const byName = new Map(entries.map((entry) => [entry.connector.name, entry]));
  return createCatalog(connectors.flatMap(({ name }) => byName.get(name) ?? []));
}

/** One after the other, so that what one leaves behind is gone with the next. */
async function loadFolders(connectors: readonly ConnectorConfig[], options: LoadCatalogOptions): Promise<readonly CatalogEntry[]> {
  const entries: CatalogEntry[] = [];
  let since = performance.now();
  for (const connector of connectors) {
    if (performance.now() - since > turnMs) {
      await nextTurn();
      since = performance.now();
    }
    entries.push(await loadEntry(connector, options));
  }
  return entries;
}

async function loadEntry(config: ConnectorConfig, options: LoadCatalogOptions): Promise<CatalogEntry> {
  try {
    const { folder, file, text } = await readText(config, options);
    const { manifest, checks } = accept(config, file, text);
    if (folder !== undefined) await checkPackages(config.name, folder, manifest.run?.packages);
    return { connector: { state: 'available', name: config.name, config, manifest, ...(folder === undefined ? {} : { folder }) }, checks };
  } catch (error) {
    options.signal?.throwIfAborted();
    const faults = error instanceof BrokenManifest ? error.faults : [];
    const reason = error instanceof BrokenManifest ? broken(config.name, faults) : ProxyError.from(error);
    return { connector: { state: 'unavailable', name: config.name, config, reason, faults }, checks: new Map() };
  }
}

interface ManifestText {
  /** Real path of the connector's folder; undefined for an image. */
  readonly folder?: string;
  readonly file: string;
  readonly text: string;
}

async function readText({ name, source }: ConnectorConfig, { readImageManifest, signal }: LoadCatalogOptions): Promise<ManifestText> {
  switch (source.type) {
    case 'folder':
      return readFolder(name, source.path);
    case 'image':
      if (readImageManifest === undefined)
        throw unavailable(name, 'is an image, and no container engine is used here; run it from a folder, or configure an engine');
      return { file: `${source.image} (label ${manifestLabel})`, text: await readImageManifest(source.image, source.engine, signal) };
  }
}

/** Not by promises: through them and Node’s four threads, these few small steps take ten times as long as they do themselves. */
function readFolder(name: string, path: string): ManifestText {
  const folder = attempt(
    () => realpathSync.native(path),
    (error) => unavailable(name, `has no folder: ${path} is not there; correct connectors.${name}.path`, error),
  );
  const file = join(folder, manifestFileName);
  const real = attempt(
    () => realpathSync.native(file),
    (error) => unavailable(name, `has no manifest: ${file} is not there; write one, or correct connectors.${name}.path`, error),
  );
  // The folder is all that its author controls; a link out of it would read somebody else's file into errors.
  if (!real.startsWith(folder + sep))
    throw unavailable(name, `has a manifest that leads out of its folder: ${file} is a link to elsewhere; make it a file`);
  return { folder, file, text: readBounded(name, real) };
}

/** Opened once and judged by its descriptor, so that nothing can be swapped in between. */
function readBounded(name: string, file: string): string {
  const descriptor = attempt(
    () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW),
    (error) =>
      unavailable(
        name,
        `has a manifest that cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}): ${file}; correct its permissions`,
        error,
      ),
  );
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw unavailable(name, `has a manifest that is no file: ${file}`);
    if (stats.size > manifestLimits.fileBytesMax)
      throw unavailable(name, `has a manifest of more than ${manifestLimits.fileBytesMax} bytes: ${file}; shorten it`);
    const bytes = readFileSync(descriptor);
    const line = lineNotUtf8(bytes);
    if (line !== undefined)
      throw unavailable(name, `has a manifest that is not UTF-8 in line ${line}: ${file}; save it in the encoding UTF-8`);
    return bytes.toString();
  } finally {
    closeSync(descriptor);
  }
}

function attempt<T>(act: () => T, faultOf: (error: unknown) => ProxyError): T {
  try {
    return act();
  } catch (error) {
    throw faultOf(error);
  }
}

function accept(
  config: ConnectorConfig,
  file: string,
  text: string,
): { readonly manifest: Manifest; readonly checks: CatalogEntry['checks'] } {
  const result = readManifest({ text, file });
  if (!result.ok) throw new BrokenManifest(result.faults);
  const { manifest, checks } = result;
  if (manifest.name !== config.name)
    throw unavailable(
      config.name,
      `is named ${manifest.name} in its manifest ${file}; use that name under connectors, or correct the manifest`,
    );
  if (config.source.type === 'folder' && manifest.run === undefined)
    throw unavailable(
      config.name,
      `cannot be started from a folder: its manifest ${file} has no run; add run: { command: [program, argument] }`,
    );
  return { manifest, checks };
}

/** Carries the faults from the reader to the entry. */
class BrokenManifest extends Error {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super('broken manifest');
    this.faults = faults;
  }
}

function broken(name: string, faults: readonly Fault[]): ProxyError {
  const shown = faults.slice(0, faultsShownMax).map(faultText);
  const more = faults.length > shown.length ? [`and ${faults.length - shown.length} more; see \`bulkhead check\``] : [];
  return unavailable(name, `has a broken manifest: ${[...shown, ...more].join(' | ')}`);
}

function unavailable(name: string, state: string, cause?: unknown): ProxyError {
  return new ProxyError('connector_unavailable', `connector ${name} ${state}`, { cause });
}
