import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { proxyEnvironment } from '../../../src/egress/proxy-environment.ts';
import { listen, startHarness } from './harness.ts';

const python =
  'import sys,urllib.request,urllib.error\ntry: print(urllib.request.urlopen(sys.argv[1]).read().decode())\nexcept urllib.error.HTTPError as e: print(e.code, e.read().decode())';
const node = 'fetch(process.argv[1]).then(async (r) => console.log(r.status, await r.text()))';

/** Real programs that know nothing of this project, with the variables that a connector gets. */
it.each([
  ['curl', (url: string) => ['curl', '-sS', url]],
  ['curl over SOCKS5', (url: string, port: number) => ['curl', '-sS', '--noproxy', '', '--proxy', `socks5h://127.0.0.1:${port}`, url]],
  ['python urllib', (url: string) => ['python3', '-c', python, url]],
  ['node fetch', (url: string) => [process.execPath, '-e', node, url]],
])('%s reaches an allowed host by the proxy variables, and is told about a denied one', async (what, command) => {
  const server = createServer((request, response) => response.end(`hello ${request.headers.host}`));
  const port = await listen(server);
  const names = { 'a.ok.example': ['127.0.0.1'] };
  {
    await using harness = await startHarness({ rules: [`*.ok.example:${port}`, `127.0.0.1:${port}`], names });
    const run = async (url: string): Promise<string> => {
      const [program = '', ...args] = command(url, harness.proxyPort);
      const env = { PATH: process.env['PATH'], ...proxyEnvironment('127.0.0.1', harness.proxyPort) };
      const result = await promisify(execFile)(program, args, { env, timeout: 30_000 }).catch(
        (error: { stdout: string; stderr: string }) => error,
      );
      return result.stdout + result.stderr;
    };
    expect(await run(`http://a.ok.example:${port}/`)).toContain(`hello a.ok.example:${port}`);
    const denied = await run(`http://evil.example:${port}/`);
    if (!what.includes('SOCKS'))
      expect(denied).toContain(`evil.example:${port} is not in the rules of connector x; add it under connectors.x.network`);
    expect(harness.denials).toMatchObject([{ host: 'evil.example', port }]);
  }
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});
