/**
 * The least that a Node process can do which hands each call to a child: node:http, the body spliced into one line, writes batched per
 * turn, the answer spliced back. No check, no time-out, no log, no sandbox. What Bulkhead could reach at most on one event loop.
 */
import { spawn } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import { announce } from './announce.ts';

const [folder, command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
/** By id, which is used again: a Map that always grows and shrinks makes work for the collector (src/lib/slots.ts). */
const waiting: (ServerResponse | undefined)[] = [];
const freeIds: number[] = [];
let running = 0;
let batch = '';
let rest = '';

child.stdin.write('{"jsonrpc":"2.0","id":"start","method":"initialize","params":{"protocol":1,"config":{},"secrets":{}}}\n');
child.stdout.setEncoding('latin1').on('data', (text: string) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) answer(line);
});

function answer(line: string): void {
  const idStart = line.indexOf('"id"') + 4;
  const start = line.indexOf('"', idStart) + 1;
  const end = line.indexOf('"', start);
  const id = Number(line.slice(start, end));
  const outgoing = waiting[id];
  if (outgoing === undefined) return;
  waiting[id] = undefined;
  freeIds.push(id);
  running -= 1;
  const body = line.slice(line.indexOf('"result"', end) + 9, -1);
  outgoing.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(body.length)]);
  outgoing.end(body, 'latin1');
}

const server = createServer((incoming, outgoing) => {
  let body = '';
  incoming.setEncoding('latin1');
  incoming.on('data', (text: string) => {
    body += text;
  });
  incoming.on('end', () => {
    const id = freeIds.pop() ?? waiting.length;
    const context = `{"invocationId":"${id}","deadline":${Date.now() + 30_000},"attempt":1}`;
    const params = `{"command":"CombineStrings","input":${body},"context":${context}}`;
    const line = `{"jsonrpc":"2.0","id":"${id}","method":"invoke","params":${params}}\n`;
    const isAlone = running === 0;
    waiting[id] = outgoing;
    running += 1;
    if (isAlone) child.stdin.write(line, 'latin1');
    else if (batch === '') setImmediate(flush);
    if (!isAlone) batch += line;
  });
});

function flush(): void {
  child.stdin.write(batch, 'latin1');
  batch = '';
}

server.listen(0, '127.0.0.1', () => announce(server));
