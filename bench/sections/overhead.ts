/** What the log line of an invocation, and counting it, cost. */
import { compare } from '../harness/compare.ts';
import { Results } from '../harness/results.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { startBulkhead } from '../harness/world.ts';

export const series = 'logging and metrics';
const at = { series, point: '64 connections' };
/** Of load, until the engine has compiled what it will. */
const warmUpSeconds = 3;
const turns = 5;

/** By new processes again and again: one has more luck than another with where its memory lies, and keeps it. */
export async function overhead(scene: Scene): Promise<void> {
  for (let pair = 0; pair < scene.rounds; pair++) await comparePair(scene);
}

/** The two take turns, and each shows its best: a few percent are looked for here, and whatever disturbs a turn makes it only slower. */
async function comparePair(scene: Scene): Promise<void> {
  const { world, isQuick } = scene;
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker });
  await using on = await startBulkhead({ world, connectors });
  await using off = await startBulkhead({ world, connectors, server: 'logLevel: silent\nmetrics: false' });
  const targets = [target('both on', on, '/v1/do/static/Echo'), target('both off', off, '/v1/do/static/Echo')];
  const aim = { body: smallBody(world), connections: 64 };
  if (!isQuick) for (const one of targets) await underLoad(scene, one, { ...aim, seconds: warmUpSeconds }).measure();
  const pair = new Results();
  const contenders = targets.map((one) => underLoad(scene, one, aim));
  await compare({ results: pair, at, contenders, rounds: isQuick ? 1 : turns });
  for (const { contender, rounds } of pair.rows) {
    const best = rounds.toSorted((one, other) => (other['perSecond'] ?? 0) - (one['perSecond'] ?? 0))[0];
    scene.results.add(at, contender, best ?? {});
  }
}
