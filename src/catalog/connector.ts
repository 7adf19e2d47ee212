import type { ConnectorConfig } from '../config/config.ts';
import type { ProxyError } from '../errors.ts';
import type { Fault } from '../lib/faults.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { ConnectorName } from '../manifest/names.ts';

/** A configured connector: usable with its manifest, or not, with the reason. */
export type Connector =
  | {
      readonly state: 'available';
      readonly name: ConnectorName;
      readonly config: ConnectorConfig;
      readonly manifest: Manifest;
      readonly folder?: string;
      /** Counts changes of its files that were seen while it was served; another number, and its workers are replaced. */
      readonly revision?: number;
    }
  | {
      readonly state: 'unavailable';
      readonly name: ConnectorName;
      readonly config: ConnectorConfig;
      readonly reason: ProxyError;
      /** Of its manifest, all of them, for `check`. */
      readonly faults?: readonly Fault[];
    };
