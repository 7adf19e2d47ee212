/** From the wish to the first byte of a shell: bubblewrap by hand, and Bulkhead’s runner. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { noAuditLog } from '../../src/egress/audit.ts';
import { createEgressGateway } from '../../src/egress/gateway.ts';
import { silentLogger } from '../../src/log.ts';
import { networkRule } from '../../src/manifest/host-pattern.ts';
import type { ConnectorName } from '../../src/manifest/names.ts';
import type { NetworkPolicy } from '../../src/manifest/network.ts';
import type { Runner } from '../../src/runner/runner.ts';
import { findSandboxUser, sandboxUserDefault } from '../../src/runner/sandbox-user.ts';
import { createSubprocessRunner } from '../../src/runner/subprocess.ts';
import { bareSandbox } from '../harness/bare-sandbox.ts';
import { type Contender, compare } from '../harness/compare.ts';
import { limits } from '../harness/policy.ts';
import type { Scene } from '../harness/scene.ts';

export const series = 'cold subprocess';
export const point = 'first byte of a shell';
/** Between two starts of any kind: a cold start comes by itself. Starts that come together are what the section `single` measures. */
const pauseMs = 100;
/** Of its rounds to others': they take no time, and differ by a tenth. */
const moreRounds = 5;
const command = ['/bin/sh', '-c', 'echo here; exec sleep 60'] as const;

export async function coldStarts({ world, results, rounds, isQuick }: Scene): Promise<void> {
  const folder = world.children.static;
  const user = findSandboxUser(sandboxUserDefault, process.getuid?.());
  const gateway = createEgressGateway({ audit: noAuditLog, log: silentLogger });
  const runner = createSubprocessRunner({ egress: gateway });
  const rules: NetworkPolicy = { type: 'rules', rules: [networkRule('api.example.com:443'), networkRule('db.example.com:5432')] };
  const spawned = (name: string, program: string, args: readonly string[]): Contender => ({
    name,
    measure: () => firstByteOf(program, args, user),
  });
  const started = (name: string, network: NetworkPolicy): Contender => ({ name, measure: () => firstByteFrom(runner, folder, network) });
  const contenders = [
    spawned('process without sandbox', command[0], command.slice(1)),
    spawned('bubblewrap by hand', '/usr/bin/bwrap', bareSandbox(folder, command)),
    started('bulkhead, no network', { type: 'none' }),
    started('bulkhead, with rules', rules),
  ];
  try {
    await compare({ results, at: { series, point }, contenders, rounds: isQuick ? 2 : moreRounds * rounds });
  } finally {
    await runner.close();
    await gateway.close();
  }
}

async function firstByteOf(
  program: string,
  args: readonly string[],
  user: ReturnType<typeof findSandboxUser>,
): Promise<{ startMs: number }> {
  await sleep(pauseMs);
  const began = performance.now();
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: '/',
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  await once(child.stdout, 'data');
  const startMs = performance.now() - began;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return { startMs };
}

async function firstByteFrom(runner: Runner, folder: string, network: NetworkPolicy): Promise<{ startMs: number }> {
  const policy = { sandbox: 'enforced', network, limits, environment: {} } as const;
  const spec = { connector: 'bench' as ConnectorName, policy, source: { type: 'folder', folder, command } as const, onNotice: () => {} };
  await sleep(pauseMs);
  // A start is given its caller’s; to make one is a third of a millisecond that is not its own.
  const signal = AbortSignal.timeout(startTimeoutMs);
  const began = performance.now();
  const process = await runner.start(spec, signal);
  await once(process.stdout, 'data');
  const startMs = performance.now() - began;
  process.kill();
  await process.exited;
  return { startMs };
}

const startTimeoutMs = 30_000;
