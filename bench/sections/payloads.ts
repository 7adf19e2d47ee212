/** Bodies from 1 KB to 10 MB, and the memory they take. */
import { setTimeout as sleep } from 'node:timers/promises';
import { compare } from '../harness/compare.ts';
import { peakMb, resetPeak, rssMb } from '../harness/process-stats.ts';
import { connectorYaml, oneWorker, patient, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { startBulkhead, startServer } from '../harness/world.ts';

export const series = 'payloads';
export const memorySeries = 'memory';
const kilobyte = 1000;
const sizes = [
  { name: '1 KB', bytes: kilobyte, connections: [1] },
  { name: '100 KB', bytes: 100 * kilobyte, connections: [1] },
  { name: '1 MB', bytes: kilobyte ** 2, connections: [1, 4] },
  { name: '10 MB', bytes: 10 * kilobyte ** 2, connections: [1, 4] },
] as const;

export async function payloads(scene: Scene): Promise<void> {
  const { world, results, rounds, isQuick } = scene;
  await using stack = new AsyncDisposableStack();
  const bytes = stack.use(await startServer('byte-echo.ts'));
  const hono = stack.use(await startServer('hono-echo.ts'));
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker, more: patient });
  const bulkhead = stack.use(await startBulkhead({ world, connectors }));
  const splice = async (mode: 'checked' | 'unchecked') =>
    stack.use(await startServer('bare-splice.ts', mode, world.children.static, './connector'));
  const targets = [
    target('byte echo', bytes, '/'),
    target('hono echo', hono, '/echo'),
    target('bulkhead', bulkhead, '/v1/do/static/Echo'),
    target('bare server', await splice('unchecked'), '/'),
    target('bare server, checked', await splice('checked'), '/'),
  ];
  for (const kind of ['records', 'one string'] as const) {
    for (const size of isQuick ? sizes.slice(0, 2) : sizes) {
      const body = world.body(
        `${kind}-${size.bytes}`,
        kind === 'records' ? records(size.bytes) : JSON.stringify({ text: 'x'.repeat(size.bytes) }),
      );
      for (const connections of kind === 'records' ? size.connections : [1]) {
        const contenders = targets.map((one) =>
          underLoad(scene, one, { body, connections, seconds: scene.seconds * (size.bytes > 1e6 ? 2 : 1) }),
        );
        await compare({ results, at: { series, point: `${size.name} of ${kind}, ${connections} connections` }, contenders, rounds });
      }
    }
  }
}

/** Of four calls of 10 MB at once, in a proxy that has done small calls only. */
export async function memory(scene: Scene): Promise<void> {
  const { world, results, load, isQuick } = scene;
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker, more: patient });
  await using bulkhead = await startBulkhead({ world, connectors });
  const { pid, url } = target('bulkhead', bulkhead, '/v1/do/static/Echo');
  await load({ url, body: smallBody(world), connections: 16, seconds: 2 });
  await sleep(settleMs);
  const idleMb = rssMb(pid);
  resetPeak(pid);
  await load({ url, body: world.body('large', records(isQuick ? 1e6 : 1e7)), connections: 4, seconds: 4 });
  const peak = peakMb(pid);
  await sleep(isQuick ? settleMs : afterwardsMs);
  results.add({ series: memorySeries, point: 'four calls of 10 MB' }, 'bulkhead', { idleMb, peakMb: peak, afterMb: rssMb(pid) });
}

const settleMs = 1000;
const afterwardsMs = 10_000;

/** JSON as APIs send it: many small members, and no trick to read it fast. */
export function records(bytes: number): string {
  const record = (index: number) => ({
    id: index,
    name: `Customer ${index}`,
    active: index % 3 === 0,
    balance: index * 1.37,
    tags: ['a', 'b'],
    note: null,
  });
  const rows: string[] = [];
  for (let length = 0; length < bytes; length += (rows.at(-1) as string).length + 1) rows.push(JSON.stringify(record(rows.length)));
  return `{"rows":[${rows.join(',')}]}`;
}
