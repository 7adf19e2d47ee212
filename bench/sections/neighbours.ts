/** Small calls to one connector while bodies of 10 MB flow to another. */
import { type Contender, compare } from '../harness/compare.ts';
import { runClient } from '../harness/load.ts';
import { connectorYaml, oneWorker, patient, type Scene, smallBody, type Target, target } from '../harness/scene.ts';
import { startBulkhead, startServer } from '../harness/world.ts';
import { records } from './payloads.ts';

export const series = 'small calls beside large ones';
/** What callers do: each waits for its answer before it asks again; or: calls come when they come. */
export const paces = {
  '16 connections': { connections: 16, seconds: 2 },
  // Of few calls p99 is chance: of two seconds' it would be the second slowest.
  '100 calls a second': { connections: 16, perSecond: 100, seconds: 6 },
} as const;
/** Callers that send large bodies, one after the other. */
const largeConnections = 2;

export async function neighbours(scene: Scene): Promise<void> {
  const { world, results, rounds, isQuick } = scene;
  await using stack = new AsyncDisposableStack();
  const yaml = (name: string) => connectorYaml({ name, folder: world.copyOf('static', name), workers: oneWorker, more: patient });
  const bulkhead = stack.use(await startBulkhead({ world, connectors: yaml('small') + yaml('large') }));
  const hono = stack.use(await startServer('hono-echo.ts'));
  const bytes = stack.use(await startServer('byte-echo.ts'));
  const pairs = [
    { small: target('bulkhead', bulkhead, '/v1/do/small/Echo'), large: target('', bulkhead, '/v1/do/large/Echo') },
    // What two processes that have nothing to do with one another do to one another on this machine.
    { small: target('separate processes', hono, '/echo'), large: target('', bytes, '/') },
  ];
  const largeBody = world.body('large', records(isQuick ? 1e6 : 1e7));
  for (const [point, pace] of Object.entries(paces)) {
    const contenders = pairs.flatMap((pair) => [quiet(scene, pair.small, pace), loaded(scene, pair, pace, largeBody)]);
    await compare({ results, at: { series, point }, contenders, rounds });
  }
}

type Pace = (typeof paces)[keyof typeof paces];

function quiet(scene: Scene, { name, url }: Target, pace: Pace): Contender {
  const options = { url, body: smallBody(scene.world), ...pace };
  return { name: `${name}, quiet`, measure: async () => pick(await runClient(options)) };
}

function loaded(scene: Scene, { small, large }: { readonly small: Target; readonly large: Target }, pace: Pace, body: string): Contender {
  const { measure } = quiet(scene, small, pace);
  return {
    name: `${small.name}, beside 10 MB`,
    async measure() {
      const flow = scene.load({ url: large.url, body, connections: largeConnections, seconds: pace.seconds + 1 });
      // The flow is under way before, and still is after.
      await new Promise((resolve) => setTimeout(resolve, leadMs));
      const metrics = await measure();
      return { ...metrics, largePerSecond: (await flow).perSecond };
    },
  };
}

const leadMs = 400;

function pick({ perSecond, p50Us, p99Us }: { readonly perSecond: number; readonly p50Us: number; readonly p99Us: number }) {
  return { perSecond, p50Us, p99Us };
}
