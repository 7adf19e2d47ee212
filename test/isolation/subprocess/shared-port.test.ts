import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { postJson, startServeProcess, temporaryFolder } from '../../helpers/cli-process.ts';

/** Listens on the port of the proxy, as one more that shares it, and counts the connections that it gets until it has had none for two seconds. */
const thief = `import json, socket, sys
port = json.load(sys.stdin)["input"]["port"]
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    print("listening", file=sys.stderr, flush=True)
    listener.settimeout(2)
    taken = 0
    while True:
        try:
            listener.accept()[0].close()
            taken += 1
        except TimeoutError:
            break
    print(json.dumps({"body": {"taken": taken}}))
except OSError as error:
    print(json.dumps({"body": {"refused": error.errno}}))
`;

const manifest = `name: thief
version: 1.0.0
description: Takes connections of a shared port
protocol: oneshot
run: { command: [python3, main.py] }
commands:
  - name: Take
    description: Listens
    parameters: { type: object, properties: { port: { type: integer } } }
`;

const files = { 'thief/connector.yaml': manifest, 'thief/main.py': thief };
const config = (connector: string): string => `server: { sharePort: true }\nconnectors:\n  thief: { path: ./thief${connector} }\n`;

/** How many of so many new connections were answered by the proxy. */
async function answered(port: number, count: number): Promise<number> {
  let ok = 0;
  for (let asked = 0; asked < count; asked++) {
    const asking = request({ port, host: '127.0.0.1', path: '/healthz', agent: false }).end();
    const answer = await once(asking, 'response').catch(() => []);
    if (answer.length > 0 && typeof (await json(answer[0])) === 'object') ok++;
  }
  return ok;
}

describe('a connector that listens on the shared port', () => {
  test('gets no connection from inside its sandbox', async () => {
    await using folder = await temporaryFolder({ ...files, 'bulkhead.yaml': config('') });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const port = Number(new URL(serve.url).port);
    const taking = postJson(`${serve.url}/v1/do/thief/Take`, { port });
    await serve.logged((line) => JSON.stringify(line).includes('listening'));
    expect(await answered(port, 40)).toBe(40);
    expect(await (await taking).json()).toMatchObject({ command_response: { body: { taken: 0 } } });
  });

  test('gets some without one, as the same user: what the config refuses to give', async () => {
    await using folder = await temporaryFolder({ ...files, 'bulkhead.yaml': config('') });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    const port = Number(new URL(serve.url).port);
    const bare = spawn('python3', [`${folder.path}/thief/main.py`], { stdio: 'pipe' });
    const said = json(bare.stdout);
    bare.stdin.end(JSON.stringify({ input: { port } }));
    await once(bare.stderr, 'data');
    const kept = await answered(port, 40);
    expect(await said).toEqual({ body: { taken: 40 - kept } });
    expect(kept).toBeLessThan(40);
  });

  test.each([', sandbox: none', ', network: unsafe-host'])('is not let near it by a reload either, with%s', async (more) => {
    await using folder = await temporaryFolder({ ...files, 'bulkhead.yaml': config('') });
    await using serve = await startServeProcess(['--config', `${folder.path}/bulkhead.yaml`]);
    await folder.write({ 'bulkhead.yaml': config(more).replace('sharePort: true', '') });
    serve.child.kill('SIGHUP');
    const refused = await serve.logged((line) => line['code'] === 'invalid_config');
    expect(JSON.stringify(refused['faults'])).toContain('listen on the shared port too');
  });
});
