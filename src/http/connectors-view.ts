import type { Catalog } from '../catalog/catalog.ts';
import type { Connector } from '../catalog/connector.ts';
import { describeConnector } from '../catalog/describe.ts';
import type { PoolStatus } from '../dispatch/dispatcher.ts';
import type { Access } from './api-keys.ts';
import type { AppOptions } from './app-options.ts';

/** Those that a key may see, in the order of the config. */
export function visibleConnectors(catalog: Catalog, access: Access): readonly Connector[] {
  return [...catalog.connectors.values()].filter(({ name }) => access.allows(name));
}

/** For `/readyz`: which connectors can be used, and why the others cannot. */
export function connectorStates({ catalog, dispatcher }: AppOptions, access: Access): readonly object[] {
  const pools = dispatcher.status();
  return visibleConnectors(catalog(), access).map((connector) => ({
    name: connector.name,
    ...usability(connector, pools.get(connector.name)),
  }));
}

/** For `/v1/connectors`: what the catalog knows, and what the pools do just now. */
export function connectorsNow({ catalog, dispatcher }: AppOptions, access: Access): object {
  const pools = dispatcher.status();
  const connectors = visibleConnectors(catalog(), access).map((connector) => {
    const pool = pools.get(connector.name);
    return { ...describeConnector(connector), ...usability(connector, pool), ...(pool === undefined ? {} : { pool: poolNow(pool) }) };
  });
  return { connectors };
}

function usability(connector: Connector, pool: PoolStatus | undefined): object {
  if (connector.state === 'unavailable') {
    return { state: 'unavailable', reason: { code: connector.reason.code, message: connector.reason.message } };
  }
  if (pool?.startFailure === undefined) return { state: 'available' };
  const { message, retryAt } = pool.startFailure;
  return { state: 'unavailable', reason: { code: 'connector_unavailable', message, retryAt: new Date(retryAt).toISOString() } };
}

function poolNow({ workers, running, queueLength, restarts }: PoolStatus): object {
  return { workers, running, queueLength, restarts };
}
