/** Bodies from 1 KB to 10 MB, and the memory they take. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, compare } from '../harness/compare.ts';
import { peakMb, resetPeak, rssMb } from '../harness/process-stats.ts';
import { connectorYaml, oneWorker, patient, type Scene, smallBody, type Target, target, underLoad } from '../harness/scene.ts';
import { startBulkhead, startServer } from '../harness/world.ts';

export const series = 'payloads';
export const memorySeries = 'memory';
const kilobyte = 1000;
const [own, bytes, hono, checked] = ['bulkhead', 'byte echo', 'hono echo', 'bare server, checked'] as const;

interface Size {
  readonly name: string;
  readonly bytes: number;
  /** Turns of the others that one of its turns takes. */
  readonly turns: number;
  /** And the contenders that a goal names at so many connections. */
  readonly connections: Readonly<Record<number, readonly string[]>>;
  /** Of its rounds to others', with one connection: see small-calls.ts. */
  readonly moreRounds?: number;
}

const sizes: readonly Size[] = [
  { name: '1 KB', bytes: kilobyte, turns: 1, connections: { 1: [] } },
  { name: '100 KB', bytes: 100 * kilobyte, turns: 1, connections: { 1: [] } },
  { name: '1 MB', bytes: kilobyte ** 2, turns: 1, connections: { 1: [own, bytes, hono, checked], 4: [] } },
  {
    name: '10 MB',
    bytes: 10 * kilobyte ** 2,
    turns: 2,
    connections: { 1: [own, bytes, checked], 4: [own, bytes, checked] },
    moreRounds: 2,
  },
];
/** What callers of 10 MB leave behind is done within. */
export const afterTurnMs = 150;

export async function payloads(scene: Scene): Promise<void> {
  const { world, isQuick } = scene;
  await using stack = new AsyncDisposableStack();
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker, more: patient });
  const bulkhead = stack.use(await startBulkhead({ world, connectors }));
  const splice = async (mode: 'checked' | 'unchecked') =>
    stack.use(await startServer('bare-splice.ts', mode, world.children.static, './connector'));
  const targets = [
    target(bytes, stack.use(await startServer('byte-echo.ts')), '/'),
    target(hono, stack.use(await startServer('hono-echo.ts')), '/echo'),
    target(own, bulkhead, '/v1/do/static/Echo'),
    target('bare server', await splice('unchecked'), '/'),
    target(checked, await splice('checked'), '/'),
  ];
  for (const kind of ['records', 'one string'] as const) {
    for (const size of isQuick ? sizes.slice(0, 2) : sizes) {
      const body = world.body(
        `${kind}-${size.bytes}`,
        kind === 'records' ? records(size.bytes) : JSON.stringify({ text: 'x'.repeat(size.bytes) }),
      );
      const load = { kind, size, body };
      for (const [connections, named] of Object.entries(kind === 'records' ? size.connections : { 1: [] }))
        await echo(scene, targets, { ...load, connections: Number(connections), named });
    }
  }
}

interface EchoOptions {
  readonly kind: string;
  readonly size: Size;
  readonly body: string;
  readonly connections: number;
  readonly named: readonly string[];
}

/** Those that a goal names in the same rounds, and afterwards the rest in fewer. */
async function echo(scene: Scene, targets: readonly Target[], { kind, size, body, connections, named }: EchoOptions): Promise<void> {
  const { results, rounds, fewRounds, seconds } = scene;
  const at = { series, point: `${size.name} of ${kind}, ${connections} connections` };
  const [first, rest] = [true, false].map((isNamed) =>
    targets
      .filter(({ name }) => named.includes(name) === isNamed)
      .map((one) => underLoad(scene, one, { body, connections, seconds: seconds * size.turns })),
  ) as [Contender[], Contender[]];
  const times = connections === 1 ? (size.moreRounds ?? 1) : 1;
  await compare({ results, at, contenders: first, rounds: times * rounds, settleMs: afterTurnMs });
  await compare({ results, at, contenders: rest, rounds: fewRounds, settleMs: afterTurnMs });
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
