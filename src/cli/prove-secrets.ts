import type { Config } from '../config/config.ts';
import { resolveSecrets } from '../config/secrets.ts';
import { ProxyError } from '../errors.ts';

/**
 * Reads every secret of every connector once and forgets it: a proxy that cannot read one does not start.
 * @throws ProxyError `secret_missing`, which names all that cannot be read, their sources and the repair
 */
export async function proveSecrets(config: Config, environment: Readonly<Record<string, string | undefined>>): Promise<void> {
  const readings = await Promise.allSettled([...config.connectors.values()].map((connector) => resolveSecrets(connector, { environment })));
  const failures = readings.flatMap((reading) => (reading.status === 'rejected' ? [ProxyError.from(reading.reason)] : []));
  if (failures.length > 0)
    throw new ProxyError('secret_missing', failures.map(({ message }) => message).join('\n'), { cause: failures[0] });
}
