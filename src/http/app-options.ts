import type { Catalog } from '../catalog/catalog.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import type { AuditLog } from '../egress/audit.ts';
import type { Logger } from '../log.ts';
import type { ControlReport } from '../runner/doctor.ts';
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
  /** Where every invocation is recorded; undefined: nowhere. */
  readonly audit?: AuditLog | undefined;
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
  /** What the sandbox is worth on this machine, as it was tried at the start. */
  readonly controls: readonly ControlReport[];
}
