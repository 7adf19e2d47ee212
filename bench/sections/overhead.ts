/** What one log line an invocation, and counting it, cost. */
import { compare } from '../harness/compare.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { startBulkhead } from '../harness/world.ts';

export const series = 'logging and metrics';
/** Of load, until the engine has compiled what it will. */
const warmUpSeconds = 4;

export async function overhead(scene: Scene): Promise<void> {
  const { world, results, rounds, seconds, isQuick } = scene;
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker });
  // A process of its own each time: one has more luck than another with where its memory lies, and keeps it.
  const contender = (name: string, server = '') => ({
    name,
    async measure() {
      await using bulkhead = await startBulkhead({ world, connectors, server });
      const aim = { body: smallBody(world), connections: 64 };
      const to = target(name, bulkhead, '/v1/do/static/Echo');
      if (!isQuick) await underLoad(scene, to, { ...aim, seconds: warmUpSeconds }).measure();
      return await underLoad(scene, to, { ...aim, seconds: 2 * seconds }).measure();
    },
  });
  const contenders = [contender('both on'), contender('both off', 'logLevel: silent\nmetrics: false')];
  await compare({ results, at: { series, point: '64 connections' }, contenders, rounds, warmUps: 0 });
}
