/** Calls as Spiff’s engine makes them, by Python’s `requests.post`: each opens a connection of its own. */
import { compare } from '../harness/compare.ts';
import { hasWrk } from '../harness/load.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { startBulkhead, startServer } from '../harness/world.ts';

export const series = 'new connections';
export const point = '16 callers, a connection for each call';
/** Of load, until the engine has compiled what it will: connections take it longer than calls. */
const warmUps = 6;

export async function newConnections(scene: Scene): Promise<void> {
  const { world, results, rounds, isQuick, note } = scene;
  if (!hasWrk()) {
    note('A connection for each call was left out: apt-get install wrk brings what it takes.');
    return;
  }
  const { static: folder } = world.children;
  await using limit = await startServer('hono-echo.ts');
  await using bare = await startServer('bare-child.ts', folder, './connector');
  await using bulkhead = await startBulkhead({ world, connectors: connectorYaml({ name: 'static', folder, workers: oneWorker }) });
  const targets = [
    target('hono echo', limit, '/echo'),
    target('bulkhead, static child', bulkhead, '/v1/do/static/Echo'),
    target('bare server, static child', bare, '/'),
  ];
  const aim = { body: smallBody(world), connections: 16, connectsAnew: true };
  const contenders = targets.map((one) => underLoad(scene, one, aim));
  await compare({ results, at: { series, point }, contenders, rounds: 2 * rounds, warmUps: isQuick ? 1 : warmUps });
}
