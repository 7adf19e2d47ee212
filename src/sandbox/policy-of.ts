import type { ConnectorConfig } from '../config/config.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { SandboxPolicy } from './policy.ts';

/** What the config grants, as the policy of one connector's processes. What a manifest requests has no say here. */
export function policyOf(config: ConnectorConfig, manifest: Pick<Manifest, 'run'>): SandboxPolicy {
  const { sandbox, network, limits, environment, dataFolder, readOnlyPaths } = config;
  const { memoryBytesMax, cpusMax, cpuTimeMaxMs, pidsMax, descriptorsMax, fileBytesMax, tmpBytesMax, tmpInodesMax } = limits;
  return {
    sandbox,
    network,
    limits: {
      ...{ memoryBytesMax, cpusMax, pidsMax, descriptorsMax, fileBytesMax, tmpBytesMax, tmpInodesMax },
      ...(cpuTimeMaxMs === undefined ? {} : { cpuTimeMaxMs }),
    },
    // The deployer's word comes last: it wins.
    environment: { ...manifest.run?.environment, ...environment },
    ...(dataFolder === undefined ? {} : { dataFolder }),
    readOnlyPaths,
  };
}
