/**
 * npm run soak [-- --minutes N]: mixed traffic with crashes, cancelled calls, reloads and floods against one Bulkhead, default 3 minutes.
 * Afterwards memory, descriptors, processes and listening sockets must be back to what they were after a first round of the same traffic,
 * and no call to a connector that behaves may have failed; else it exits 1. See bench/README.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { descendantsOf, descriptorCount, listenerCount, rssMb } from './harness/process-stats.ts';
import { connectorYaml } from './harness/scene.ts';
import { endOnSignals } from './harness/server-process.ts';
import { createWorld, indent, serveConfig, type World } from './harness/world.ts';
import { records } from './sections/payloads.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '3' } } });
const minutes = Number(values.minutes);
/**
 * What of the whole time is the first round, after which everything is counted. V8 takes 100 s of this traffic to come to the heap that
 * it keeps: 176 MB after 30 s, 196 after 90, 203 after 230. Counted at 15 to 30 s, it was 147 to 194 MB, as the last collection had come.
 */
const firstRoundMs = Math.min(120_000, minutes * 30_000);
/** Workers idle for two seconds are closed; the collector needs some time too. */
const settleMs = 15_000;

interface Traffic {
  readonly url: string;
  readonly agent: Agent;
  readonly signal: AbortSignal;
  readonly tally: Map<string, number>;
}

interface Count {
  readonly rssMb: number;
  readonly descriptors: number;
  readonly processes: number;
  readonly listeners: number;
}

async function main(): Promise<number> {
  using world = createWorld();
  const config = configOf(world);
  await using bulkhead = await serveConfig(world, 'soak', config(0));
  const { pid, url } = bulkhead;
  const tally = new Map<string, number>();
  const round = async (ms: number): Promise<Count> => {
    const signal = AbortSignal.timeout(ms);
    const agent = new Agent({ keepAlive: true });
    const reload = (version: number) => {
      writeFileSync(bulkhead.file, `${bulkhead.head}${indent(config(version))}\n`);
      bulkhead.signal('SIGHUP');
    };
    await Promise.all([...kinds.map((kind) => kind({ url, agent, signal, tally })), reloads(signal, reload)]);
    agent.destroy();
    reload(0);
    await sleep(settleMs);
    return count(pid);
  };
  const before = await round(firstRoundMs);
  const after = await round(minutes * 60_000 - firstRoundMs);
  const faults = [...compared(before, after), ...surprises(tally), ...warnings(bulkhead.logFile)];
  console.log('answers', Object.fromEntries([...tally].toSorted()));
  console.log('after the first round', before, 'at the end', after);
  for (const fault of faults) console.error(`soak: ${fault}`);
  console.log(faults.length === 0 ? 'soak: everything is back to where it was' : `soak: ${faults.length} faults`);
  return faults.length === 0 ? 0 : 1;
}

/** A reload changes one connector and leaves the others alone. */
function configOf(world: World): (version: number) => string {
  const { children } = world;
  const pooled = 'min: 1, max: 3, concurrency: 16, queue: 256, idle: 2s';
  const [changing, single] = [world.copyOf('python', 'changing'), world.copyOf('static', 'single')];
  return (version) =>
    [
      connectorYaml({ name: 'static', folder: children.static, workers: pooled }),
      connectorYaml({ name: 'python', folder: children.python, workers: pooled }),
      connectorYaml({
        name: 'changing',
        folder: changing,
        workers: 'min: 0, max: 2, idle: 2s',
        more: `  environment: { VERSION: "${version}" }\n`,
      }),
      connectorYaml({
        name: 'single',
        folder: single,
        workers: 'mode: single-use, prewarm: 2, max: 6, queue: 256',
      }),
      connectorYaml({
        name: 'troubled',
        folder: children.troubled,
        workers: 'min: 0, max: 3, queue: 16, idle: 2s',
        more: '  limits: { invocation: 2s, cancelGrace: 500ms }\n',
      }),
    ].join('');
}

const arguments_ = JSON.stringify({ arg1: 'one', arg2: 'two' });
const large = records(2e6);

/** Each kind of traffic goes on until the round is over. */
const kinds: readonly ((traffic: Traffic) => Promise<void>)[] = [
  ...Array.from({ length: 4 }, () => calls('static/Echo', arguments_, 2)),
  calls('python/CombineStrings', arguments_, 5),
  calls('changing/CombineStrings', arguments_, 20),
  calls('single/Echo', arguments_, 50),
  calls('static/Echo', large, 100),
  ...['Crash', 'Garbage', 'Fail', 'Flood', 'Deaf'].map((command) => calls(`troubled/${command}`, '{}', 300)),
  cancelled,
  bursts,
  brokenClients,
];

function calls(command: string, body: string, pauseMs: number): (traffic: Traffic) => Promise<void> {
  return async (traffic) => {
    while (!traffic.signal.aborted) {
      count1(traffic, command, await call(traffic, command, body));
      await sleep(pauseMs);
    }
  };
}

/** Clients that go away while their call runs. */
async function cancelled(traffic: Traffic): Promise<void> {
  while (!traffic.signal.aborted) {
    count1(traffic, 'troubled/Hang', await call(traffic, 'troubled/Hang', '{}', 50));
    await sleep(50);
  }
}

/** More calls at once than the queue takes: the rest is refused, and nothing breaks. */
async function bursts(traffic: Traffic): Promise<void> {
  while (!traffic.signal.aborted) {
    const statuses = await Promise.all(Array.from({ length: 100 }, () => call(traffic, 'troubled/Hang', '{}', 300)));
    for (const status of statuses) count1(traffic, 'troubled/Hang', status);
    await sleep(3000);
  }
}

async function brokenClients({ url, signal }: Traffic): Promise<void> {
  const { port, hostname } = new URL(url);
  const beginnings = [
    '',
    'POST /v1/do/static/Echo HTTP/1.1\r\nHost: x\r\n',
    'nonsense\r\n\r\n',
    'POST /v1/do/static/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{',
  ];
  for (let turn = 0; !signal.aborted; turn++) {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => {});
    socket.write(beginnings[turn % beginnings.length] ?? '');
    await sleep(50);
    socket.destroy();
  }
}

async function reloads(signal: AbortSignal, reload: (version: number) => void): Promise<void> {
  for (let version = 1; !signal.aborted; version++) {
    await sleep(2000);
    reload(version);
  }
}

/** The status, or what ended the call without one. */
function call({ url, agent }: Traffic, command: string, body: string, giveUpMs = 60_000): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const outgoing = request(`${url}/v1/do/${command}`, { method: 'POST', agent, headers, signal: AbortSignal.timeout(giveUpMs) });
  outgoing.on('error', (error) => resolve(error.name === 'AbortError' ? 'gave up' : `failed: ${error.message}`));
  outgoing.on('response', (incoming) => {
    incoming.on('error', () => resolve('gave up'));
    incoming.resume().on('end', () => resolve(String(incoming.statusCode)));
  });
  outgoing.end(body);
  return promise;
}

function count1({ tally }: Traffic, command: string, status: string): void {
  const key = `${command} ${status}`;
  tally.set(key, (tally.get(key) ?? 0) + 1);
}

function count(pid: number): Count {
  return { rssMb: rssMb(pid), descriptors: descriptorCount(pid), processes: descendantsOf(pid).length, listeners: listenerCount(pid) };
}

const rssGrowthMax = 1.25;

function compared(before: Count, after: Count): readonly string[] {
  const same = (['descriptors', 'processes', 'listeners'] as const).flatMap((name) =>
    after[name] > before[name] ? [`${name}: ${after[name]}, were ${before[name]}`] : [],
  );
  const grew = after.rssMb > rssGrowthMax * before.rssMb;
  return grew ? [...same, `memory: ${after.rssMb.toFixed(0)} MB, was ${before.rssMb.toFixed(0)} MB`] : same;
}

/** Connectors that behave must not notice what others do. */
function surprises(tally: ReadonlyMap<string, number>): readonly string[] {
  return [...tally].flatMap(([key, times]) =>
    /^(static|python|changing|single)\//.test(key) && !key.endsWith(' 200') ? [`${key}: ${times} times`] : [],
  );
}

function warnings(logFile: string): readonly string[] {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  return lines.filter((line) => /MaxListenersExceeded|unhandled|internal_error/i.test(line)).slice(0, 5);
}

endOnSignals();
process.exitCode = await main();
