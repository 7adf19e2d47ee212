/**
 * A connector alone on its pipes, asked as Bulkhead asks it, one question at a time: pipe.ts SECONDS COMMAND ARGS… prints the round trip.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const [seconds = '1', command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
const input = { arg1: 'a'.repeat(32), arg2: 'b'.repeat(32) };
const context = { invocationId: '0b2e9f1e-5f6d-4a67-8a2b-7c3a0d1e2f3a', deadline: Date.now() + 1e6, attempt: 1 };
const initialize = { protocol: 1, proxy: { name: 'bench', version: '1' }, connector: { name: 'bench' }, config: {}, secrets: {} };
child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 'start', method: 'initialize', params: initialize })}\n`);
await once(child.stdout, 'data');
const line = Buffer.from(
  `${JSON.stringify({ jsonrpc: '2.0', id: 'abcdefghijklmnop', method: 'invoke', params: { command: 'CombineStrings', input, context } })}\n`,
);
const trips: number[] = [];
const end = performance.now() + Number(seconds) * 1000;
let sentAt = performance.now();
await new Promise<void>((resolve) => {
  child.stdout.on('data', () => {
    const now = performance.now();
    trips.push(now - sentAt);
    if (now > end) {
      resolve();
      return;
    }
    sentAt = now;
    child.stdin.write(line);
  });
  child.stdin.write(line);
});
child.kill('SIGKILL');
trips.sort((a, b) => a - b);
const at = (share: number): number => Math.round((trips[Math.floor(trips.length * share)] ?? 0) * 1000);
console.log(JSON.stringify({ requests: trips.length, failed: 0, durationUs: Number(seconds) * 1e6, p50Us: at(0.5), p99Us: at(0.99) }));
