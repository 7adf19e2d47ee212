/**
 * Large bodies alone, in a minute: `node bench/large/main.ts [OTHER-TREE]`. Prints ratios to an HTTP byte echo of the same run, CPU per
 * request, peak memory, and how small calls fare beside large ones. With another checkout of the project, both are measured in turns.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLoadGenerator, runClient } from '../harness/load.ts';
import { cpuMs, peakMb, resetPeak, rssMb } from '../harness/process-stats.ts';
import { endOnSignals, freePort, type ServerProcess, startOnPort } from '../harness/server-process.ts';
import { createWorld, project, startServer, type World } from '../harness/world.ts';
import { records } from '../sections/payloads.ts';

const rounds = 3;
const seconds = 3;
const { run: load } = findLoadGenerator();

interface Contestant {
  readonly name: string;
  readonly server: ServerProcess;
  readonly path: string;
}

/** Both connectors are unsandboxed: what is measured is the proxy. */
async function startTree(world: World, tree: string, name: string): Promise<Contestant> {
  const port = await freePort();
  const connector = (own: string): string =>
    `  ${own}:\n    path: ${world.copyOf('static', own)}\n    sandbox: none\n    workers: { min: 1, max: 1, concurrency: 256, queue: 1024 }\n`;
  const file = join(world.folder, `${name}.yaml`);
  writeFileSync(file, `server: { port: ${port} }\nconnectors:\n${connector(`large-${name}`)}${connector(`small-${name}`)}`);
  const args = [join(tree, 'src/main.ts'), 'serve', '--config', file];
  const logFile = join(world.folder, `${name}.log`);
  return {
    name,
    path: `/v1/do/large-${name}/Echo`,
    server: await startOnPort({ command: process.execPath, args, port, path: '/readyz', logFile }),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function throughput(contestants: readonly Contestant[], world: World): Promise<void> {
  for (const [name, content] of bodies()) {
    for (const connections of [1, 4]) {
      const body = world.body(name.replaceAll(' ', '-'), content);
      const rates = contestants.map((): number[] => []);
      const cpus = contestants.map((): number[] => []);
      for (let round = 0; round < rounds; round += 1) {
        for (const [index, { server, path }] of contestants.entries()) {
          const before = cpuMs(server.pid);
          const { perSecond, requests } = await load({ url: server.url + path, body, connections, seconds });
          rates[index]?.push(perSecond);
          cpus[index]?.push((cpuMs(server.pid) - before) / requests);
        }
      }
      const limit = median(rates[0] ?? []);
      const told = contestants.map((one, index) => {
        return `${one.name} ${(median(rates[index] ?? []) / limit).toFixed(2)} (${median(cpus[index] ?? []).toFixed(1)} ms of CPU)`;
      });
      console.log(`${name}, ${connections} connections: ${told.join(', ')}`);
    }
  }
}

function bodies(): readonly (readonly [string, string])[] {
  return [1e6, 1e7].flatMap((bytes) => [
    [`${bytes / 1e6} MB of records`, records(bytes)] as const,
    [`${bytes / 1e6} MB in one string`, JSON.stringify({ text: 'x'.repeat(bytes) })] as const,
  ]);
}

async function memory({ name, server, path }: Contestant, body: string): Promise<void> {
  const idle = rssMb(server.pid);
  resetPeak(server.pid);
  await load({ url: server.url + path, body, connections: 4, seconds: 4 });
  const peak = peakMb(server.pid);
  await sleep(10_000);
  console.log(
    `${name}: RSS before ${idle.toFixed(0)} MB, peak with four calls of 10 MB ${peak.toFixed(0)}, 10 s later ${rssMb(server.pid).toFixed(0)}`,
  );
}

/** A fixed pace that leaves the machine room, so that what is measured is waiting. */
async function neighbours({ name, server, path }: Contestant, world: World, large: string): Promise<void> {
  const small = {
    url: `${server.url}/v1/do/small-${name}/Echo`,
    body: world.body('small', '{"a":"hello"}'),
    connections: 4,
    perSecond: 100,
  };
  const quiet: number[] = [];
  const loaded: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    quiet.push((await runClient({ ...small, seconds: 4 })).p99Us);
    const flow = load({ url: server.url + path, body: large, connections: 2, seconds: 6 });
    await sleep(500);
    loaded.push((await runClient({ ...small, seconds: 4 })).p99Us);
    await flow;
  }
  const [alone, beside] = [median(quiet), median(loaded)];
  console.log(
    `${name}: p99 of small calls ${(alone / 1000).toFixed(1)} ms alone, ${(beside / 1000).toFixed(1)} ms beside 10 MB: ${(beside / alone).toFixed(1)} x`,
  );
}

const [other] = process.argv.slice(2);
endOnSignals();
using world = createWorld();
await using stack = new AsyncDisposableStack();
const limit: Contestant = { name: 'byte echo', server: stack.use(await startServer('byte-echo.ts')), path: '/' };
const trees = [await startTree(world, project, 'here'), ...(other === undefined ? [] : [await startTree(world, other, 'other')])];
for (const { server } of trees) stack.use(server);
const large = world.body('large', records(1e7));
for (const tree of trees) await memory(tree, large);
for (const tree of trees) await neighbours(tree, world, large);
await throughput([limit, ...trees], world);
