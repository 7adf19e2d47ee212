/** Hono in front of an MCP stdio server, through the official SDK’s client. */
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Hono } from 'hono';
import { announce } from './announce.ts';

const client = new Client({ name: 'bench', version: '1.0.0' });
await client.connect(
  new StdioClientTransport({ command: process.execPath, args: [fileURLToPath(new URL('mcp-server.ts', import.meta.url))] }),
);
const app = new Hono().post('/call', async (c) => {
  const result = await client.callTool({ name: 'CombineStrings', arguments: await c.req.json() });
  return c.json(result);
});
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, () => announce(server));
