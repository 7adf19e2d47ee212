import type { Catalog } from '../catalog/catalog.ts';
import { loadCatalog } from '../catalog/load-catalog.ts';
import type { Config } from '../config/config.ts';
import { noAuditLog } from '../egress/audit.ts';
import { createEgressGateway } from '../egress/gateway.ts';
import { silentLogger } from '../log.ts';
import { type ConfigFileOptions, readConfigFile } from './config-file.ts';
import type { CliContext } from './context.ts';
import { createRunners, type Runners } from './runners.ts';

export interface OpenCatalog extends AsyncDisposable {
  readonly config: Config;
  readonly catalog: Catalog;
  lockedImage: Runners['lockedImage'];
  labelledImages: Runners['labelledImages'];
}

/** The catalog of a config, for subcommands that look and start nothing. Images are inspected, never pulled. */
export async function openCatalog(context: CliContext, options: ConfigFileOptions): Promise<OpenCatalog> {
  const config = await readConfigFile(context, options);
  const gateway = createEgressGateway({ audit: noAuditLog, log: silentLogger });
  const { sandboxUser } = config.server;
  const runners = createRunners({ gateway, logger: silentLogger, environment: context.io.environment, pull: 'never', sandboxUser });
  const close = async (): Promise<void> => {
    await runners.close();
    await gateway.close();
  };
  try {
    const catalog = await loadCatalog(config, runners);
    const { lockedImage, labelledImages } = runners;
    return { config, catalog, lockedImage, labelledImages, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
