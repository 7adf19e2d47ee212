import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, type ServerProcess, startAnnounced, startOnPort, untilReady } from './server-process.ts';

/** Files that all servers of one run are made of; removed at the end. */
export interface World extends Disposable {
  readonly folder: string;
  /** Folder of each connector. */
  readonly children: { readonly static: string; readonly python: string; readonly node: string; readonly troubled: string };
  /** A copy of a connector under another name. */
  copyOf(child: keyof World['children'], name: string): string;
  /** What the static child is here: a C program, or what stands in for it. */
  readonly staticChild: string;
  /** A file with a request body. */
  body(name: string, content: string): string;
}

const bench = fileURLToPath(new URL('..', import.meta.url));
export const project = fileURLToPath(new URL('../..', import.meta.url));

export function createWorld(): World {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
  // The user of the sandboxes must be able to read it.
  chmodSync(folder, 0o755);
  for (const name of ['static', 'python', 'node', 'troubled'])
    cpSync(join(bench, 'children', name), join(folder, name), { recursive: true });
  cpSync(join(project, 'connector-images/sdk/bulkhead.py'), join(folder, 'python/bulkhead.py'));
  // As docs/connectors.md has authors do it; one in a read-only folder cannot keep what it compiled itself.
  spawnSync('/usr/bin/python3', ['-m', 'compileall', '-q', join(folder, 'python')], { stdio: 'inherit' });
  for (const name of ['node', 'troubled']) cpSync(join(project, 'connector-images/sdk/bulkhead.ts'), join(folder, name, 'bulkhead.ts'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    folder,
    children: {
      static: join(folder, 'static'),
      python: join(folder, 'python'),
      node: join(folder, 'node'),
      troubled: join(folder, 'troubled'),
    },
    staticChild: buildStaticChild(join(folder, 'static')),
    copyOf(child, name) {
      const copy = join(folder, name);
      cpSync(join(folder, child), copy, { recursive: true });
      const manifest = join(copy, 'connector.yaml');
      writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/^name: .*$/m, `name: ${name}`));
      return copy;
    },
    body(name, content) {
      const file = join(folder, `${name}.json`);
      writeFileSync(file, content);
      return file;
    },
    [Symbol.dispose]() {
      process.off('exit', remove);
      remove();
    },
  };
}

/** Without a C compiler the fastest child there is stands in, and the report says so. */
function buildStaticChild(folder: string): string {
  const { status, error } = spawnSync('gcc', ['-O2', '-static', '-o', join(folder, 'connector'), join(folder, 'main.c')], {
    stdio: 'inherit',
  });
  if (error === undefined && status === 0) return 'static C program';
  writeFileSync(join(folder, 'connector'), nodeStandIn, { mode: 0o755 });
  cpSync(join(project, 'connector-images/sdk/bulkhead.ts'), join(folder, 'bulkhead.ts'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'stand-in.ts'), nodeStandInCode);
  return 'Node program (gcc is not installed)';
}

const nodeStandIn = '#!/bin/sh\nexec node stand-in.ts\n';
const nodeStandInCode = `import { serve } from './bulkhead.ts';
serve({ version: '1.0.0', concurrency: 256, commands: { CombineStrings: (input) => input, Echo: (input) => input } });
`;

export interface BulkheadOptions {
  readonly world: World;
  /** The connectors of its config, as YAML, not indented. */
  readonly connectors: string;
  readonly server?: string;
}

let configs = 0;

/** Bulkhead as a user starts it, with its log in a file. */
export async function startBulkhead({ world, connectors, server = '' }: BulkheadOptions): Promise<ServerProcess> {
  return await serveConfig(world, `bulkhead-${configs++}`, connectors, server);
}

export interface ServedConfig extends ServerProcess {
  /** Its config, and what stands in it before the connectors. */
  readonly file: string;
  readonly head: string;
  readonly logFile: string;
}

export async function serveConfig(world: World, name: string, connectors: string, server = ''): Promise<ServedConfig> {
  const { file, head, port } = await writeConfig(world, name, connectors, server);
  const logFile = join(world.folder, `${name}.log`);
  const args = [join(project, 'src/main.ts'), 'serve', '--config', file];
  const started = await startOnPort({ command: process.execPath, args, environment: fromSource, port, path: '/readyz', logFile });
  return Object.assign(started, { file, head, logFile });
}

/** As `npm run bulkhead` has it. */
const fromSource = { NODE_COMPILE_CACHE: join(project, 'node_modules/.cache/compiled') };

interface WrittenConfig extends Pick<ServedConfig, 'file' | 'head'> {
  readonly port: number;
}

async function writeConfig(world: World, name: string, connectors: string, server: string): Promise<WrittenConfig> {
  const file = join(world.folder, `${name}.yaml`);
  const port = await freePort();
  const head = `server:\n  port: ${port}\n${indent(server)}\nconnectors:\n`;
  writeFileSync(file, `${head}${indent(connectors)}\n`);
  return { file, head, port };
}

/** Two proxies in one process, with the same connectors. */
export async function startTwoProxies(world: World, connectors: string, servers: readonly [string, string]): Promise<TwoProxies> {
  const name = `bulkhead-${configs++}`;
  const first = await writeConfig(world, `${name}-first`, connectors, servers[0]);
  const second = await writeConfig(world, `${name}-second`, connectors, servers[1]);
  const args = [join(bench, 'servers/two-proxies.ts'), first.file, second.file];
  const logFile = join(world.folder, `${name}.log`);
  const started = await startOnPort({
    command: process.execPath,
    args,
    environment: fromSource,
    port: first.port,
    path: '/readyz',
    logFile,
  });
  const secondUrl = `http://127.0.0.1:${second.port}`;
  await untilReady(`${secondUrl}/readyz`);
  return Object.assign(started, { secondUrl });
}

export interface TwoProxies extends ServerProcess {
  /** `url` is the first one's. */
  readonly secondUrl: string;
}

export function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
    .join('\n');
}

export async function startServer(name: string, ...args: readonly string[]): Promise<ServerProcess> {
  return await startAnnounced(join(bench, 'servers', name), args);
}

/** The reference’s way of serving connectors, with as many of them; undefined where Flask or gunicorn is missing. */
export async function startFlask(world: World, connectors: number): Promise<ServerProcess | undefined> {
  const python = '/usr/bin/python3';
  const found = spawnSync(python, ['-c', 'import flask, gunicorn']);
  if (found.error !== undefined || found.status !== 0) return undefined;
  const folder = join(world.folder, `flask-${connectors}`);
  for (let index = 0; index < connectors; index++) {
    const commands = join(folder, `connector_bench${index}`, 'commands');
    mkdirSync(commands, { recursive: true });
    writeFileSync(join(commands, '../__init__.py'), '');
    writeFileSync(join(commands, '__init__.py'), '');
    cpSync(join(bench, 'servers/flask/combine_strings.py'), join(commands, 'combine_strings.py'));
  }
  cpSync(join(bench, 'servers/flask/app.py'), join(folder, 'app.py'));
  const port = await freePort();
  const args = ['-m', 'gunicorn', '--workers', '2', '--bind', `127.0.0.1:${port}`, '--keep-alive', '65', '--log-level', 'error', 'app:app'];
  return await startOnPort({ command: python, args, port, path: '/', cwd: folder, environment: { PYTHONPATH: folder } });
}
