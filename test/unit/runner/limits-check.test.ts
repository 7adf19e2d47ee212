import type { HostConfig } from 'dockerode';
import { expect, test } from 'vitest';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { createLimitsCheck, droppedLimits } from '../../../src/runner/limits-check.ts';
import { startStandIn } from '../../helpers/stand-in-engine.ts';

const wanted: HostConfig = {
  ...{ Memory: 1024, PidsLimit: 8, NanoCpus: 1e9 },
  Ulimits: [
    { Name: 'nofile', Soft: 256, Hard: 256 },
    { Name: 'core', Soft: 0, Hard: 0 },
  ],
};
const podmans = [
  { Name: 'RLIMIT_NOFILE', Soft: 256, Hard: 256 },
  { Name: 'RLIMIT_CORE', Soft: 0, Hard: 0 },
];

test.each([
  ['as they were asked for', wanted, []],
  ['by Podman’s names', { ...wanted, Ulimits: podmans }, []],
  ['with more ulimits', { ...wanted, Ulimits: [...podmans, { Name: 'RLIMIT_NPROC', Soft: 9, Hard: 9 }] }, []],
  ['without ulimits', { ...wanted, Ulimits: [] }, ['nofile', 'core']],
  ['with ulimits of its own', { ...wanted, Ulimits: [{ Name: 'RLIMIT_NOFILE', Soft: 256, Hard: 1_048_576 }, podmans[1]] }, ['nofile']],
  ['with a ulimit that is none', { ...wanted, Ulimits: [podmans[0], { Name: 'RLIMIT_CORE', Soft: -1, Hard: -1 }] }, ['core']],
  ['not at all', { Memory: 0, PidsLimit: 0, NanoCpus: 0, Ulimits: null }, ['memory', 'pids', 'cpu', 'nofile', 'core']],
  ['with more memory', { ...wanted, Memory: 2048 }, ['memory']],
  ['with any number of processes', { ...wanted, PidsLimit: -1 }, ['pids']],
])('limits that an engine keeps %s', (_, kept, dropped) => {
  expect(droppedLimits(wanted, kept as HostConfig)).toEqual(dropped);
});

test('an engine is looked at until it has kept them once', async () => {
  let [looks, kept]: [number, HostConfig] = [0, { ...wanted, Ulimits: [] }];
  await using standIn = await startStandIn(({ url }, response) => {
    response.setHeader('content-type', 'application/json');
    if (url?.includes('/containers/')) looks += 1;
    response.end(JSON.stringify(url?.includes('/containers/') ? { HostConfig: kept } : { Version: '4.3.1' }));
  });
  const check = createLimitsCheck(connectEngine(standIn.address));
  for (let count = 0; count < 2; count += 1) {
    await expect(check('made', wanted)).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      message: expect.stringMatching(/docker 4\.3\.1\) drops limits of containers: nofile, core\. /),
    });
  }
  kept = wanted;
  for (let count = 0; count < 2; count += 1) await check('made', wanted);
  expect(looks).toBe(3);
});
