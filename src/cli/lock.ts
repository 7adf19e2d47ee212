import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { ProxyError } from '../errors.ts';
import { formatLock, type ImageLock, type LockedImage, parseLock } from '../runner/image-lock.ts';
import { openCatalog } from './catalog-file.ts';
import { type ConfigFileOptions, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';

/** `bulkhead lock`: writes which image each connector runs, by content, into bulkhead.lock beside the config. */
export function addLock(program: Command, context: CliContext): void {
  withConfig(program.command('lock').description('write the digests of all images to bulkhead.lock, for serve --frozen')).action(
    async (options: ConfigFileOptions) => {
      await using opened = await openCatalog(context, options);
      const images: Record<string, LockedImage> = {};
      for (const { source } of opened.config.connectors.values()) {
        if (source.type === 'image') images[source.image] = await opened.lockedImage(source.image, source.engine);
      }
      const file = lockFileOf(opened.config);
      await writeFile(file, formatLock(images));
      context.terminal.line(`${file}: ${Object.keys(images).length} images locked`);
    },
  );
}

export function lockFileOf({ file }: Config): string {
  return join(dirname(file), 'bulkhead.lock');
}

/** @throws ProxyError `invalid_config` when it is not there or not a lock */
export async function readLock(config: Config): Promise<ImageLock> {
  const file = lockFileOf(config);
  try {
    return parseLock(await readFile(file, 'utf8'));
  } catch (error) {
    throw new ProxyError('invalid_config', `${file} is not there or no lock file; run \`bulkhead lock\``, { cause: error });
  }
}
