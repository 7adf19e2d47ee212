/** What a simple proxy does: one process a request, the body on its stdin, the answer on its stdout. fork.ts COMMAND ARGS… */
import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { announce } from './announce.ts';

const [command = '', ...args] = process.argv.slice(2);
const app = new Hono().post('/run', async (c) => {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(Buffer.from(await c.req.arrayBuffer()));
  const answer = await buffer(child.stdout);
  return c.body(new Uint8Array(answer), answer.length === 0 ? 502 : 200, { 'content-type': 'application/json' });
});
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, () => announce(server));
