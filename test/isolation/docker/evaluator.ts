import type { DockerEngine } from '../../../src/runner/docker-engine.ts';
import type { ConnectorProcess } from '../../../src/runner/runner.ts';
import { buildImage } from '../../helpers/docker-runner.ts';

/** Evaluates each line of stdin, and answers with one line of JSON. */
const evaluator = `
import net from 'node:net'; import http from 'node:http'; import dns from 'node:dns/promises'; import { createInterface } from 'node:readline';
const fetchText = (port, host, text, hold = false) => new Promise((resolve) => {
  const socket = net.connect(port, host); let got = '';
  socket.on('connect', () => hold ? socket.write(text) : socket.end(text)).on('data', (d) => { got += d; }).on('end', () => resolve(got)).on('error', (e) => resolve(e.code));
});
const download = (port, host, bytes) => new Promise((resolve) => {
  const socket = net.connect(port, host); let got = 0;
  socket.on('connect', () => socket.end('big ' + bytes)).on('data', (d) => { got += d.length; }).on('end', () => resolve(got)).on('error', (e) => resolve(e.code));
});
for await (const line of createInterface({ input: process.stdin })) {
  const value = await eval(line).catch?.((e) => e.code ?? e.message) ?? eval(line);
  process.stdout.write(JSON.stringify(value) + '\\n');
}`;

export async function evaluatorImage(engine: DockerEngine): Promise<string> {
  const dockerfile = 'FROM bulkhead-base/node:local\nCOPY main.mjs /main.mjs\nENTRYPOINT ["node", "/main.mjs"]\n';
  return await buildImage(engine, 'bulkhead-test/evaluator:local', dockerfile, { 'main.mjs': evaluator });
}

/** One expression to the container, one JSON value back. */
export function asker(process: ConnectorProcess): (expression: string) => Promise<unknown> {
  const lines: string[] = [];
  let rest = '';
  let wake = () => {};
  process.stdout.on('data', (chunk) => {
    rest += chunk;
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    wake();
  });
  let complaint = '';
  process.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  const over = process.exited.then((exit) => Promise.reject(new Error(`ended: ${JSON.stringify(exit)} ${complaint}`)));
  over.catch(() => {});
  return async (expression) => {
    process.stdin.write(`${expression}\n`);
    while (lines.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await Promise.race([promise, over]);
    }
    return JSON.parse(lines.shift() ?? 'null');
  };
}
