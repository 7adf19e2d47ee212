/**
 * What bare-child.ts is for small calls, this is for large ones: the chunks of a body go to the child as they are, and those of its line
 * back, never put together. No bound, one call at a time. `unchecked`: what a pipe allows. `checked`: each chunk is read once by Bulkhead's
 * scanner of JSON, in both directions, as whoever passes on only what is JSON has to; what Bulkhead could reach at most on one core.
 */
import { spawn } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import { GrowingScan } from '../../src/lib/growing-scan.ts';
import { announce } from './announce.ts';

const [mode, folder, command = '', ...args] = process.argv.slice(2);
const isChecked = mode === 'checked';
const child = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
const waiting: ServerResponse[] = [];
const lineHead = '{"jsonrpc":"2.0","id":"1","result":';
let line: Buffer[] = [];
let lineScan = newScan();

child.stdin.write('{"jsonrpc":"2.0","id":"0","method":"initialize","params":{"protocol":1,"config":{},"secrets":{}}}\n');
child.stdout.once('data', () => child.stdout.on('data', read));

function read(chunk: Buffer): void {
  const end = chunk.indexOf(0x0a);
  const part = end === -1 ? chunk : chunk.subarray(0, end);
  line.push(part);
  lineScan?.advance(part);
  if (end === -1) return;
  answer(line);
  line = [];
  lineScan = newScan();
  if (end + 1 < chunk.length) read(chunk.subarray(end + 1));
}

function newScan(): GrowingScan | undefined {
  return isChecked ? new GrowingScan({ nestingMax: 100 }) : undefined;
}

function answer(chunks: readonly Buffer[]): void {
  const outgoing = waiting.shift();
  if (outgoing === undefined) return;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, -lineHead.length - 1);
  outgoing.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(length)]);
  outgoing.cork();
  for (const [index, chunk] of chunks.entries()) {
    outgoing.write(chunk.subarray(index === 0 ? lineHead.length : 0, index === chunks.length - 1 ? -1 : chunk.length));
  }
  outgoing.end();
  outgoing.uncork();
}

const server = createServer((incoming, outgoing) => {
  const chunks: Buffer[] = [];
  const scan = newScan();
  incoming.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    scan?.advance(chunk);
  });
  incoming.on('end', () => {
    waiting.push(outgoing);
    child.stdin.cork();
    child.stdin.write('{"jsonrpc":"2.0","id":"1","method":"invoke","params":{"command":"Echo","input":');
    for (const chunk of chunks) child.stdin.write(chunk);
    child.stdin.write(',"context":{"invocationId":"1","deadline":0,"attempt":1}}}\n');
    child.stdin.uncork();
  });
});

server.listen(0, '127.0.0.1', () => announce(server));
