import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, type ServerProcess, startOnPort } from './server-process.ts';
import { project, type World } from './world.ts';

export const mcpGateways = ['supergateway', 'mcp-proxy'] as const;
export type McpGateway = (typeof mcpGateways)[number];

/** HTTP in front of one stdio MCP server, with the session in which its one tool is called. */
export interface StartedGateway extends ServerProcess {
  readonly session: string;
}

/** Undefined where it is not installed: as a dependency it would bring a hundred packages to everybody. */
export async function startMcpGateway(name: McpGateway): Promise<StartedGateway | undefined> {
  const program = join(project, 'node_modules/.bin', name);
  if (!existsSync(program)) return undefined;
  const port = await freePort();
  const started = await startOnPort({ command: process.execPath, args: [program, ...argumentsOf(name, port)], port, path: '/' });
  return Object.assign(started, { session: await openSession(`${started.url}/mcp`) });
}

function argumentsOf(name: McpGateway, port: number): readonly string[] {
  const server = fileURLToPath(new URL('../servers/mcp-server.ts', import.meta.url));
  if (name === 'mcp-proxy') return ['--port', String(port), '--host', '127.0.0.1', '--server', 'stream', '--', process.execPath, server];
  const stdio = ['--stdio', `${process.execPath} ${server}`, '--outputTransport', 'streamableHttp', '--stateful'];
  return [...stdio, '--port', String(port), '--logLevel', 'none'];
}

/** A call of the tool. Within a session the ids must differ; bench/load/post.lua counts them from this one on. */
export function mcpCallBody(world: World): string {
  const params = { name: 'CombineStrings', arguments: { arg1: 'a'.repeat(36), arg2: 'b'.repeat(36) } };
  return world.body('mcp-call', JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'tools/call', params }));
}

async function openSession(url: string): Promise<string> {
  const post = async (message: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
  const answer = await post({ id: 1, method: 'initialize', params });
  await answer.text();
  const session = answer.headers.get('mcp-session-id');
  if (session === null) throw new Error(`${url} opened no session (${answer.status}).`);
  await (await post({ method: 'notifications/initialized' }, { 'mcp-session-id': session })).text();
  return session;
}
