/** What a second proxy adds on the same machine: whether one event loop is the limit, or the cores that callers and connectors share with it. */
import { type Contender, compare } from '../harness/compare.ts';
import { connectorYaml, oneWorker, patient, type Scene, smallBody, type Target, target } from '../harness/scene.ts';
import { startBulkhead } from '../harness/world.ts';
import { records } from './payloads.ts';

export const series = 'proxies side by side';

export async function cores(scene: Scene): Promise<void> {
  const { world, results, rounds, isQuick } = scene;
  const connectors = (['static', 'node'] as const)
    .map((name) => connectorYaml({ name, folder: world.children[name], workers: oneWorker, more: patient }))
    .join('');
  await using one = await startBulkhead({ world, connectors });
  await using other = await startBulkhead({ world, connectors });
  const large = world.body('large-cores', records(isQuick ? 1e5 : 1e6));
  const points = [
    { point: 'small calls, 64 connections', body: smallBody(world), connections: 64, path: '/v1/do/static/Echo' },
    { point: 'small calls of a Node child, 16 connections', body: smallBody(world), connections: 16, path: '/v1/do/node/CombineStrings' },
    { point: '1 MB, 4 connections', body: large, connections: 4, path: '/v1/do/static/Echo' },
  ];
  for (const { point, body, connections, path } of points) {
    const [first, second] = [target('', one, path), target('', other, path)] as const;
    const aim = { body, connections: connections / 2 };
    const contenders = [
      halves(scene, 'bulkhead, one process', [first, first], aim),
      halves(scene, 'bulkhead, two processes', [first, second], aim),
    ];
    await compare({ results, at: { series, point }, contenders, rounds });
  }
}

interface Half {
  readonly body: string;
  readonly connections: number;
}

/** Two load generators in either case, so that only the proxies differ. */
function halves({ load, seconds }: Scene, name: string, targets: readonly Target[], half: Half): Contender {
  return {
    name,
    async measure() {
      const both = await Promise.all(targets.map(({ url }) => load({ url, seconds, ...half })));
      return {
        perSecond: both.reduce((sum, { perSecond }) => sum + perSecond, 0),
        p50Us: Math.max(...both.map(({ p50Us }) => p50Us)),
        p99Us: Math.max(...both.map(({ p99Us }) => p99Us)),
      };
    },
  };
}
