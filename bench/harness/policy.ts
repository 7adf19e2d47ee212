import type { ResourceLimits } from '../../src/sandbox/policy.ts';

/** Those of a connector whose config says nothing. */
export const limits: ResourceLimits = {
  memoryBytesMax: 256 * 2 ** 20,
  cpusMax: 1,
  pidsMax: 64,
  descriptorsMax: 1024,
  fileBytesMax: 64 * 2 ** 20,
  tmpBytesMax: 64 * 2 ** 20,
  tmpInodesMax: 10_000,
};
