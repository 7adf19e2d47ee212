import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { configLimits } from '../../../src/config/defaults.ts';
import { type LoadConfigOptions, loadConfig } from '../../../src/config/load-config.ts';
import { faultText } from '../../../src/lib/faults.ts';
import { lineLimitsDefault } from '../../../src/protocol/limits.ts';

let folder = '';
let file = '';

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'config-')));
  file = join(folder, 'bulkhead.yaml');
  for (const name of ['smtp', 'other', 'data', 'data/inner', 'etc']) await mkdir(join(folder, name));
  await symlink('/etc', join(folder, 'etc-link'));
  await writeFile(join(folder, 'plain.txt'), '');
});
afterAll(() => rm(folder, { recursive: true }));

async function load(text: string, options: Partial<LoadConfigOptions> = {}) {
  await writeFile(file, text);
  return loadConfig(file, { environment: {}, ...options });
}

async function faultsOf(text: string, options: Partial<LoadConfigOptions> = {}): Promise<readonly string[]> {
  const result = await load(text, options);
  return result.ok ? expect.fail('accepted') : result.faults.map((fault) => faultText({ ...fault, file: 'b' }));
}

async function configOf(text: string, options: Partial<LoadConfigOptions> = {}): Promise<Config> {
  const result = await load(text, options);
  return result.ok ? result.config : expect.fail(result.faults.map(faultText).join('\n'));
}

const connector = (more: string): string => `connectors:\n  smtp:\n    path: ./smtp\n${more.replace(/^/gm, '    ')}\n`;

const full = `
server:
  host: 0.0.0.0
  port: 7005
  apiKeys: [{ name: arena, key: { env: KEY }, connectors: [smtp] }, { name: ops, key: { file: key.txt } }]
  corsOrigins: ["https://modeler.example.com"]
  bodyMax: 1MiB
  drain: 5s
  audit: { folder: audit, fileMax: 1MiB }
  egress: { upstreamProxy: { url: "http://proxy.example:3128", user: u, password: { command: [cat, pw] } }, connections: 7, dnsServers: ["10.0.0.53", "[2001:db8::53]:5353"] }
  engine: "unix:///run/user/1000/podman/podman.sock"
connectors:
  smtp:
    path: ./smtp
    network: ["smtp.example.com:587", "*.example.org:443,8443"]
    secrets: { SMTP_PASSWORD: { file: secrets/smtp }, B: { env: B } }
    settings: { a: { b: [1, null] } }
    environment: { TZ: UTC }
    dataFolder: data
    readOnlyPaths: [/usr/share]
    limits: { memory: 1GiB, cpu: 0.5, cpuTime: 10m, invocation: 30s }
    workers: { min: 1, max: 2, concurrency: 3, idle: 1m }
  image-one:
    image: ghcr.io/acme/one@sha256:aaaa
    network: observe
    workers: { mode: single-use, prewarm: 2 }
`;

describe('loadConfig', () => {
  it('has the limits that the page of the protocol tells where nothing is written', async () => {
    const { messageBytesMax, nestingMax } = lineLimitsDefault;
    const [smtp] = [...(await configOf(connector(''))).connectors.values()];
    expect(smtp?.limits).toMatchObject({ messageBytesMax, nestingMax });
  });

  it('resolves names, units and paths', async () => {
    const { server, connectors } = await configOf(full);
    expect(server).toMatchObject({
      host: '0.0.0.0',
      port: 7005,
      apiKeys: [
        { name: 'arena', key: { type: 'env', env: 'KEY' }, connectors: ['smtp'] },
        { name: 'ops', key: { type: 'file', file: join(folder, 'key.txt') }, connectors: ['*'] },
      ],
      corsOrigins: ['https://modeler.example.com'],
      bodyBytesMax: 1_048_576,
      drainTimeoutMs: 5000,
      audit: { folder: join(folder, 'audit'), fileBytesMax: 1_048_576, filesMax: 8 },
      egress: {
        upstreamProxy: {
          host: 'proxy.example',
          port: 3128,
          resolve: 'gateway',
          credentials: { user: 'u', password: { type: 'command', command: ['cat', 'pw'] } },
        },
        dnsServers: ['10.0.0.53', '[2001:db8::53]:5353'],
        connectionsMax: 7,
        connectTimeoutMs: 10_000,
      },
    });
    const [smtp, image] = [...connectors.values()];
    expect(smtp).toMatchObject({
      name: 'smtp',
      source: { type: 'folder', path: join(folder, 'smtp') },
      network: { type: 'rules', rules: [{ text: 'smtp.example.com:587' }, { text: '*.example.org:443,8443' }] },
      secrets: { SMTP_PASSWORD: { type: 'file', file: join(folder, 'secrets/smtp') } },
      settings: { a: { b: [1, null] } },
      sandbox: 'enforced',
      dataFolder: join(folder, 'data'),
      readOnlyPaths: ['/usr/share'],
      limits: { memoryBytesMax: 1_073_741_824, cpusMax: 0.5, cpuTimeMaxMs: 600_000, invocationTimeoutMs: 30_000, startTimeoutMs: 10_000 },
      workers: {
        mode: 'pooled',
        min: 1,
        max: 2,
        concurrency: 3,
        queueMax: 64,
        idleTimeoutMs: 60_000,
        ageTimeoutMs: 3_600_000,
        invocationsMax: 10_000,
      },
    });
    expect(image).toMatchObject({
      source: { type: 'image', image: 'ghcr.io/acme/one@sha256:aaaa', engine: 'unix:///run/user/1000/podman/podman.sock' },
      network: { type: 'observe', rules: [] },
      workers: { mode: 'single-use', prewarm: 2, max: 4 },
    });
  });

  it('hands settings on under any names', async () => {
    const { connectors } = await configOf(connector('settings: { constructor: 1, prototype: { constructor: [2] }, toString: 3 }'));
    const [smtp] = connectors.values();
    expect(JSON.stringify(smtp?.settings)).toBe('{"constructor":1,"prototype":{"constructor":[2]},"toString":3}');
  });

  it('is refuse-by-default: nothing is reachable, nothing is given', async () => {
    const { server, connectors } = await configOf(connector(''));
    expect(server).toMatchObject({ host: '127.0.0.1', port: 7004, apiKeys: [], corsOrigins: [] });
    expect([...connectors.values()][0]).toMatchObject({
      network: { type: 'none' },
      secrets: {},
      environment: {},
      sandbox: 'enforced',
      readOnlyPaths: [],
    });
  });

  it.each([
    ['network: []', { type: 'none' }],
    ['network: none', { type: 'none' }],
    ['network: unrestricted', { type: 'unrestricted' }],
    ['network: unsafe-host', { type: 'unsafe-host' }],
    ['network: { observe: ["a.example:443"] }', { type: 'observe', rules: [{ text: 'a.example:443' }] }],
  ])('%s', async (text, network) => {
    expect((await configOf(connector(text))).connectors.values().next().value?.network).toMatchObject(network);
  });

  it('honours the variables of the reference, and lets the config and the command line win', async () => {
    const reference = { apiKey: 'k', corsOrigins: 'https://a.example, https://b.example', environment: { CONNECTOR_PROXY_API_KEY: 'k' } };
    const { server } = await configOf(connector(''), { ...reference, host: '0.0.0.0', port: 0 });
    expect(server).toMatchObject({
      host: '0.0.0.0',
      port: 0,
      apiKeys: [{ name: 'default', key: { type: 'env', env: 'CONNECTOR_PROXY_API_KEY' }, connectors: ['*'] }],
      corsOrigins: ['https://a.example', 'https://b.example'],
    });
    expect((await configOf(full, reference)).server).toMatchObject({
      apiKeys: [{ name: 'arena' }, { name: 'ops' }],
      corsOrigins: ['https://modeler.example.com'],
    });
  });

  it.each([
    ['sandbox: none', 'sandbox: lets the connector run with the proxy’s own rights'],
    ['network: unsafe-host', 'network: gives the connector the host’s network'],
    ['network: observe', 'network: allows what no rule names'],
    ['environment: { NODE_OPTIONS: "--import x" }', 'environment.NODE_OPTIONS: changes what code the connector loads'],
    ['environment: { LD_PRELOAD: /x }', 'environment.LD_PRELOAD: changes what code the connector loads'],
    ['environment: { https_proxy: "http://x" }', 'environment.https_proxy: takes the place of what leads to the egress gateway'],
  ])('warns of %s', async (text, warning) => {
    const result = await load(connector(text));
    if (!result.ok) expect.fail(result.faults.map(faultText).join());
    expect(result.warnings.map((fault) => faultText({ ...fault, file: 'b' }))[0]).toMatch(
      new RegExp(`^b:4:.*connectors\\.smtp\\.${warning}`),
    );
  });
});

describe('loadConfig refuses, with line and repair', () => {
  it.each([
    ['serverr: {}', 4, 'serverr: is not known here; did you mean server?'],
    ['server: { prot: 1 }', 4, 'server.prot: is not known here; did you mean port?'],
    ['server: { port: 65536 }', 4, 'server.port: is not a whole number from 0 to 65535; write'],
    ['server: { port: "7004" }', 4, 'server.port: is not a whole number'],
    ['server: { host: 0.0.0.0 }', 4, 'server.host: is reachable from other machines, and no API key is asked for; add server.apiKeys'],
    ['server: { host: "::" }', 4, 'server.host: is reachable from other machines'],
    ['server: { host: 127.evil.example }', 4, 'server.host: is reachable from other machines'],
    ['server: { bodyMax: 8000000 }', 4, 'server.bodyMax: is not a size; write a number and its unit, e.g. 64kB'],
    ['server: { bodyMax: 8GB }', 4, 'server.bodyMax: is not from 1kB to 1GiB; write a size from'],
    ['server: { drain: 5 }', 4, 'server.drain: is not a duration; write a number and its unit, e.g. 500ms, 40s'],
    ['server: { drain: 5sec }', 4, 'server.drain: is not a duration'],
    ['server: { apiKeys: [{ name: a, key: s3cret-value }] }', 4, 'server.apiKeys[0].key: is not a source of a secret; write { env: NAME }'],
    ['server: { apiKeys: [{ name: a, key: {} }] }', 4, 'server.apiKeys[0].key: names no source, or more than one; write exactly one'],
    ['server: { apiKeys: [{ name: a, key: { env: A, file: b } }] }', 4, 'server.apiKeys[0].key: names no source, or more than one'],
    ['server: { apiKeys: [{ name: a, key: { env: EMPTY } }] }', 4, 'server.apiKeys[0].key: is empty: the variable EMPTY is set to nothing'],
    [
      'server: { apiKeys: [{ name: a, key: { env: A }, connectors: [smpt] }] }',
      4,
      'server.apiKeys[0].connectors[0]: is no connector of this config; did you mean smtp?',
    ],
    [
      'server: { apiKeys: [{ name: a, key: { env: A } }, { name: a, key: { env: B } }] }',
      4,
      'server.apiKeys[1].name: is the name of another key too',
    ],
    ['server: { corsOrigins: ["https://a.example/"] }', 4, 'server.corsOrigins[0]: is not an origin; write scheme://host'],
    ['server: { corsOrigins: ["*"] }', 4, 'server.corsOrigins[0]: is not an origin'],
    ['server: { logLevel: verbose }', 4, 'server.logLevel: is not one of debug, info'],
    [
      'server: { egress: { upstreamProxy: { url: "http://u:pw@proxy:1" } } }',
      4,
      'server.egress.upstreamProxy.url: is not http://host:port; write e.g.',
    ],
    [
      'server: { egress: { upstreamProxy: { url: "http://proxy:1", user: u } } }',
      4,
      'server.egress.upstreamProxy: has only one of user and password',
    ],
    [
      'server: { egress: { upstreamProxy: { url: "http://proxy:99999" } } }',
      4,
      'server.egress.upstreamProxy.url: is not http://host:port; write a port',
    ],
    [
      'server: { egress: { dnsServers: [10.0.0.53, dns.example] } }',
      4,
      'server.egress.dnsServers[1]: is not the address of a DNS server; write an IP',
    ],
    ['server: { egress: { dnsServers: ["10.0.0.53:0"] } }', 4, 'server.egress.dnsServers[0]: is not the address of a DNS server'],
    ['server: { egress: { dnsServers: ["2001:db8::zz"] } }', 4, 'server.egress.dnsServers[0]: is not the address of a DNS server'],
    ['server: { engine: "docker" }', 4, 'server.engine: is not the address of a container engine; write unix:///path'],
    ['  network: ["api.example.com"]', 4, 'connectors.smtp.network[0]: names no port; add one, e.g. api.example.com:443'],
    ['  network: [a.example:443, "*:443"]', 4, 'connectors.smtp.network[1]: matches every host; name the hosts'],
    ['  network: open', 4, 'connectors.smtp.network: is not a network grant; write none, a list'],
    ['  network: { observ: [] }', 4, 'connectors.smtp.network.observ: is not known here; did you mean observe?'],
    ['  secrets: { PASSWORD: hunter2 }', 4, 'connectors.smtp.secrets.PASSWORD: is not a source of a secret'],
    ['  secrets: { A: { command: "pass x" } }', 4, 'connectors.smtp.secrets.A.command: is not a list'],
    ['  secrets: { A-B: { env: A } }', 4, 'connectors.smtp.secrets.A-B: is not a name'],
    [
      '  environment: { DB_PASSWORD: x }',
      4,
      'connectors.smtp.environment.DB_PASSWORD: looks like a secret by its name; write DB_PASSWORD under secrets',
    ],
    ['  environment: { A: 5 }', 4, 'connectors.smtp.environment.A: is not text'],
    ['  sandbox: off', 4, 'connectors.smtp.sandbox: is not one of enforced, none'],
    ['  image: x', 2, 'connectors.smtp: has both path and image; write exactly one'],
    ['  engine: "unix:///x"', 4, 'connectors.smtp.engine: is of no use to a folder'],
    ['  limits: { memory: 256 }', 4, 'connectors.smtp.limits.memory: is not a size'],
    ['  limits: { memory: 1MiB }', 4, 'connectors.smtp.limits.memory: is not from 8MiB to 1TiB'],
    [
      '  limits: { invocation: 45s }',
      4,
      'connectors.smtp.limits.invocation: with cancelGrace comes to 47s, and the engine gives up after 45s; write less',
    ],
    ['  limits: { invocation: 44s, cancelGrace: 1s }', 4, 'connectors.smtp.limits.invocation: with cancelGrace comes to 45s'],
    ['  limits: { cpu: 0 }', 4, 'connectors.smtp.limits.cpu: is not a number from 0.01'],
    ['  limits: { pid: 1 }', 4, 'connectors.smtp.limits.pid: is not known here; did you mean pids?'],
    ['  workers: { mode: single }', 4, 'connectors.smtp.workers.mode: is not one of pooled, single-use'],
    [
      '  workers: { prewarm: 1 }',
      4,
      'connectors.smtp.workers.prewarm: means nothing with mode: pooled; remove it, or write mode: single-use',
    ],
    ['  workers: { mode: single-use, concurrency: 1 }', 4, 'connectors.smtp.workers.concurrency: means nothing with mode: single-use'],
    ['  workers: { min: 5 }', 4, 'connectors.smtp.workers.min: is more than max'],
    ['  workers: { mode: single-use, prewarm: 5 }', 4, 'connectors.smtp.workers.prewarm: is more than max'],
    ['  dataFolder: /', 4, 'connectors.smtp.dataFolder: is a folder of the system; make a folder of its own'],
    ['  dataFolder: /etc/x', 4, 'connectors.smtp.dataFolder: is a folder of the system'],
    ['  dataFolder: /proc/self', 4, 'connectors.smtp.dataFolder: is a folder of the system'],
    ['  dataFolder: /var/run/docker.sock', 4, 'connectors.smtp.dataFolder: is a folder of the system'],
    ['  dataFolder: /var/../etc', 4, 'connectors.smtp.dataFolder: is a folder of the system'],
    ['  dataFolder: etc-link', 4, 'connectors.smtp.dataFolder: is a folder of the system'],
    ['  dataFolder: missing', 4, 'connectors.smtp.dataFolder: is not there'],
    ['  dataFolder: plain.txt', 4, 'connectors.smtp.dataFolder: is not a folder'],
    ['  dataFolder: .', 4, 'connectors.smtp.dataFolder: holds this config file; give each'],
    ['  dataFolder: smtp', 4, 'connectors.smtp.dataFolder: overlaps the folder of a connector’s code'],
    ['  readOnlyPaths: [smtp]', 4, 'connectors.smtp.readOnlyPaths[0]: is not an absolute path'],
    ['  readOnlyPaths: [/]', 4, 'connectors.smtp.readOnlyPaths[0]: holds what belongs to the system'],
    ['  readOnlyPaths: [/proc/1]', 4, 'connectors.smtp.readOnlyPaths[0]: holds what belongs to the system'],
    ['  readOnlyPaths: [/etc]', 4, 'connectors.smtp.readOnlyPaths[0]: holds what belongs to the system'],
    ['  readOnlyPaths: [/dev/null]', 4, 'connectors.smtp.readOnlyPaths[0]: is a socket or a device'],
    ['  readOnlyPaths: [/missing]', 4, 'connectors.smtp.readOnlyPaths[0]: is not there'],
  ])('%s', async (line, at, fault) => {
    const text = line.startsWith('  ') ? connector(line.trim()) : `connectors:\n  smtp:\n    path: ./smtp\n${line}\n`;
    const faults = await faultsOf(text, { environment: { EMPTY: '', A: 'a', B: 'b' } });
    expect(faults.filter((one) => one.replace(/^b:(\d+):\d+: /, '$1 ').startsWith(`${at} ${fault}`))).toHaveLength(1);
    expect(faults.join()).not.toMatch(/hunter2|s3cret-value|pw@/);
  });

  it.each([
    ['connectors: { smtp: {} }', /neither path nor image/],
    ['connectors: { smtp: { path: nowhere } }', /connectors\.smtp\.path: is not there/],
    ['connectors: { smtp: { path: plain.txt } }', /connectors\.smtp\.path: is not a folder/],
    ['connectors: { Smtp: { path: smtp } }', /connectors\.Smtp: is not a connector name/],
    ['connectors: { a: { image: "x y" } }', /connectors\.a\.image: is not an image reference/],
    [
      'connectors: { a: { image: x, engine: "tcp://10.0.0.1:2375" } }',
      /connectors\.a\.engine: is an engine of another machine without TLS/,
    ],
    [
      'server: { engine: "tcp://10.0.0.1:2375" }\nconnectors: { a: { image: x } }',
      /server\.engine: is an engine of another machine without TLS/,
    ],
    ['connectors: []', /connectors: is not a mapping/],
    ['server: []\nconnectors: {}', /server: is not a mapping/],
    ['connectors: { smtp: { path: smtp, settings: [1] } }', /settings: is not a mapping/],
    ['[]', /is not a mapping/],
    ['{}', /connectors: is missing; add connectors/],
    ['', /is empty/],
    [
      'connectors: { a: {path: smtp, dataFolder: data}, b: {path: other, dataFolder: data/inner} }',
      /connectors\.b\.dataFolder: overlaps the data folder of a/,
    ],
    [
      'server: { audit: { folder: data/audit } }\nconnectors: { a: { path: smtp, dataFolder: data } }',
      /connectors\.a\.dataFolder: holds the audit log; give each/,
    ],
    [
      'connectors: { a: { path: smtp, dataFolder: data, secrets: { KEY: { file: data/inner } } } }',
      /connectors\.a\.dataFolder: holds the file of a secret/,
    ],
    [
      'server: { apiKeys: [{ name: x, key: { file: data/inner }, connectors: [a] }] }\nconnectors: { a: { path: smtp, dataFolder: data } }',
      /connectors\.a\.dataFolder: holds the file of a secret/,
    ],
    [
      'server: { egress: { upstreamProxy: { url: "http://proxy:3128", user: me, password: { file: data/inner } } } }\nconnectors: { a: { path: smtp, dataFolder: data } }',
      /connectors\.a\.dataFolder: holds the file of a secret/,
    ],
    [
      'server: { sharePort: true }\nconnectors: { a: { path: smtp, sandbox: none } }',
      /connectors\.a\.sandbox: lets the connector listen on the shared port too, .*; remove it where .*, or remove server\.sharePort/,
    ],
    [
      'server: { sharePort: true }\nconnectors: { a: { path: smtp, network: unsafe-host } }',
      /connectors\.a\.network: lets the connector listen on the shared port too, .*; list what it needs, or remove server\.sharePort/,
    ],
    [
      'server: { sharePort: true }\nconnectors: { a: { image: x, network: unsafe-host } }',
      /connectors\.a\.network: lets the connector listen on the shared port too/,
    ],
    ['a: &a [*a]', /anchors and aliases|not known here/],
    [`# ${'x'.repeat(configLimits.fileBytesMax)}`, /larger than 1048576 bytes/],
  ])('%.60s', async (text, fault) => expect((await faultsOf(text)).join('\n')).toMatch(fault));

  it('what could join the port of a proxy that runs, though the new config shares it no more', async () => {
    const text = 'connectors: { a: { path: smtp, sandbox: none } }';
    expect(await faultsOf(text, { isPortShared: true })).toEqual([expect.stringMatching(/connectors\.a\.sandbox: .*shared port/)]);
  });

  it('of a shared port nothing that is confined', async () => {
    const text = 'server: { sharePort: true }\nconnectors: { a: { path: smtp, network: unrestricted }, b: { image: x, sandbox: none } }';
    expect((await configOf(text)).connectors.size).toBe(2);
  });

  it('a data folder with something in it that is mounted for another, which a link could lead elsewhere', async () => {
    const inner = join(folder, 'data/inner');
    const text = `connectors: { a: { path: smtp, dataFolder: data }, b: { path: other, readOnlyPaths: ["${inner}"] } }`;
    expect(await faultsOf(text)).toEqual([expect.stringMatching(/connectors\.a\.dataFolder: holds a read-only path of b/)]);
  });

  it('a data folder with the certificates of an engine in it', async () => {
    const engine = `tcp://10.0.0.1:2376?certs=${join(folder, 'data/inner')}`;
    const text = `connectors: { a: { path: smtp, dataFolder: data }, b: { image: x, engine: "${engine}" } }`;
    expect(await faultsOf(text)).toEqual([expect.stringMatching(/connectors\.a\.dataFolder: holds the certificates of an engine/)]);
  });

  it('an empty key, or no origin, from the variables of the reference', async () => {
    expect(await faultsOf(connector(''), { apiKey: '', corsOrigins: 'nonsense' })).toEqual([
      expect.stringMatching(/empty API key from CONNECTOR_PROXY_API_KEY; set it to a key, or unset it/),
      expect.stringMatching(/no origin from CONNECTOR_PROXY_CORS_ORIGINS/),
    ]);
  });

  it.each([
    ['connectors: { constructor: { path: ./smtp } }', 'connectors.constructor: cannot be used as a name here; choose another'],
    ['server: { prototype: 1 }', 'server.prototype: is not known here'],
    [connector('constructor: 1'), 'connectors.smtp.constructor: is not known here'],
    [connector('environment: { prototype: x }'), 'connectors.smtp.environment.prototype: cannot be used as a name here'],
    [connector('secrets: { constructor: { env: X } }'), 'connectors.smtp.secrets.constructor: cannot be used as a name here'],
  ])('names that are those of every object, instead of losing them: %s', async (text, told) => {
    expect(await faultsOf(text)).toContainEqual(expect.stringContaining(told));
  });

  it('a file that is not there', async () => {
    expect(await loadConfig(join(folder, 'nothing.yaml'), { environment: {} })).toMatchObject({
      ok: false,
      faults: [{ message: 'is not there', line: 1 }],
    });
  });

  it.each([
    ['latin1', '', 4],
    ['utf16le', '\ufeff', 1],
  ] as const)('a file in the encoding %s', async (encoding, mark, line) => {
    await writeFile(file, Buffer.from(`${mark}${connector('settings: { greeting: "Grüße" }')}`, encoding));
    expect(await loadConfig(file, { environment: {} })).toMatchObject({
      ok: false,
      faults: [{ file, line, message: 'is not UTF-8', repair: expect.stringContaining('UTF-8') }],
    });
  });

  it('a socket among read-only paths', async () => {
    const socket = join(folder, 'a.sock');
    const server = createServer();
    await new Promise<void>((done) => server.listen(socket, done));
    try {
      expect((await faultsOf(connector(`readOnlyPaths: [${socket}]`))).join()).toMatch(/is a socket or a device/);
    } finally {
      await new Promise((done) => server.close(done));
    }
  });

  it('many things at once, in the order of lines', async () => {
    const faults = await faultsOf(
      'server: { prot: 1, drain: 5 }\nconnectors:\n  smtp: { pth: x }\n  b: { network: [x], limits: { memory: 1 } }\nfoo: 1\n',
    );
    expect(faults.map((fault) => fault.split(':')[1])).toEqual(['1', '1', '3', '4', '4', '5']);
  });
});
