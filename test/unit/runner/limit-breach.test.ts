import { expect, test } from 'vitest';
import { breachOfExit } from '../../../src/runner/limit-breach.ts';
import type { ResourceLimits } from '../../../src/sandbox/policy.ts';

const limits: ResourceLimits = {
  memoryBytesMax: 64 * 2 ** 20,
  cpusMax: 1,
  pidsMax: 4,
  descriptorsMax: 64,
  fileBytesMax: 2 ** 20,
  tmpBytesMax: 2 ** 20,
  tmpInodesMax: 64,
};

test.each([
  [66 * 2 ** 20, 'used 66 MiB of memory, its limit is 64 MiB, and was stopped'],
  [undefined, 'went over its limit of 64 MiB of memory and was stopped'],
])('a kill for memory of which the kernel knows %s bytes is told as that', (memoryPeakBytes, what) => {
  expect(breachOfExit('greedy', limits, 'SIGKILL', { oomKills: 1, memoryPeakBytes, forksRefused: 0 })).toEqual({
    code: 'memory_exceeded',
    message: `Connector greedy ${what}; raise limits.memory, or use less.`,
  });
});
