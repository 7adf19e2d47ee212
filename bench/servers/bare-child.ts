/**
 * The least that a Node process can do which hands each call to a child (child-server.ts). No check, no time-out, no log, no sandbox: what
 * one event loop can reach at most.
 */
import { serveChild } from './child-server.ts';

serveChild(process.argv.slice(2));
