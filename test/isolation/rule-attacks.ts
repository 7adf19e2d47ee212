import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { parseAddress } from '../../src/egress/address.ts';
import type { AuditLog } from '../../src/egress/audit.ts';
import type { AuditRecord } from '../../src/egress/audit-record.ts';
import { createEgressGateway, type EgressGateway } from '../../src/egress/gateway.ts';
import { silentLogger } from '../../src/log.ts';
import { networkRule } from '../../src/manifest/host-pattern.ts';
import { connectionsMax } from '../../src/runner/netns-listeners.ts';
import type { ProcessNotice } from '../../src/runner/runner.ts';
import type { SandboxPolicy } from '../../src/sandbox/policy.ts';
import { type Hostile, quietAttacks, setTraps, type Traps } from './attacks.ts';

/** As the outside would answer: a name that was allowed and then pointed at the metadata service, and one of an honest host. */
const answers: Record<string, string> = {
  'rebound.example': '169.254.169.254',
  'inside.example': '127.0.0.1',
  'x.wild.example': '10.0.0.1',
};

/** A gateway with its audit records, the traps around it, and one server that the rules allow. */
export interface RuleScene extends AsyncDisposable {
  readonly gateway: EgressGateway;
  readonly records: readonly AuditRecord[];
  readonly traps: Traps;
  /** Of the server that the rules allow. */
  readonly port: number;
  /** What the connector's policy is to say. */
  readonly policy: Pick<SandboxPolicy, 'network' | 'environment'>;
}

export async function setRuleScene(secrets: readonly string[] = []): Promise<RuleScene> {
  const traps = await setTraps(secrets);
  const allowed = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(allowed, 'listening');
  const { port } = allowed.address() as AddressInfo;
  const records: AuditRecord[] = [];
  const audit: AuditLog = { append: async (record) => void records.push(record), head: () => '', close: async () => {} };
  const resolve = async (name: string) => [parseAddress(answers[name] ?? '192.0.2.1')!];
  const gateway = createEgressGateway({ audit, log: silentLogger, resolve, ownAddresses: () => new Set(traps.addresses) });
  const rules = [`127.0.0.1:${port}`, 'rebound.example:443', 'inside.example:443', '*.wild.example:443', '203.0.113.0/24:8080'];
  return {
    gateway,
    records,
    traps,
    port,
    policy: {
      network: { type: 'rules', rules: rules.map(networkRule) },
      // Each would run code of the connector in a helper, if it got there.
      environment: {
        PERL5OPT: '-MEvil',
        PERL5LIB: '/app',
        NODE_OPTIONS: '--require=/app/evil.cjs',
        LD_PRELOAD: '/app/evil.so',
        BASH_ENV: '/app/evil.sh',
      },
    },
    async [Symbol.asyncDispose]() {
      await gateway.close();
      allowed.close();
      await traps[Symbol.asyncDispose]();
    },
  };
}

/** Files that the environment of the scene's policy names; each leaves /tmp/evil when it runs. */
export const evilFiles: Readonly<Record<string, string>> = {
  'Evil.pm': 'open(my $f, ">", "/tmp/evil"); 1;\n',
  'evil.cjs': 'require("node:fs").writeFileSync("/tmp/evil", "")\n',
  'evil.sh': ': >/tmp/evil\n',
};

export interface RuleAttackOptions {
  readonly scene: () => RuleScene;
  /** In Python, with the scene's policy. */
  readonly hostile: () => Hostile;
  readonly notices: readonly ProcessNotice[];
  /** Sets this connector's names apart from others' in the same scene. */
  readonly tag: string;
  /** Whether addresses of rules are routed to the listeners; else a client that dials one itself finds no route. */
  readonly isRouted: boolean;
  /** Results that may be successes here; the reasons are in the docs of the runner. */
  readonly own?: readonly RegExp[];
}

/** The tests of a hostile connector that has network rules: the same for every runner. */
export function ruleAttacks({ scene, hostile, notices, tag, isRouted, own = [] }: RuleAttackOptions): void {
  const denials = (from: number) =>
    scene()
      .records.slice(from)
      .filter((record) => record.type === 'decision' && record.verdict === 'deny');

  it('reaches what its rules allow, with a client that knows no proxy', async () => {
    const { port, records } = scene();
    expect(await hostile().attack('network', { targets: [['127.0.0.1', port]] })).toMatchObject([{ outcome: 'succeeded' }]);
    // Its connection may be accepted by a relay before the gateway has decided.
    await expect
      .poll(() => records)
      .toContainEqual(expect.objectContaining({ type: 'decision', verdict: 'allow', host: '127.0.0.1', port }));
  });

  it('runs none of its code in the helper (attack 34)', async () => {
    expect(await hostile().attack('reads', { paths: ['/tmp/evil'] })).toMatchObject([{ outcome: 'refused', detail: 'ENOENT' }]);
  });

  it('cannot use another port of an allowed host (attack 4)', async () => {
    const targets = [
      ['127.0.0.1', scene().traps.port],
      ['rebound.example', 80],
    ];
    expect(await hostile().attack('network', { targets })).toMatchObject([{ outcome: 'refused' }, { outcome: 'refused' }]);
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
    const before = scene().records.length;
    const [result] = await hostile().attack('proxy', { port: 3128, requests: [request] });
    expect(result).toMatchObject({ outcome: 'refused', detail: expect.stringMatching(/^(EACCES|.*40\d)/) });
    await expect.poll(() => denials(before).length).toBeGreaterThan(0);
  });

  it('learns nothing from names that are not in its rules, and the question is recorded (attack 27)', async () => {
    const before = scene().records.length;
    expect(await hostile().attack('names', { names: [`secret-${tag}.exfil.example`] })).toMatchObject([{ outcome: 'refused' }]);
    await expect
      .poll(() => denials(before))
      .toContainEqual(expect.objectContaining({ host: `secret-${tag}.exfil.example`, verdict: 'deny' }));
    expect(notices).toContainEqual({ code: 'egress_denied', message: expect.stringContaining(`secret-${tag}.exfil.example`) });
  });

  it('cannot take the descriptors of the proxy by a flood of connections (attack 28)', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    let peak = 0;
    const timer = setInterval(() => {
      peak = Math.max(peak, descriptors());
    }, 20);
    const [result] = await hostile().attack('flood', { host: '127.0.0.1', port: 3128, count: 200, hold: 0.5 });
    clearInterval(timer);
    expect(result?.outcome).toBe('refused');
    expect(peak - before).toBeLessThanOrEqual(connectionsMax + 20);
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + 5);
  });

  it.runIf(isRouted)('reaches a rule’s address range by dialling it, and is judged by the gateway (the route is local)', async () => {
    const before = scene().records.length;
    await hostile().attack('network', { targets: [['203.0.113.7', 8080]] });
    await expect
      .poll(() => scene().records.slice(before))
      .toContainEqual(expect.objectContaining({ type: 'decision', host: '203.0.113.7', port: 8080 }));
  });

  it('is confined in everything else as without network', async () => {
    const { traps } = scene();
    for (const { name, args, languages, what } of quietAttacks(traps)) {
      if (!languages.includes('python')) continue;
      const results = await hostile().attack(name, args);
      const broken = results.filter((result) => result.outcome !== 'refused' && !own.some((pattern) => pattern.test(result.what)));
      expect([what, broken]).toEqual([what, []]);
    }
    expect(traps.hits()).toBe(0);
  });
}
