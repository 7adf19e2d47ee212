import type { ConnectorConfig } from '../config/config.ts';
import { resolveSecrets } from '../config/secrets.ts';
import { ProxyError } from '../errors.ts';

/**
 * Reads every secret of the connectors once and forgets it: a proxy that cannot read one does not start, and takes no config that needs it.
 * @throws ProxyError `secret_missing`, which names all that cannot be read, their sources and the repair
 */
export async function proveSecrets(
  connectors: Iterable<ConnectorConfig>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const readings = await Promise.allSettled([...connectors].map((connector) => resolveSecrets(connector, { environment })));
  const failures = readings.flatMap((reading) => (reading.status === 'rejected' ? [ProxyError.from(reading.reason)] : []));
  if (failures.length > 0)
    throw new ProxyError('secret_missing', failures.map(({ message }) => message).join('\n'), { cause: failures[0] });
}
