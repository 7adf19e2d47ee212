import type { Command } from 'commander';
import type { Catalog } from '../catalog/catalog.ts';
import type { Connector } from '../catalog/connector.ts';
import { describeConnector } from '../catalog/describe.ts';
import { faultText } from '../lib/faults.ts';
import { type ManifestResult, readManifest } from '../manifest/read-manifest.ts';
import type { ImageManifest } from '../runner/image-manifest.ts';
import { openCatalog } from './catalog-file.ts';
import { type ConfigFileOptions, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { exitCodes } from './io.ts';
import type { Terminal } from './terminal.ts';

interface ListOptions extends ConfigFileOptions {
  readonly json?: boolean;
  readonly ids?: boolean;
  readonly images?: boolean;
}

/** `bulkhead list`: every configured connector with its commands, and why one cannot be used. Starts no connector. */
export function addList(program: Command, context: CliContext): void {
  withConfig(program.command('list').description('list connectors and their commands, and why one cannot be used'))
    .option('--json', 'print everything as JSON')
    .option('--ids', 'print ids of commands only, one a line')
    .option('--images', 'list the images of the container engine that carry a manifest instead')
    .action(async (options: ListOptions) => {
      await using opened = await openCatalog(context, options);
      if (options.images) return showImages(await opened.labelledImages(), options, context.terminal);
      show(opened.catalog, options, context.terminal);
      const isWhole = [...opened.catalog.connectors.values()].every(({ state }) => state === 'available');
      context.finish(isWhole ? exitCodes.ok : exitCodes.failed);
    });
}

function show(catalog: Catalog, { json, ids }: ListOptions, terminal: Terminal): void {
  const connectors = [...catalog.connectors.values()];
  if (json) terminal.json({ connectors: connectors.map(describeConnector) });
  else if (ids) for (const { id } of catalog.spiffCommands()) terminal.line(id);
  else for (const connector of connectors) showConnector(connector, terminal);
}

function showImages(images: readonly ImageManifest[], { json }: ListOptions, terminal: Terminal): void {
  const found = images.map(({ image: { id, tags }, text }) => ({ id, tags, manifest: readManifest({ text, file: tags[0] ?? id }) }));
  if (json) terminal.json({ images: found.map(({ id, tags, manifest }) => ({ id, tags, ...describe(manifest) })) });
  else terminal.table(found.map(({ id, tags, manifest }) => [tags[0] ?? id, ...Object.values(describe(manifest))]));
}

function describe(manifest: ManifestResult): Readonly<Record<string, string>> {
  if (!manifest.ok) return { fault: manifest.faults.map(faultText).join(' | ') };
  const { name, version, description } = manifest.manifest;
  return { name, version, description };
}

function showConnector(connector: Connector, terminal: Terminal): void {
  const { name, config } = connector;
  if (connector.state === 'unavailable') {
    terminal.line(`${terminal.style('bold', name)}  ${terminal.style('red', 'unavailable')}  ${connector.reason.message}`);
    return;
  }
  const { version, description, commands } = connector.manifest;
  const sandbox = config.sandbox === 'none' ? terminal.style('yellow', 'sandbox: none') : 'sandboxed';
  terminal.line(
    `${terminal.style('bold', name)} ${version}  ${sandbox}, network: ${config.network.type}  ${terminal.style('dim', description)}`,
  );
  terminal.table(commands.map((command) => [`  ${name}/${command.name}`, terminal.style('dim', command.description)]));
}
