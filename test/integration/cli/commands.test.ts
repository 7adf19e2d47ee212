import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCliProcess, startServeProcess, temporaryFolder } from '../../helpers/cli-process.ts';

const key = 'a-key-for-this-test';

const files = {
  'echo/connector.yaml': `name: echo
version: 1.0.0
description: Answers with what it read
protocol: oneshot
run: { command: [/bin/sh, main.sh] }
requests: { network: ["api.example.com:443"], secrets: [TOKEN] }
commands:
  - name: Echo
    description: Answers with its input
    parameters: { type: object, properties: { text: {}, number: {} } }
  - name: Fail
    description: Answers with an error
`,
  'echo/main.sh': `read -r document
case $document in
  *'"command":"Fail"'*) printf '{"error":{"message":"no luck","errorCode":"NoLuck","retryable":false}}' ;;
  *) printf '{"body":%s}' "$(printf %s "$document" | sed 's/.*"input":\\({.*}\\),"context".*/\\1/')" ;;
esac
`,
  'bulkhead.yaml': 'connectors: { echo: { path: ./echo } }\n',
  'broken.yaml': 'connectors: { echo: { path: ./echo, netwrk: none, limits: { memory: lots } } }\n',
  'keyed.yaml': `server: { apiKeys: [{ name: arena, key: { env: KEY }, connectors: ["*"] }] }\nconnectors: { echo: { path: ./echo } }\n`,
  'input.json': '{"text": "from a file", "number": 1.0}',
};

describe('call', () => {
  test('runs a command without a server, the values untouched', async () => {
    await using folder = await temporaryFolder(files);
    const args = ['call', '--config', `${folder.path}/bulkhead.yaml`, 'echo/Echo', 'text=a=b', 'number:=12345678901234567890.10'];
    const { exitCode, stdout, stderr } = await runCliProcess(args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain('{"text":"a=b","number":12345678901234567890.10}');
  });

  test('starts its one process by itself, without what serves many starts', async () => {
    const script = 'printf \'{"body":"%s"}\' "$(readlink "/proc/$$/fd/0")"';
    await using folder = await temporaryFolder({ ...files, 'echo/main.sh': script });
    const { stdout } = await runCliProcess(['call', '--config', `${folder.path}/bulkhead.yaml`, 'echo/Echo']);
    // The spawner would have made a pipe.
    expect(stdout).toMatch(/socket:/);
  });

  test('takes its input from a file or from standard input', async () => {
    await using folder = await temporaryFolder(files);
    const args = ['call', '--config', `${folder.path}/bulkhead.yaml`, 'echo/Echo', '--json-file'];
    const fromFile = await runCliProcess([...args, `${folder.path}/input.json`]);
    expect(fromFile.stdout).toContain('{"text": "from a file", "number": 1.0}');
    const asOne = await runCliProcess([...args.slice(0, -1), '--json', `${folder.path}/input.json`]);
    expect([asOne.exitCode, asOne.stdout]).toEqual([0, expect.stringContaining('{"text": "from a file", "number": 1.0}')]);
    const missing = await runCliProcess([...args, `${folder.path}/none.json`]);
    expect([missing.exitCode, missing.stderr]).toEqual([2, expect.stringContaining('cannot be read (ENOENT)')]);
    const fromInput = await runCliProcess([...args, '-'], { input: '{"text":"piped"}' });
    expect(fromInput.stdout).toContain('{"text":"piped"}');
  });

  test('exits with 1 when the command fails, and with 2 for a wrong call', async () => {
    await using folder = await temporaryFolder(files);
    const config = ['--config', `${folder.path}/bulkhead.yaml`];
    const failed = await runCliProcess(['call', ...config, 'echo/Fail']);
    expect([failed.exitCode, failed.stdout]).toEqual([1, expect.stringContaining('NoLuck')]);
    const unknown = await runCliProcess(['call', ...config, 'echo/Nope']);
    expect([unknown.exitCode, unknown.stdout]).toEqual([1, expect.stringContaining('command_not_found')]);
    const wrong = await runCliProcess(['call', ...config, 'echo/Echo', 'text:={']);
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('text:= is not JSON')]);
    const unreachable = await runCliProcess(['call', '--url', 'http://127.0.0.1:9', 'echo/Echo']);
    expect([unreachable.exitCode, unreachable.stderr]).toEqual([2, expect.stringContaining('cannot be reached')]);
  });

  test('asks a server with its key', async () => {
    await using folder = await temporaryFolder(files);
    await using serve = await startServeProcess(['--config', `${folder.path}/keyed.yaml`], { environment: { KEY: key } });
    const call = ['call', '--url', serve.url, 'echo/Echo', 'text=hello'];
    const refused = await runCliProcess(call);
    expect([refused.exitCode, refused.stdout]).toEqual([1, expect.stringContaining('Unauthorized')]);
    const answered = await runCliProcess(call, { environment: { CONNECTOR_PROXY_API_KEY: key } });
    expect([answered.exitCode, answered.stdout]).toEqual([0, expect.stringContaining('{"text":"hello"}')]);
  });

  test('tells of a key that no header carries without showing it', async () => {
    const environment = { CONNECTOR_PROXY_API_KEY: `${key}\nsecond-line` };
    const { exitCode, stdout, stderr } = await runCliProcess(['call', '--url', 'http://127.0.0.1:9', 'echo/Echo'], { environment });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('CONNECTOR_PROXY_API_KEY holds a line break')]);
    expect(stdout + stderr).not.toMatch(/a-key-for-this-test|second-line/);
  });

  test('refuses a parameter that is given twice, by its name', async () => {
    for (const twice of [
      ['text=a', 'text=b'],
      ['number=1', 'text=a', 'text:=2'],
    ]) {
      const { exitCode, stderr } = await runCliProcess(['call', 'echo/Echo', ...twice]);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining('parameter "text" is given twice')]);
    }
  });
});

describe('list', () => {
  test('shows connectors and commands, for people, for programs, and as ids', async () => {
    await using folder = await temporaryFolder(files);
    const args = ['list', '--config', `${folder.path}/bulkhead.yaml`];
    expect((await runCliProcess(args)).stdout).toMatch(/^echo 1\.0\.0 {2}sandboxed, network: none[\s\S]*echo\/Echo/);
    expect(JSON.parse((await runCliProcess([...args, '--json'])).stdout)).toMatchObject({
      connectors: [{ name: 'echo', state: 'available' }],
    });
    expect((await runCliProcess([...args, '--ids'])).stdout).toBe('echo/Echo\necho/Fail\n');
  });

  test('writes no colours elsewhere than on a terminal, unless they are forced', async () => {
    await using folder = await temporaryFolder(files);
    const args = ['list', '--config', `${folder.path}/bulkhead.yaml`];
    expect((await runCliProcess(args)).stdout).not.toContain('\u001b');
    expect((await runCliProcess(args, { environment: { FORCE_COLOR: '1' } })).stdout).toContain('\u001b');
  });

  test('exits with 1 and gives the reason when a connector cannot be used', async () => {
    await using folder = await temporaryFolder({ ...files, 'echo/connector.yaml': 'name: other\n' });
    const { exitCode, stdout } = await runCliProcess(['list', '--config', `${folder.path}/bulkhead.yaml`]);
    expect([exitCode, stdout]).toEqual([1, expect.stringMatching(/echo {2}unavailable.*broken manifest/)]);
  });
});

describe('check', () => {
  test('shows what is requested against what is granted', async () => {
    await using folder = await temporaryFolder(files);
    const { exitCode, stdout } = await runCliProcess(['check', '--config', `${folder.path}/bulkhead.yaml`]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('network api.example.com:443  requested, not granted');
    expect(stdout).toContain('secret TOKEN  requested, not granted');
  });

  test('names every fault at once, with file, line and repair, and exits with 1', async () => {
    await using folder = await temporaryFolder(files);
    const { exitCode, stdout } = await runCliProcess(['check', '--config', `${folder.path}/broken.yaml`]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/broken\.yaml:1:\d+: connectors\.echo\.netwrk: .*network/);
    expect(stdout).toMatch(/broken\.yaml:1:\d+: connectors\.echo\.limits\.memory: /);
  });

  test('warns of variables that are not set and files that are not there, runs no command, and exits with 0', async () => {
    await using folder = await temporaryFolder(files);
    const command = ['/bin/sh', '-c', `: >${folder.path}/ran; exit 1`];
    const secrets = { TOKEN: { env: 'NOT_SET_ANYWHERE' }, OTHER: { file: './nowhere' }, RUN: { command } };
    await folder.write({ 'secrets.yaml': JSON.stringify({ connectors: { echo: { path: './echo', secrets } } }) });
    const { exitCode, stdout } = await runCliProcess(['check', '--config', `${folder.path}/secrets.yaml`]);
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringMatching(/warning: secret TOKEN .*NOT_SET_ANYWHERE is not set; secret OTHER .*nowhere is not there/),
    ]);
    expect(existsSync(`${folder.path}/ran`)).toBe(false);
    expect((await runCliProcess(['check', '--help'])).stdout).toContain('Those of commands are not tried');
  });
});

describe('policy', () => {
  test('diff shows what is requested and not granted, and exits with 1 when something widened', async () => {
    const later = 'connectors: { echo: { path: ./echo, network: ["api.example.com:443", "10.0.0.0/8:5432"] } }\n';
    await using folder = await temporaryFolder({ ...files, 'later.yaml': later });
    const [before, after] = [`${folder.path}/bulkhead.yaml`, `${folder.path}/later.yaml`];
    const same = await runCliProcess(['policy', 'diff', '--config', before, '--before', before]);
    expect(same.exitCode).toBe(0);
    expect(same.stdout).toMatch(/echo +requested, not granted +network: api\.example\.com:443/);
    const wider = await runCliProcess(['policy', 'diff', '--config', after, '--before', before]);
    expect(wider.exitCode).toBe(1);
    expect(wider.stdout).toMatch(/echo +widened +network: 10\.0\.0\.0\/8:5432/);
    const narrower = await runCliProcess(['policy', 'diff', '--config', before, '--before', after]);
    expect([narrower.exitCode, narrower.stdout]).toEqual([0, expect.stringContaining('narrowed')]);
  });

  test('diff says which connector it could not compare', async () => {
    await using folder = await temporaryFolder({ ...files, 'echo/connector.yaml': 'name: echo\n' });
    const { exitCode, stdout } = await runCliProcess(['policy', 'diff', '--config', `${folder.path}/bulkhead.yaml`]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/echo +not compared +.*manifest/);
  });
});

describe('the audit log, where it cannot be read', () => {
  const audited = 'server: { audit: { folder: ./audit } }\nconnectors: { echo: { path: ./echo, network: { observe: [] } } }\n';

  async function both(root: string): Promise<readonly string[]> {
    const config = ['--config', `${root}/bulkhead.yaml`];
    const results = await Promise.all([
      runCliProcess(['policy', 'suggest', ...config, 'echo']),
      runCliProcess(['audit', 'verify', ...config]),
    ]);
    return results.map(({ exitCode, stdout, stderr }) => `${exitCode} ${stdout}${stderr}`);
  }

  test('is not taken for an empty one', async () => {
    await using folder = await temporaryFolder({ ...files, 'bulkhead.yaml': audited });
    const log = `${folder.path}/audit`;
    for (const told of await both(folder.path)) expect(told).toMatch(/^2 .*there is no audit log in .*audit/s);
    writeFileSync(log, '');
    for (const told of await both(folder.path)) expect(told).toMatch(/^1 .*\/audit, cannot be read \(ENOTDIR\)/s);
    rmSync(log);
    mkdirSync(`${log}/audit.jsonl`, { recursive: true });
    for (const told of await both(folder.path)) expect(told).toMatch(/^1 .*audit\.jsonl is no regular file/s);
    rmdirSync(`${log}/audit.jsonl`);
    // Opened as a file is, it would be waited for without end.
    spawnSync('mkfifo', [`${log}/audit.jsonl`]);
    for (const told of await both(folder.path)) expect(told).toMatch(/^1 .*audit\.jsonl is no regular file/s);
  });

  test('stops the start of serve by a fault of the config, without a stack', async () => {
    await using folder = await temporaryFolder({ ...files, 'bulkhead.yaml': audited, audit: '' });
    const { exitCode, stdout, stderr } = await runCliProcess(['serve', '--port', '0', '--config', `${folder.path}/bulkhead.yaml`]);
    expect(exitCode).toBe(1);
    expect(stdout + stderr).toMatch(/invalid_config.*audit cannot be kept \(EEXIST\)/s);
    expect(stdout + stderr).not.toMatch(/internal_error|\n\s+at /);
  });
});

describe('doctor', () => {
  test('reports every control, found by trying, and exits with 0 where the required ones hold', async () => {
    const { exitCode, stdout } = await runCliProcess(['doctor', '--json']);
    const { controls } = JSON.parse(stdout) as { controls: { control: string; state: string; isRequired: boolean }[] };
    expect(controls.filter(({ state, isRequired }) => isRequired && state !== 'enforced')).toEqual([]);
    expect(controls.map(({ control }) => control)).toEqual(expect.arrayContaining(['sandbox', 'host loopback', 'vsock', 'memory']));
    expect(exitCode).toBe(0);
  });
});

describe('the command line', () => {
  test('has help everywhere, on stdout, with exit code 0', async () => {
    for (const args of [['--help'], ['serve', '--help'], ['help', 'call']]) {
      const { exitCode, stdout } = await runCliProcess(args);
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining('Usage: bulkhead')]);
    }
  });

  test('answers a wrong call with exit code 2 and a suggestion', async () => {
    const { exitCode, stderr } = await runCliProcess(['serve', '--wach']);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('--watch')]);
  });

  test('a secret that cannot be read stops the start of serve, and each one is named with its source', async () => {
    const secrets = 'secrets: { TOKEN: { env: NOT_SET_ANYWHERE }, OTHER: { file: ./nowhere } }';
    await using folder = await temporaryFolder({ ...files, 'secrets.yaml': `connectors: { echo: { path: ./echo, ${secrets} } }\n` });
    const { exitCode, stderr } = await runCliProcess(['serve', '--port', '0', '--config', `${folder.path}/secrets.yaml`]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/secret_missing: .*TOKEN.*NOT_SET_ANYWHERE/);
    expect(stderr).toMatch(/OTHER.*nowhere/);
  });

  test('refuses to listen on every interface without a key', async () => {
    await using folder = await temporaryFolder(files);
    const { exitCode, stderr } = await runCliProcess([
      'serve',
      '--config',
      `${folder.path}/bulkhead.yaml`,
      '--host',
      '0.0.0.0',
      '--port',
      '0',
    ]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('apiKeys')]);
  });

  test('refuses an empty --host, which would be every address', async () => {
    await using folder = await temporaryFolder(files);
    const args = ['serve', '--config', `${folder.path}/keyed.yaml`, '--host', '', '--port', '0'];
    const { exitCode, stderr } = await runCliProcess(args, { environment: { KEY: key } });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('It must be an address of this machine')]);
  });

  test('prints completion scripts that the shell takes', async () => {
    const { stdout } = await runCliProcess(['completion', 'bash']);
    const completed = spawnSync('bash', [
      '-c',
      `${stdout}\nCOMP_WORDS=(bulkhead serve --wa) COMP_CWORD=2; _bulkhead; echo "\${COMPREPLY[@]}"`,
    ]);
    expect(completed.stdout.toString()).toBe('--watch\n');
  });
});
