/** What one log line an invocation, and counting it, cost. */
import { compare } from '../harness/compare.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { startBulkhead } from '../harness/world.ts';

export const series = 'logging and metrics';

export async function overhead(scene: Scene): Promise<void> {
  const { world, results, rounds } = scene;
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker });
  await using on = await startBulkhead({ world, connectors });
  await using off = await startBulkhead({ world, connectors, server: 'logLevel: silent\nmetrics: false' });
  const aim = { body: smallBody(world), connections: 64 };
  const contenders = [
    underLoad(scene, target('both on', on, '/v1/do/static/Echo'), aim),
    underLoad(scene, target('both off', off, '/v1/do/static/Echo'), aim),
  ];
  // Both are new, and it takes the engine seconds under load until it has compiled what it will.
  await compare({ results, at: { series, point: '64 connections' }, contenders, rounds, warmUps: 4 });
}
