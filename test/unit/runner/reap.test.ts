import { expect, test } from 'vitest';
import { createLogger } from '../../../src/log.ts';
import { containerLabels } from '../../../src/runner/container-labels.ts';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { lockInstance } from '../../../src/runner/docker-instance.ts';
import { reap } from '../../../src/runner/reap.ts';
import { startStandIn } from '../../helpers/stand-in-engine.ts';

test('a container that the engine does not remove is told of, and keeps no other', async () => {
  const instance = await lockInstance();
  const removed: (string | undefined)[] = [];
  await using standIn = await startStandIn(({ method, url }, response) => {
    const left = (Id: string, role: 'connector' | 'sidecar') => ({
      Id,
      Names: [],
      Labels: containerLabels({ instance, role, connector: Id }),
    });
    if (method === 'GET')
      return response.end(JSON.stringify([left('stuck', 'connector'), left('one', 'connector'), left('net', 'sidecar')]));
    if (url?.includes('/stuck')) return response.writeHead(502).end(JSON.stringify({ message: 'it is stuck' }));
    removed.push(url?.split('?')[0]);
    return response.writeHead(204).end();
  });
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } });
  const engine = connectEngine(standIn.address);
  expect(await reap({ engine, instance, isOwn: () => false, logger })).toBe(2);
  expect(removed.toSorted()).toEqual(['/containers/net', '/containers/one']);
  expect(lines.filter((line) => line.includes('stuck'))).toEqual([expect.stringContaining('the engine says “it is stuck”')]);
  await instance.close();
});
