import { describe, expect, it } from 'vitest';
import { argumentsAhead, type BwrapWord, firstProgram, kindOf, ownArguments } from '../../../src/runner/bwrap-args.ts';
import { bwrapNeeds, limitsAhead } from '../../../src/runner/bwrap-limits.ts';
import { quote } from '../../../src/runner/bwrap-script.ts';
import { routeRequest } from '../../../src/runner/namespace-prelude.ts';
import { inside, type NetworkPlan, type SandboxPlan } from '../../../src/runner/sandbox-plan.ts';
import type { SandboxPolicy } from '../../../src/sandbox/policy.ts';

const policy: SandboxPolicy = {
  sandbox: 'enforced',
  network: { type: 'none' },
  limits: {
    memoryBytesMax: 256 * 2 ** 20,
    cpusMax: 1,
    pidsMax: 64,
    descriptorsMax: 256,
    fileBytesMax: 1000,
    tmpBytesMax: 5_000_000,
    tmpInodesMax: 4096,
  },
  environment: {},
};

const noNetwork: NetworkPlan = {
  isHostShared: false,
  listeners: [],
  localRoutes: [],
  hosts: [],
  environment: {},
  helper: { interpreter: 'perl', program: '# the prelude\n__DATA__\n' },
};

const nodeHelper = { interpreter: 'node', program: '// listen' } as const;

const rules: NetworkPlan = {
  ...noNetwork,
  listeners: [
    { transport: 'tcp', address: '0.0.0.0', port: 443, role: 'host' },
    { transport: 'udp', address: '127.0.0.1', port: 53, role: 'dns' },
  ],
  hosts: [{ address: '127.0.0.2', name: 'api.example.com' }],
  environment: { HTTPS_PROXY: 'http://127.0.0.1:3128' },
};

const plan: SandboxPlan = {
  policy,
  command: ['python3', 'main.py'],
  folder: '/srv/demo',
  readOnlyBinds: [],
  machine: {
    rootEntries: [{ path: '/bin', link: 'usr/bin' }, { path: '/lib' }],
    systemPaths: [{ path: '/etc/ssl/certs' }, { path: '/etc/localtime', link: '/usr/share/zoneinfo/Etc/UTC' }],
    nodePath: '/opt/node/bin/node',
  },
  network: noNetwork,
  counted: { memory: false, pids: false },
  filter: new Uint8Array([1, 2, 3]),
};

const argsOf = (changes: Partial<SandboxPlan>) => allArguments({ ...plan, ...changes });
const allArguments = (whole: SandboxPlan) => [...argumentsAhead(kindOf(whole)), ...ownArguments(whole, 'x64', false)];
const withPolicy = (changes: Partial<SandboxPolicy>) => argsOf({ policy: { ...policy, ...changes } });

const hex = (word: string) => Buffer.from(word).toString('hex');

/** The arguments in one line, content shown as <…>. */
function line(words: readonly BwrapWord[]): string {
  const show = (word: BwrapWord) => (typeof word === 'string' ? word : 'content' in word ? `<${Buffer.from(word.content)}>` : '<status>');
  return words.map(show).join(' ');
}

function fileAt(words: readonly BwrapWord[], path: string): string {
  const index = words.findIndex((word, at) => word === path && words[at - 2] === '--file');
  const word = words[index - 1];
  return typeof word === 'object' && 'content' in word ? Buffer.from(word.content).toString() : '';
}

describe('what every sandbox has', () => {
  it.each([
    ['namespaces of its own', '--unshare-all --unshare-user --die-with-parent --new-session --cap-drop ALL --uid 65534 --gid 65534'],
    [
      'the machine’s programs, read-only',
      '--ro-bind /usr /usr --symlink usr/bin /bin --ro-bind /lib /lib --ro-bind-try /etc/ssl/certs /etc/ssl/certs ' +
        '--symlink /usr/share/zoneinfo/Etc/UTC /etc/localtime',
    ],
    ['its own code, read-only', '--ro-bind /srv/demo /app'],
    ['a device folder without terminals', '--size 65536 --tmpfs /dev --dev-bind /dev/null /dev/null'],
    ['a /tmp of the size of its limit', '--perms 1777 --size 5000000 --tmpfs /tmp'],
    ['the Node of the proxy', '--ro-bind /opt/node/bin/node /opt/bulkhead/bin/node'],
    ['no environment', '--remount-ro / --chdir / --clearenv --setenv PATH /usr/bin:/bin'],
    ['the filter, and a status', '--seccomp <\x01\x02\x03> --json-status-fd <status>'],
  ])('%s', (_what, expected) => {
    expect(line(argsOf({}))).toContain(expected);
    expect(line(argsOf({ network: rules }))).toContain(expected);
  });
});

describe('the network', () => {
  it('is nothing by default: no capability, no more user namespaces, no name but localhost', () => {
    const words = argsOf({});
    expect(line(words)).toContain('--disable-userns');
    expect(line(words)).not.toContain('--cap-add');
    expect(line(words)).not.toContain('--share-net');
    expect(fileAt(words, '/etc/hosts')).toBe('127.0.0.1 localhost connector\n');
    expect(firstProgram(plan)).toEqual(['/bin/sh', inside.connectorScript]);
  });

  it('with rules has the hosts, the proxy variables, and a prelude with the rights it needs', () => {
    const words = argsOf({ network: rules });
    expect(line(words)).toContain('--cap-add CAP_NET_BIND_SERVICE --cap-add CAP_SYS_RESOURCE --cap-add CAP_SETPCAP --ro-bind');
    expect(line(words)).not.toContain('--disable-userns');
    expect(fileAt(words, '/etc/hosts')).toContain('127.0.0.2 api.example.com\n');
    expect(fileAt(words, inside.startScript)).toContain(`variable HTTPS_PROXY ${hex('http://127.0.0.1:3128')}\n`);
    expect(fileAt(words, inside.startScript).split('\n').slice(0, 7)).toEqual([
      '# the prelude',
      '__DATA__',
      '46 157 126 302',
      'channel 3',
      'listen 2 1 64 020001bb000000000000000000000000 {"cmd":"NODE_HANDLE","type":"net.Server","dgramType":"udp4","msg":{"index":0}}',
      'listen 2 2 0 020000357f0000010000000000000000 {"cmd":"NODE_HANDLE","type":"dgram.Socket","dgramType":"udp4","msg":{"index":1}}',
      'renounce',
    ]);
    expect(firstProgram({ ...plan, network: rules })).toEqual(['/usr/bin/perl', inside.startScript]);
  });

  it('binds IPv6 listeners by their own address', () => {
    const network = { ...rules, listeners: [{ transport: 'tcp', address: '::1', port: 80, role: 'host' } as const] };
    expect(fileAt(argsOf({ network }), inside.startScript)).toContain(`listen 10 1 64 0a00005000000000${'00'.repeat(15)}0100000000 {`);
  });

  it('with addresses in its rules may make routes, by a request the kernel takes', () => {
    const words = argsOf({ network: { ...rules, localRoutes: ['203.0.113.0/24'] } });
    expect(line(words)).toContain('--cap-add CAP_NET_ADMIN');
    expect(fileAt(words, inside.startScript)).toContain(`route ${routeRequest('203.0.113.0/24').toString('hex')}\n`);
  });

  it('with the Node helper is made by a shell', () => {
    const network = { ...rules, helper: nodeHelper };
    const words = argsOf({ network });
    expect(fileAt(words, inside.startScript)).toContain(
      "'/opt/bulkhead/bin/node' '/run/bulkhead/listen.mjs' 'tcp:0.0.0.0:443' 'udp:127.0.0.1:53' || exit 121\n",
    );
    expect(fileAt(words, inside.helper)).toBe('// listen');
    expect(firstProgram({ ...plan, network })).toEqual(['/bin/sh', inside.startScript]);
  });

  it('is the host’s for unsafe-host only', () => {
    const words = argsOf({ network: { ...noNetwork, isHostShared: true } });
    expect(line(words)).toContain('--unshare-all --unshare-user --share-net');
    expect(line(words)).toContain('--ro-bind-try /etc/resolv.conf /etc/resolv.conf');
  });
});

describe('the connector’s own part', () => {
  const limits = { ...policy.limits, cpuTimeMaxMs: 1500 };
  const tainted = { limits, environment: { LD_PRELOAD: '/app/x.so', EMPTY: '' } };
  const scriptOf = (changes: Partial<SandboxPolicy>, path: string, network = noNetwork) =>
    fileAt(argsOf({ policy: { ...policy, ...changes }, network }), path).split('\n');

  it('has limits before its environment, and its command last', () => {
    const script = scriptOf(tainted, inside.connectorScript);
    expect(script.slice(0, 8)).toEqual([
      '/usr/bin/prlimit --pid 1 --core=0:0 --memlock=0:0 --nofile=256:256 --fsize=1000:1000 --nproc=64:64 --data=2684354560:2684354560 --cpu=3:3 || exit 118',
      'ulimit -S -c 0 && ulimit -H -c 0 || exit 118',
      'ulimit -S -l 0 && ulimit -H -l 0 || exit 118',
      'ulimit -S -n 256 && ulimit -H -n 256 || exit 118',
      'ulimit -S -f 2 && ulimit -H -f 2 || exit 118',
      '{ ulimit -p 64 || ulimit -u 64; } 2>/dev/null || exit 118',
      'ulimit -S -d 2621440 && ulimit -H -d 2621440 || exit 118',
      'ulimit -S -t 2 && ulimit -H -t 3 || exit 118',
    ]);
    expect(script.indexOf("export LD_PRELOAD='/app/x.so'")).toBeGreaterThan(7);
    expect(script.at(-2)).toBe("exec 'python3' 'main.py'");
  });

  it('sets only what bwrap could not be limited to when it was spawned', () => {
    const counted = { memory: true, pids: true };
    const known = { ...plan, counted, policy: { ...policy, limits: { ...limits, fileBytesMax: 2 ** 26 } } };
    expect(limitsAhead(known.policy.limits, counted)).toEqual([
      { resource: 4, hard: 0 },
      { resource: 8, hard: 0 },
      { resource: 7, hard: 256 },
      { resource: 1, hard: 2 ** 26 },
      { resource: 0, hard: 3 },
    ]);
    const script = fileAt(ownArguments(known, 'x64', true), inside.connectorScript).split('\n');
    expect(script.filter((line) => line.includes('limit'))).toEqual([
      '{ ulimit -p 72 || ulimit -u 72; } 2>/dev/null || exit 118',
      'ulimit -S -t 2 && ulimit -H -t 3 || exit 118',
    ]);
  });

  it.each([
    ['where nothing counts processes', {}, { memory: true, pids: false }],
    ['where nothing counts memory', {}, { memory: false, pids: true }],
    ['where bwrap could not write its files', { fileBytesMax: bwrapNeeds.fileBytes - 1 }, { memory: true, pids: true }],
    ['where bwrap could not open its mounts', { descriptorsMax: bwrapNeeds.descriptors - 1 }, { memory: true, pids: true }],
  ])('sets all limits itself %s', (_, changes, counted) => {
    const enough = { ...limits, fileBytesMax: bwrapNeeds.fileBytes, descriptorsMax: bwrapNeeds.descriptors };
    expect(limitsAhead(enough, { memory: true, pids: true })).not.toEqual([]);
    expect(limitsAhead({ ...enough, ...changes }, counted)).toEqual([]);
  });

  it('has the same after a prelude', () => {
    const script = scriptOf(tainted, inside.startScript, rules);
    const first = script.indexOf('renounce') + 1;
    expect(script.slice(first, first + 7)).toEqual([
      'limit 4 0 0',
      'limit 8 0 0',
      'limit 7 256 256',
      'limit 1 1000 1000',
      'limit 6 64 64',
      'limit 2 2684354560 2684354560',
      'limit 0 2 3',
    ]);
    expect(script.indexOf(`variable LD_PRELOAD ${hex('/app/x.so')}`)).toBeGreaterThan(first + 6);
    expect(script).toContain('variable EMPTY ');
    expect(script.slice(-4)).toEqual([`folder ${hex('/app')}`, 'ready 5 r', `become ${hex('python3')},${hex('main.py')}`, '']);
  });

  it('has no limit of address space where a cgroup counts memory: V8 reserves much more than it uses', () => {
    expect(fileAt(argsOf({ counted: { memory: true, pids: false } }), inside.connectorScript)).not.toContain('ulimit -S -d');
  });

  it('leaves the number of processes to a cgroup, which tells when it is reached', () => {
    expect(fileAt(argsOf({ counted: { memory: true, pids: true } }), inside.connectorScript)).toContain('ulimit -p 72 ');
  });

  it.each([
    ['plain', "'plain'"],
    ["it's", String.raw`'it'\''s'`],
    ['$(id) `id` \\ " \n', "'$(id) `id` \\ \" \n'"],
    ['', "''"],
  ])('quotes %j as one word', (word, quoted) => {
    expect(quote(word)).toBe(quoted);
  });

  it.each(['A B', '1A', 'A=B', '', 'A;id'])('refuses the variable name %j', (name) => {
    expect(() => withPolicy({ environment: { [name]: 'x' } })).toThrow(expect.objectContaining({ code: 'invalid_config' }));
  });

  it('lets policy variables win over the gateway’s', () => {
    const words = argsOf({ network: rules, policy: { ...policy, environment: { HTTPS_PROXY: 'mine' } } });
    expect(fileAt(words, inside.startScript)).toContain(`variable HTTPS_PROXY ${hex('mine')}\n`);
  });

  it('sees its data folder as /data, and read-only paths where they are', () => {
    const words = argsOf({ dataFolder: '/srv/data', readOnlyBinds: [{ source: '/opt/jdk-21', target: '/opt/jdk' }] });
    expect(line(words)).toContain('--ro-bind /opt/jdk-21 /opt/jdk --ro-bind /srv/demo /app --bind /srv/data /data');
  });
});
