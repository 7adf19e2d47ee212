/** Many connectors, and many workers. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compare } from '../harness/compare.ts';
import { descriptorCount, rssMb } from '../harness/process-stats.ts';
import { connectorYaml, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { project, startBulkhead } from '../harness/world.ts';

export const connectorsSeries = 'configured connectors';
export const workersSeries = 'idle workers';
export const manyCount = 300;

/** Start and memory with one connector and with 300 of which none runs; then calls to one of them. */
export async function manyConnectors(scene: Scene): Promise<void> {
  const { world, results, rounds, longRounds, isQuick } = scene;
  const count = isQuick ? 20 : manyCount;
  const none = manifests(scene, count);
  const first = connectorYaml({ name: 'static', folder: world.children.static, workers: 'min: 0, max: 1, concurrency: 256, queue: 1024' });
  const start = async (connectors: string) => {
    await using server = await startBulkhead({ world, connectors });
    await sleep(settleMs);
    return { startMs: server.startMs, rssMb: rssMb(server.pid) };
  };
  const contenders = [
    { name: 'bulkhead, 1 connector', measure: () => start(first) },
    { name: `bulkhead, ${manyCount} connectors`, measure: () => start(first + none) },
  ];
  await compare({ results, at: { series: connectorsSeries, point: 'start' }, contenders, rounds: startRounds * longRounds });
  const aim = { body: smallBody(world), connections: 16 };
  const callRounds = Math.ceil((2 * rounds) / pairs);
  for (let pair = 0; pair < pairs; pair++) {
    await using one = await startBulkhead({ world, connectors: first });
    await using many = await startBulkhead({ world, connectors: first + none });
    const calls = [one, many].map((server, index) =>
      underLoad(scene, target(contenders[index]?.name ?? '', server, '/v1/do/static/Echo'), aim),
    );
    await compare({ results, at: { series: connectorsSeries, point: '16 connections' }, contenders: calls, rounds: callRounds });
  }
}

/** Two processes of the same program differ by up to 8 % for as long as they live, and so did the figure of one pair of them. */
const pairs = 5;
const settleMs = 500;
/** Of its rounds to others’: who has the machine for ten seconds must not be the median. */
const startRounds = 3;

/** Manifests as people write them: those of the repository, under other names. */
function manifests({ world }: Scene, count: number): string {
  const sources = ['http', 'example', 'example-python'].map((name) =>
    readFileSync(join(project, 'connector-images', name, 'connector.yaml'), 'utf8'),
  );
  const yaml: string[] = [];
  for (let index = 0; index < count; index++) {
    const folder = join(world.folder, 'many', String(index));
    mkdirSync(folder, { recursive: true });
    const name = `copy-${index}`;
    writeFileSync(join(folder, 'connector.yaml'), (sources[index % sources.length] as string).replace(/^name: .*$/m, `name: ${name}`));
    yaml.push(`${name}: { path: ${folder} }\n`);
  }
  return yaml.join('');
}

/** What each idle worker costs the proxy, while their number grows to 300. */
export async function idleWorkers(scene: Scene): Promise<void> {
  const { world, results, isQuick } = scene;
  const count = isQuick ? 5 : manyCount;
  const folder = world.children.static;
  const idle = (min: number) => connectorYaml({ name: 'static', folder, workers: `min: ${min}, max: ${Math.max(1, min)}, idle: 1h` });
  await using none = await startBulkhead({ world, connectors: idle(0) });
  await using many = await startBulkhead({ world, connectors: idle(count) });
  await sleep(settleMs);
  for (const wanted of isQuick ? [1, count] : [1, 10, 100, count]) {
    const ready = await untilReady(many, wanted);
    await sleep(ready === count ? 4 * settleMs : 0);
    const rssKb = ((rssMb(many.pid) - rssMb(none.pid)) * 1024) / ready;
    const descriptors = (descriptorCount(many.pid) - descriptorCount(none.pid)) / ready;
    const at = { series: workersSeries, point: `${wanted} workers` };
    results.add(at, 'bulkhead', { ready, rssKbPerWorker: rssKb, descriptorsPerWorker: descriptors });
  }
}

async function untilReady({ url }: ServerProcess, wanted: number): Promise<number> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(50)) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const ready = Number(/bulkhead_workers\{connector="static",state="ready"\} (\d+)/.exec(text)?.[1] ?? 0);
    if (ready >= wanted) return ready;
  }
  throw new Error(`There were not ${wanted} workers within two minutes.`);
}
