/** What the log line of an invocation, and counting it, cost. */
import { compare } from '../harness/compare.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { startTwoProxies } from '../harness/world.ts';

export const series = 'logging and metrics';
const point = '64 connections';
/** Of load, until the engine has compiled what it will. */
const warmUpSeconds = 3;
/** Of its rounds to others’: a few percent are looked for, and a turn differs from the next one by 7 to 13 (the median of forty is known to 2). */
const moreRounds = 20;

/** In one process, for of two processes one has more luck than the other with where its memory lies, and keeps it: 7 percent. */
export async function overhead(scene: Scene): Promise<void> {
  const { world, results, rounds, isQuick } = scene;
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker });
  await using two = await startTwoProxies(world, connectors, ['', 'logLevel: silent\nmetrics: false']);
  const { pid, url, secondUrl } = two;
  const path = '/v1/do/static/Echo';
  const targets = [target('both on', { url, pid }, path), target('both off', { url: secondUrl, pid }, path)];
  const aim = { body: smallBody(world), connections: 64 };
  if (!isQuick) for (const one of targets) await underLoad(scene, one, { ...aim, seconds: warmUpSeconds }).measure();
  const contenders = targets.map((one) => underLoad(scene, one, aim));
  await compare({ results, at: { series, point }, contenders, rounds: isQuick ? 1 : moreRounds * rounds });
}
