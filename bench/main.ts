/**
 * npm run bench [-- --check] [--quick] [--only NAME,…] [--rounds N] [--output FOLDER]: measures Bulkhead, the bare limit and what users would pick
 * instead in one run, prints tables, and writes bench/results/{results.json,chart.svg}. See bench/README.md.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chartOf } from './chart.ts';
import { goalsOf, verdict } from './goals.ts';
import { findLoadGenerator } from './harness/load.ts';
import { Results } from './harness/results.ts';
import type { Scene } from './harness/scene.ts';
import { endOnSignals } from './harness/server-process.ts';
import { createWorld } from './harness/world.ts';
import { goalTable, machineOf, tablesOf } from './report.ts';
import { coldStarts } from './sections/cold-starts.ts';
import { containers } from './sections/containers.ts';
import { cores } from './sections/cores.ts';
import { engineMembers } from './sections/engine-members.ts';
import { idleWorkers, manyConnectors } from './sections/many.ts';
import { neighbours } from './sections/neighbours.ts';
import { newConnections } from './sections/new-connections.ts';
import { overhead } from './sections/overhead.ts';
import { memory, payloads } from './sections/payloads.ts';
import { singleUse } from './sections/single-use.ts';
import { smallCalls } from './sections/small-calls.ts';

const sections = {
  small: smallCalls,
  payloads,
  memory,
  engine: engineMembers,
  neighbours,
  cold: coldStarts,
  single: singleUse,
  containers,
  connectors: manyConnectors,
  workers: idleWorkers,
  overhead,
  cores,
  anew: newConnections,
} as const;
type SectionName = keyof typeof sections;

const defaultRounds = 4;

const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    output: { type: 'string', default: fileURLToPath(new URL('results', import.meta.url)) },
  },
});
endOnSignals();
process.exitCode = await main();

async function main(): Promise<number> {
  const results = new Results();
  const notes: string[] = [];
  const { name: loadName, run } = findLoadGenerator();
  using world = createWorld();
  const rounds = Number(values.rounds ?? (values.quick ? 1 : defaultRounds));
  const [longRounds, fewRounds] = values.quick ? [1, 1] : [Math.ceil(rounds / 2) + 1, Math.ceil(rounds / 4) + 1];
  const note = (text: string): void => void notes.push(text);
  const scene: Scene = { world, load: run, results, rounds, longRounds, fewRounds, seconds: 1, isQuick: values.quick, note };
  for (const name of chosenSections()) {
    const began = performance.now();
    console.error(`bench: ${name} …`);
    await sections[name](scene);
    console.error(`bench: ${name} took ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  const machine = machineOf({ load: loadName, staticChild: world.staticChild });
  const goals = goalsOf(results);
  mkdirSync(values.output, { recursive: true });
  writeFileSync(
    `${values.output}/results.json`,
    `${JSON.stringify({ machine, notes, goals: goals.map((goal) => ({ ...goal, verdict: verdict(goal) })), rows: results.rows }, undefined, 1)}\n`,
  );
  writeFileSync(`${values.output}/chart.svg`, chartOf(results));
  for (const line of [machine.text, ...notes.map((note) => `Note: ${note}`), ...tablesOf(results), '', ...goalTable(goals)])
    console.log(line);
  console.log(`\nWritten: ${values.output}/results.json, ${values.output}/chart.svg`);
  return values.check && goals.some((goal) => verdict(goal) === 'missed') ? 1 : 0;
}

function chosenSections(): readonly SectionName[] {
  const names = Object.keys(sections) as SectionName[];
  if (values.only === undefined) return names;
  const wanted = values.only.split(',');
  const unknown = wanted.filter((name) => !names.includes(name as SectionName));
  if (unknown.length > 0) throw new Error(`There is no section ${unknown.join(', ')}; there are ${names.join(', ')}.`);
  return names.filter((name) => wanted.includes(name));
}
