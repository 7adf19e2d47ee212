/** A process of its own for every call: started ahead by Bulkhead, or forked by the request, in the same sandbox. */

import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bareSandbox } from '../harness/bare-sandbox.ts';
import { type Contender, compare } from '../harness/compare.ts';
import { runClient } from '../harness/load.ts';
import { connectorYaml, type Scene, smallBody, type Target, target, underLoad } from '../harness/scene.ts';
import { startBulkhead, startServer } from '../harness/world.ts';

export const series = 'a process for every call';
export const callers = 8;
export const loadShare = 0.4;
export const prewarmed = 'bulkhead, single-use, Python child';
export const forked = 'fork per request, bubblewrap and python3';

export async function singleUse(scene: Scene): Promise<void> {
  const { world, results, longRounds: rounds, isQuick } = scene;
  await using stack = new AsyncDisposableStack();
  const once = join(world.folder, 'once');
  cpSync(fileURLToPath(new URL('../servers/once.py', import.meta.url)), join(once, 'once.py'));
  const workers = 'mode: single-use, prewarm: 8, max: 16, queue: 1024';
  const yaml = (name: string, folder: string) => connectorYaml({ name, folder, workers });
  const bulkhead = stack.use(
    await startBulkhead({ world, connectors: yaml('python', world.children.python) + yaml('static', world.children.static) }),
  );
  const fork = stack.use(await startServer('fork.ts', '/usr/bin/bwrap', ...bareSandbox(once, ['/usr/bin/python3', 'once.py'])));
  const forkStatic = stack.use(await startServer('fork.ts', '/usr/bin/bwrap', ...bareSandbox(once, ['/bin/cat'])));
  const python = [target(prewarmed, bulkhead, '/v1/do/python/CombineStrings'), target(forked, fork, '/run')];
  const small = [
    target('bulkhead, single-use, static child', bulkhead, '/v1/do/static/Echo'),
    target('fork per request, bubblewrap and cat', forkStatic, '/run'),
  ];
  const body = smallBody(world);
  const at = { series, point: `${callers} callers` };
  const busy = [...python, ...small].map((one) => underLoad(scene, one, { body, connections: callers, seconds: 3 }));
  await compare({ results, at, contenders: busy, rounds });
  const perSecond = loadShare * results.median(at, forked, 'perSecond');
  const paced = python.map((one) => pacedCalls(one, { body, perSecond, seconds: isQuick ? 1 : 5 }));
  await compare({ results, at: { series, point: 'at 40 % load' }, contenders: paced, rounds });
}

interface Pace {
  readonly body: string;
  readonly perSecond: number;
  readonly seconds: number;
}

function pacedCalls({ name, url }: Target, pace: Pace): Contender {
  return {
    name,
    async measure() {
      const { perSecond, p50Us, p99Us } = await runClient({ url, connections: 2 * callers, ...pace });
      return { perSecond, p50Us, p99Us };
    },
  };
}
