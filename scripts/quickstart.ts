import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/**
 * The main job, as README's first command runs it: start the proxy with the example config, list what it offers, invoke a sandboxed
 * connector over HTTP, say where to look next. Keeps serving on a terminal; elsewhere it stops after the first answer.
 */
const root = join(import.meta.dirname, '..');
const port = process.env['PORT'] ?? '7004';
const url = `http://127.0.0.1:${port}`;

const proxy = spawn(process.execPath, [join(root, 'src/main.ts'), 'serve', '--port', port], {
  stdio: ['ignore', 'inherit', 'inherit'],
  // As `npm run bulkhead` has it.
  env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/compiled') },
});
const stopped = once(proxy, 'exit');
process.on('SIGINT', () => undefined); // The terminal sends it to the proxy as well, which then ends, and so do we.

await Promise.race([
  waitUntilReady(),
  stopped.then(() => Promise.reject(new Error('The proxy ended before it was ready; its last lines say why.'))),
]);

const commands = await (await fetch(`${url}/v1/commands`)).json();
console.log(`\n$ curl ${url}/v1/commands\n${(commands as { id: string }[]).map(({ id }) => id).join(', ')}`);

const body = JSON.stringify({ arg1: 'hello', arg2: 'from a sandbox' });
const answer = await fetch(`${url}/v1/do/example/CombineStrings`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
});
console.log(`\n$ curl ${url}/v1/do/example/CombineStrings --json '${body}'\n${await answer.text()}`);
if (!answer.ok) process.exitCode = 1;

if (process.stdout.isTTY) console.log(`\nStill serving at ${url} (API page: ${url}/docs). Ctrl-C stops it.`);
else proxy.kill('SIGTERM');
await stopped;

async function waitUntilReady(): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const ready = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
  }
  throw new Error(`The proxy at ${url} was not ready within 20 s.`);
}
