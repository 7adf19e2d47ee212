/** Small calls: the bare limit, Bulkhead with three children, and what users would pick instead. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Contender, compare } from '../harness/compare.ts';
import { hasWrk } from '../harness/load.ts';
import { mcpCallBody, mcpGateways, startMcpGateway } from '../harness/mcp-gateways.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, type Target, target, underLoad } from '../harness/scene.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { startBulkhead, startFlask, startServer } from '../harness/world.ts';

export const series = 'small calls';
export const flaskSizes = [1, 10, 30] as const;
/** One connection alone takes seconds until what it runs is compiled, and at the first point all are new. */
const newWarmUps = 4;

/**
 * What goals compare, at each number of connections: measured in the same rounds, since within minutes the machine becomes another. The
 * rest comes afterwards, in fewer.
 */
const namesOfGoals: Readonly<Record<number, readonly string[]>> = {
  1: ['hono echo', 'bulkhead, static child', 'bare server, static child', 'pipe round trip, static child'],
  16: [
    ...['hono echo', 'bulkhead, static child', 'bulkhead, Python child', 'bulkhead, Node child', 'MCP SDK client and server'],
    ...['bare server, static child', 'bare server, Python child', 'bare server, Node child'],
    ...['dutiful server, Python child', 'dutiful server, Node child'],
    ...['Flask under gunicorn, 1 connectors', 'fork per request, python3', ...mcpGateways],
  ],
  64: ['hono echo', 'bulkhead, static child', 'bare server, static child'],
};

/**
 * The ratios of goals differ from round to round by a fifth and more: what one connection sees depends on where the scheduler puts whom, what
 * many see on who gets the second core.
 */
const moreRounds: Readonly<Record<number, number>> = { 1: 4, 16: 2, 64: 2 };

export async function smallCalls(scene: Scene): Promise<void> {
  const { world, results, rounds, fewRounds, isQuick } = scene;
  await using stack = new AsyncDisposableStack();
  const limit = stack.use(await startServer('hono-echo.ts'));
  const bulkhead = stack.use(await startBulkheadOfThree(scene));
  const bare = [...(await startBareServers(scene, stack)), ...(await startDutifulServers(scene, stack))];
  const mcp = stack.use(await startServer('mcp-client.ts'));
  const fork = stack.use(await startServer('fork.ts', '/usr/bin/python3', fileURLToPath(new URL('../servers/once.py', import.meta.url))));
  const flasks = await startFlasks(scene, stack);
  const gateways = await startGateways(scene, stack);
  const quick = [
    target('hono echo', limit, '/echo'),
    target('bulkhead, static child', bulkhead, '/v1/do/static/Echo'),
    target('bulkhead, static child, types checked', bulkhead, '/v1/do/static/CombineStrings'),
    target('bulkhead, Python child', bulkhead, '/v1/do/python/CombineStrings'),
    target('bulkhead, Node child', bulkhead, '/v1/do/node/CombineStrings'),
    target('MCP SDK client and server', mcp, '/call'),
    ...bare,
  ];
  const slow = [...flasks, target('fork per request, python3', fork, '/run')];
  const body = smallBody(world);
  for (const connections of isQuick ? [16] : [1, 4, 16, 64, 256]) {
    const names = namesOfGoals[connections];
    const contenders =
      names === undefined
        ? quick.slice(0, 2).map((one) => underLoad(scene, one, { body, connections }))
        : [
            ...quick.map((one) => underLoad(scene, one, { body, connections })),
            ...slow.map((one) => underLoad(scene, one, { body, connections, seconds: scene.seconds * 2 })),
            ...(connections === 1 ? pipes(scene) : []),
            ...(connections === 16 ? gateways : []),
          ];
    const isNamed = ({ name }: Contender): boolean => names?.includes(name) ?? false;
    const at = { series, point: `${connections} connections` };
    await compare({
      results,
      at,
      contenders: contenders.filter(isNamed),
      rounds: rounds * (moreRounds[connections] ?? 1),
      warmUps: connections === 1 ? newWarmUps : 1,
    });
    await compare({ results, at, contenders: contenders.filter((one) => !isNamed(one)), rounds: fewRounds });
  }
}

async function startBulkheadOfThree({ world }: Scene): Promise<ServerProcess> {
  const { children } = world;
  const connectors = (['static', 'python', 'node'] as const).map((name) =>
    connectorYaml({ name, folder: children[name], workers: oneWorker }),
  );
  return await startBulkhead({ world, connectors: connectors.join('') });
}

/** What one event loop with a child could reach at most; see servers/bare-child.ts. */
async function startBareServers({ world: { children } }: Scene, stack: AsyncDisposableStack): Promise<readonly Target[]> {
  const start = async (child: string, ...command: readonly string[]): Promise<Target> =>
    target(`bare server, ${child} child`, stack.use(await startServer('bare-child.ts', ...command)), '/');
  return [
    await start('static', children.static, './connector'),
    await start('Python', children.python, '/usr/bin/python3', 'main.py'),
    await start('Node', children.node, process.execPath, 'main.mjs'),
  ];
}

/** What one could reach that does for each call what Bulkhead owes it; see servers/dutiful-child.ts. */
async function startDutifulServers({ world }: Scene, stack: AsyncDisposableStack): Promise<readonly Target[]> {
  const { children } = world;
  const start = async (child: string, ...command: readonly string[]): Promise<Target> => {
    const log = join(world.folder, `dutiful-${child}.log`);
    return target(`dutiful server, ${child} child`, stack.use(await startServer('dutiful-child.ts', log, ...command)), '/');
  };
  return [
    await start('Python', children.python, '/usr/bin/python3', 'main.py'),
    await start('Node', children.node, process.execPath, 'main.mjs'),
  ];
}

async function startFlasks({ world, note, isQuick }: Scene, stack: AsyncDisposableStack): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const size of isQuick ? [1] : flaskSizes) {
    const flask = await startFlask(world, size);
    if (flask === undefined) note('Flask under gunicorn was left out: apt-get install python3-flask gunicorn brings it.');
    else targets.push(target(`Flask under gunicorn, ${size} connectors`, stack.use(flask), '/v1/do/bench0/CombineStrings'));
    if (flask === undefined) break;
  }
  return targets;
}

/** Their sessions bear no large number of connections at once, nor do they need it: one point says enough. */
async function startGateways(scene: Scene, stack: AsyncDisposableStack): Promise<readonly Contender[]> {
  const contenders: Contender[] = [];
  for (const name of hasWrk() ? mcpGateways : []) {
    const gateway = await startMcpGateway(name);
    if (gateway === undefined) continue;
    const { session } = stack.use(gateway);
    const aim = { body: mcpCallBody(scene.world), connections: 16, seconds: scene.seconds * 2, session };
    contenders.push(underLoad(scene, target(name, gateway, '/mcp'), aim));
  }
  if (contenders.length < mcpGateways.length)
    scene.note('Gateways in front of MCP servers were left out: wrk and `npm install --no-save supergateway mcp-proxy` bring them.');
  return contenders;
}

/** Each child alone on its pipes: what one round trip costs with nothing around it. */
function pipes({ world, seconds }: Scene): readonly Contender[] {
  const script = fileURLToPath(new URL('../servers/pipe.ts', import.meta.url));
  const pipe = (name: string, folder: string, command: readonly string[]): Contender => ({
    name: `pipe round trip, ${name}`,
    async measure() {
      const child = spawn(process.execPath, [script, String(seconds / 2), ...command], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      const { p50Us, p99Us } = JSON.parse(said) as { p50Us: number; p99Us: number };
      return { p50Us, p99Us };
    },
  });
  return [
    pipe('static child', world.children.static, ['./connector']),
    pipe('Python child', world.children.python, ['/usr/bin/python3', 'main.py']),
    pipe('Node child', world.children.node, [process.execPath, 'main.mjs']),
  ];
}
