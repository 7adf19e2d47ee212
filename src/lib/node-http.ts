import { createRequire } from 'node:module';

/**
 * Node's HTTP as CommonJS has it. Importing the module by its name reads all that it exports, also `WebSocket` and its events, for which
 * Node loads the whole of its client of fetch: 70 ms of a start (Node 26).
 */
export const { createServer, request } = createRequire(import.meta.url)('node:http') as typeof import('node:http');
