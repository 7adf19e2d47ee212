/** What the members that Spiff’s engine adds to every body cost: of them a connector gets those that its command’s context names. */
import { compare } from '../harness/compare.ts';
import { connectorYaml, oneWorker, patient, type Scene, smallInput, target, underLoad } from '../harness/scene.ts';
import { startBulkhead } from '../harness/world.ts';
import { afterTurnMs, records } from './payloads.ts';

export const series = 'members of the engine';
const megabyte = 1000 ** 2;
/**
 * Each an input as text, and how many times the seconds and the rounds of others. Small calls of one process have 10 000 to 27 000 a second from
 * round to round: of four rounds the median was 0.85 to 1.02.
 */
const inputs = {
  '100 bytes, 16 connections': { text: () => JSON.stringify(smallInput), connections: 16, turns: 1, moreRounds: 4 },
  '1 MB of records, 1 connections': { text: () => records(megabyte), connections: 1, turns: 1, moreRounds: 1 },
  '10 MB of records, 1 connections': { text: () => records(10 * megabyte), connections: 1, turns: 2, moreRounds: 1 },
} as const;
export const points = Object.keys(inputs);

/** As the engine sends them: spiff-arena’s service task delegate, with little task data. */
const members = [
  '"spiff__process_instance_id":4711',
  '"spiff__process_model_identifier":"group/model"',
  '"spiff__task_id":"0c8e7a4e-1f5c-4f0e-9f0d-1a2b3c4d5e6f"',
  '"spiff__callback_url":"https://backend.example/v1.0/tasks/4711/0c8e7a4e-1f5c-4f0e-9f0d-1a2b3c4d5e6f/callback"',
  '"spiff__task_data":{"approved":true}',
];

export async function engineMembers(scene: Scene): Promise<void> {
  const { world, results, rounds, seconds, isQuick } = scene;
  const connectors = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker, more: patient });
  await using bulkhead = await startBulkhead({ world, connectors });
  const path = '/v1/do/static/Echo';
  for (const [point, { text, connections, turns, moreRounds }] of Object.entries(inputs).slice(0, isQuick ? 1 : undefined)) {
    const input = text();
    const bodies = { without: input, with: `${input.slice(0, -1)},${members.join()}}` };
    const contenders = Object.entries(bodies).map(([name, body]) =>
      underLoad(scene, target(name, bulkhead, path), {
        body: world.body(`engine-${name}-${input.length}`, body),
        connections,
        seconds: seconds * turns,
      }),
    );
    await compare({ results, at: { series, point }, contenders, rounds: rounds * moreRounds, settleMs: afterTurnMs });
  }
}
