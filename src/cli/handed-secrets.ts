import { createHash } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { resolveSecrets } from '../config/secrets.ts';
import { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';

type Values = Readonly<Record<string, string>>;

export interface HandedSecrets {
  /** Remembers, as a hash, what the workers of a connector were started with. */
  note(connector: ConnectorName, values: Values): void;
  /** Connectors whose secrets read differently now. One that cannot be read is told of, and its workers keep what they have. */
  rotated(config: Config): Promise<readonly ConnectorName[]>;
}

/** Secrets are read when a worker starts; a reload asks here which workers hold old ones. Keeps no value. */
export function createHandedSecrets(environment: Readonly<Record<string, string | undefined>>, logger: Logger): HandedSecrets {
  const handed = new Map<ConnectorName, string>();
  const isRotated = async (connector: ConnectorName, config: Config): Promise<boolean> => {
    const found = config.connectors.get(connector);
    if (found === undefined || Object.keys(found.secrets).length === 0) return false;
    try {
      return hashOf(await resolveSecrets(found, { environment })) !== handed.get(connector);
    } catch (error) {
      const { code, message } = ProxyError.from(error);
      logger.error({ connector, code }, `${message}; its workers keep the secrets that they were started with`);
      return false;
    }
  };
  return {
    note: (connector, values) => void handed.set(connector, hashOf(values)),
    async rotated(config) {
      const names = [...handed.keys()];
      const answers = await Promise.all(names.map((name) => isRotated(name, config)));
      return names.filter((_, index) => answers[index]);
    },
  };
}

function hashOf(values: Values): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(values)))
    .digest('hex');
}
