import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { faultText } from '../../../src/lib/faults.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import { probeSandbox, requireControls } from '../../../src/runner/doctor.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { serveBulkhead } from '../../helpers/served-bulkhead.ts';
import { policy } from './hostile-folder.ts';

/** The proof that the proof works: a bubblewrap that leaves something out, and what the probe says of it. */
let folder: string;
const bwrapPath = () => join(folder, 'bwrap.pl');
const weaken = (weakness: string) => writeFileSync(join(folder, 'weakness'), `${weakness}\n`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-weak-'));
  chmodSync(folder, 0o755);
  copyFileSync(join(import.meta.dirname, '../../fixtures/weak-bwrap/bwrap.pl'), bwrapPath());
  chmodSync(bwrapPath(), 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lostControls = async (limits: 'cgroup' | 'watchdog' = 'cgroup') => {
  const reports = await probeSandbox({ bwrapPath: bwrapPath(), limits });
  return { reports, lost: reports.filter(({ state, isRequired }) => isRequired && state !== 'enforced').map(({ control }) => control) };
};

describe('a sandbox that is weaker than it should be', () => {
  it('is told from one that is not', async () => {
    weaken('nothing');
    expect((await lostControls()).lost).toEqual([]);
  });

  it.each([
    ['no filter', ['vsock', 'ptrace', 'system call filter']],
    ['host network', ['host loopback', 'abstract sockets', 'namespaces of its own', 'network rules', 'number of processes']],
    ['capabilities', ['capabilities']],
    ['neighbours', ['other connectors’ files']],
    ['size of /tmp', ['size of /tmp']],
  ])('is found by trying: %s', async (weakness, expected) => {
    weaken(weakness);
    const { reports, lost } = await lostControls();
    expect(lost).toEqual(expect.arrayContaining(expected));
    expect(() => requireControls(reports)).toThrow(
      expect.objectContaining({ code: 'sandbox_unavailable', message: expect.stringContaining(`${expected[0]} not enforced`) }),
    );
  });
});

it('a limit of processes that a shell sets, where no cgroup counts them, is tried as well as the one that Perl sets with rules', async () => {
  weaken('processes by the shell');
  const { lost } = await lostControls('watchdog');
  expect(lost).toEqual(['number of processes']);
});

it('a sandbox without process numbers of its own starts nothing at all: its first process is not there to be limited', async () => {
  weaken('host processes');
  const { reports, lost } = await lostControls();
  expect(lost).toEqual(['sandbox']);
  expect(() => requireControls(reports)).toThrow(
    expect.objectContaining({ code: 'sandbox_unavailable', message: expect.stringContaining('sandbox not available') }),
  );
});

it('a probe that ends before it has tried everything proves nothing: what it left out would be missed by nobody', async () => {
  writeFileSync(join(folder, 'early-end.pl'), 'print "ptrace\theld\tas if\n";\n');
  weaken('early end');
  const { reports, lost } = await lostControls();
  expect(lost).toContain('probe');
  expect(() => requireControls(reports)).toThrow(
    expect.objectContaining({
      code: 'sandbox_unavailable',
      message: expect.stringContaining('probe not enforced: ended before it had tried everything'),
    }),
  );
});

it('a bubblewrap that ends at once is told in its own words, also when it ends while it is put under its limits', async () => {
  const path = join(folder, 'dead-bwrap');
  writeFileSync(path, '#!/bin/sh\necho "bwrap: Permission denied, as if" >&2\nexit 1\n', { mode: 0o755 });
  const runner = createSubprocessRunner({ bwrapPath: path });
  const source = { type: 'folder', folder, command: ['/bin/true'] } as const;
  const spec = { connector: 'dead' as ConnectorName, policy, source, onNotice() {} };
  for (let count = 0; count < 30; count += 1) {
    await expect(runner.start(spec, AbortSignal.timeout(30_000))).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      message: expect.stringContaining('(bwrap: Permission denied, as if)'),
    });
  }
  await runner.close();
});

/** Begins before it is asked for anything, and leaves a mark where the host sees it. */
const eagerConnector = (connector: string, data: string) => `
connectors:
  eager:
    path: ${connector}
    dataFolder: ${data}
    workers: { min: 1 }
`;

describe('serve', () => {
  const connector = () => join(folder, 'eager');
  const data = () => join(folder, 'data');
  const mark = () => existsSync(join(data(), 'started'));
  beforeAll(() => {
    mkdirSync(connector());
    mkdirSync(data());
    chmodSync(data(), 0o777);
    writeFileSync(join(connector(), 'connector.yaml'), eagerManifest);
  });
  const probe: typeof probeSandbox = (options) => probeSandbox({ ...options, bwrapPath: bwrapPath() });

  it('refuses by name when a promised control does not hold, and has started no connector', async () => {
    weaken('no filter');
    const served = serveBulkhead({ config: eagerConnector(connector(), data()), probe });
    await expect(served).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      message: expect.stringMatching(/cannot be confined as the config promises.*system call filter not enforced: there is none/),
    });
    expect(mark()).toBe(false);
  });

  it('tries before a reload brings the first sandboxed connector, and keeps the old config when it fails', async () => {
    weaken('no filter');
    await using served = await serveBulkhead({ config: 'connectors: {}\n', probe });
    const next = await configOf(eagerConnector(connector(), data()));
    await expect(served.reload(next)).rejects.toMatchObject({ code: 'sandbox_unavailable' });
    expect(served.catalog().connectors.size).toBe(0);
    weaken('nothing');
    await served.reload(next);
    await expect.poll(mark, { timeout: 30_000 }).toBe(true);
  });

  it('says at its start which connector has no sandbox', async () => {
    await using served = await serveBulkhead({ config: `connectors: { bare: { path: ${connector()}, sandbox: none } }\n`, probe });
    expect(served.log).toContainEqual(expect.objectContaining({ connector: 'bare', sandbox: 'none' }));
  });
});

const eagerManifest = `
name: eager
version: 1.0.0
description: Marks its start
protocol: bulkhead/1
run: { command: [sh, -c, ': > /data/started; exec sleep 60'] }
commands: [{ name: Wait, description: Waits, parameters: { type: object } }]
`;

async function configOf(text: string) {
  const file = join(folder, 'bulkhead.yaml');
  writeFileSync(file, text);
  const read = await loadConfig(file, { environment: {}, port: 0 });
  if (!read.ok) throw new Error(read.faults.map(faultText).join('\n'));
  return read.config;
}
