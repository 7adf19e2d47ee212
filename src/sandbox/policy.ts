import type { NetworkPolicy } from '../manifest/network.ts';

/**
 * What a connector's process may do, as plain data. Both runners translate the same policy: bwrap-args.ts into arguments,
 * container-options.ts into a create payload. Nothing in it is a secret: secrets travel in `initialize` only.
 */
export interface SandboxPolicy {
  /** `none`: the deployer wrote `sandbox: none`; the process runs with the proxy's own rights. */
  readonly sandbox: 'enforced' | 'none';
  readonly network: NetworkPolicy;
  readonly limits: ResourceLimits;
  /** Environment of the connector; nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  /** A host folder the connector may write to, seen as /data. */
  readonly dataFolder?: string;
  /** More host paths to show read-only at the same place, e.g. a language runtime outside /usr. */
  readonly readOnlyPaths?: readonly string[];
}

export interface ResourceLimits {
  /** Bytes of memory of the whole process tree. */
  readonly memoryBytesMax: number;
  /** Share of CPU cores, e.g. 0.5. */
  readonly cpusMax: number;
  /** Seconds of CPU time of one process over its whole life; undefined: no limit. */
  readonly cpuTimeMaxMs?: number;
  /** Processes and threads. */
  readonly pidsMax: number;
  readonly descriptorsMax: number;
  /** Bytes of the largest file a process may write. */
  readonly fileBytesMax: number;
  readonly tmpBytesMax: number;
  readonly tmpInodesMax: number;
}
