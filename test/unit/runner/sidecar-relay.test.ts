import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const program = join(import.meta.dirname, '../../../src/runner/sidecar-relay.ts');

function runRelay(socket: string): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const plan = JSON.stringify({ listeners: [], connectionsMax: 1, socket });
  return new Promise((resolve) =>
    execFile(process.execPath, [program, plan], (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr })),
  );
}

test('a relay that cannot reach the proxy says why, and ends as failed', async () => {
  const { code, stderr } = await runRelay('/nowhere/relay.sock');
  expect(code).toBe(1);
  expect(stderr).toContain('failed: connect ENOENT /nowhere/relay.sock');
});

test('a relay whose proxy has closed its connection ends in good order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-relay-'));
  const path = join(folder, 'relay.sock');
  const server = createServer((socket) => socket.end()).listen(path);
  await once(server, 'listening');
  expect(await runRelay(path)).toMatchObject({ code: 0 });
  server.close();
  await rm(folder, { recursive: true });
});
