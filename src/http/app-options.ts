import type { Catalog } from '../catalog/catalog.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import type { Logger } from '../log.ts';
import type { ApiKey } from './api-keys.ts';
import type { Metrics } from './metrics.ts';

export interface AppOptions {
  /** The current one; a reload replaces it. */
  readonly catalog: () => Catalog;
  readonly dispatcher: Dispatcher;
  readonly server: AppServerConfig;
  /** None: everybody may do everything. */
  readonly keys: readonly ApiKey[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
  readonly version: string;
}

export interface AppServerConfig
  extends Pick<ServerConfig, 'bodyBytesMax' | 'bodyTimeoutMs' | 'corsOrigins' | 'invocationsMax' | 'metrics'> {
  /** Default `answerTimeoutMsDefault`. */
  readonly answerTimeoutMs?: number;
}

export interface Readiness {
  readonly state: 'starting' | 'ready' | 'draining';
}
