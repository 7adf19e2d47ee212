/** The limit: nothing but Hono on Node, which reads a JSON body and writes it back. */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { announce } from './announce.ts';

const app = new Hono().post('/echo', async (c) => c.json(await c.req.json()));
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, () => announce(server));
