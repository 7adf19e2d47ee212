import { createHash } from 'node:crypto';
import type { ConnectorConfig } from '../config/config.ts';
import { resolveSecrets } from '../config/secrets.ts';
import { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';

type Values = Readonly<Record<string, string>>;

export interface HandedSecrets {
  /**
   * Reads the secrets for a worker that starts, and remembers their hash.
   * @throws ProxyError `secret_missing`
   */
  hand(connector: ConnectorConfig, signal: AbortSignal): Promise<Values>;
  /** Those of whose workers one may hold other secrets than are read now. One whose secrets cannot be read is told of, and is none of them. */
  rotated(connectors: readonly ConnectorConfig[]): Promise<readonly ConnectorName[]>;
  /** All workers of these connectors are replaced: what they were started with counts no more. */
  forget(connectors: Iterable<ConnectorName>): void;
}

/** Secrets are read when a worker starts; a reload asks here whose workers hold old ones. Keeps no value. */
export function createHandedSecrets(environment: Readonly<Record<string, string | undefined>>, logger: Logger): HandedSecrets {
  // Every hash, since workers of one connector start at different times; a symbol for each reading whose outcome is not known yet.
  const handed = new Map<ConnectorName, Set<string | symbol>>();
  const isRotated = async (connector: ConnectorConfig): Promise<boolean> => {
    const { name, secrets } = connector;
    if (!handed.has(name) || Object.keys(secrets).length === 0) return false;
    try {
      const now = hashOf(await resolveSecrets(connector, { environment }));
      const hashes = handed.get(name);
      return hashes !== undefined && !(hashes.size === 1 && hashes.has(now));
    } catch (error) {
      const { code, message } = ProxyError.from(error);
      logger.error(
        { connector: name, code },
        `${message}; workers that run keep the secrets that they were started with, others cannot start`,
      );
      return false;
    }
  };
  return {
    async hand(connector, signal) {
      const { name } = connector;
      const hashes = handed.get(name) ?? new Set();
      handed.set(name, hashes);
      const reading = Symbol(name);
      hashes.add(reading);
      try {
        const values = await resolveSecrets(connector, { environment, signal });
        hashes.add(hashOf(values));
        return values;
      } finally {
        hashes.delete(reading);
        if (hashes.size === 0 && handed.get(name) === hashes) handed.delete(name);
      }
    },
    async rotated(connectors) {
      const answers = await Promise.all(connectors.map(isRotated));
      return connectors.flatMap(({ name }, index) => (answers[index] ? [name] : []));
    },
    forget(connectors) {
      for (const name of connectors) handed.delete(name);
    },
  };
}

function hashOf(values: Values): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(values)))
    .digest('hex');
}
