/** bulkhead.yaml as a deployer writes it. Strict: what is not known is a fault. Descriptions become the published JSON Schema. */
import { isIP } from 'node:net';
import * as v from 'valibot';
import { anyMapping, choice, closed, count, duration, flag, list, mapOf, orDefaults, size, text, told } from '../lib/written.ts';
import { contextNames, NetworkRuleSchema, VariableNameSchema } from '../manifest/manifest.ts';
import { ConnectorNameSchema } from '../manifest/names.ts';
import { configLimits, defaults } from './defaults.ts';

const pathText = () => text(4096);

// ---- secrets ------------------------------------------------------------------------------------------------------------------

const SecretFormSchema = closed(
  {
    env: v.exactOptional(v.pipe(VariableNameSchema, v.description('A variable of the proxy’s own environment.'))),
    file: v.exactOptional(v.pipe(pathText(), v.description('A file; one line break at its end is dropped.'))),
    command: v.exactOptional(
      v.pipe(
        list(text(4096), 64),
        v.minLength(1, told('is empty', 'write [program, argument, …]')),
        v.description('Program and arguments, without a shell; what it prints is the secret.'),
      ),
    ),
  },
  told(
    'is not a source of a secret',
    'write { env: NAME }, { file: PATH } or { command: [program, …] }; a secret itself never stands here',
  ),
);

const SecretSourceSchema = v.pipe(
  SecretFormSchema,
  v.check(
    ({ env, file, command }) => [env, file, command].filter((form) => form !== undefined).length === 1,
    told('names no source, or more than one', 'write exactly one of env, file and command'),
  ),
);

// ---- server -------------------------------------------------------------------------------------------------------------------

const ApiKeySchema = closed({
  name: v.pipe(text(64), v.description('Shown in logs instead of the key.')),
  key: v.pipe(SecretSourceSchema, v.description('Where the key is read from at start.')),
  connectors: v.pipe(
    v.optional(list(text(64), configLimits.connectorsMax), ['*']),
    v.description('Connectors that it may see and use; "*" is all.'),
  ),
});

const AuditSchema = closed({
  folder: v.pipe(pathText(), v.description('Where the files are written; made if it is not there. Relative to this file.')),
  fileMax: v.pipe(v.optional(size('64kB', '16GiB'), defaults.audit.fileMax), v.description('A file is put aside when it is this large.')),
  files: v.pipe(v.optional(count(2, 10_000), defaults.audit.files), v.description('Files kept, the current one included.')),
});

const UpstreamProxySchema = closed({
  url: v.pipe(
    text(512),
    v.regex(
      /^http:\/\/(?:[a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}\/?$/,
      told('is not http://host:port', 'write e.g. http://proxy.example.com:3128; user and password have keys of their own'),
    ),
    v.description('http://host:port.'),
  ),
  user: v.exactOptional(v.pipe(text(256), v.description('For basic authentication.'))),
  password: v.exactOptional(v.pipe(SecretSourceSchema, v.description('For basic authentication.'))),
  resolve: v.pipe(
    v.optional(choice(['gateway', 'proxy']), defaults.egress.resolve),
    v.description(
      'Who resolves names: the gateway, which checks every address, or the proxy, which is then trusted not to lead to private ranges.',
    ),
  ),
});

const dnsServerMessage = told(
  'is not the address of a DNS server',
  'write an IP address, e.g. 10.0.0.53, 10.0.0.53:5353 or [2001:db8::53]:53',
);

const DnsServerSchema = v.pipe(
  text(64),
  v.check((written) => isDnsServer(written), dnsServerMessage),
);

/** `address`, `address:port` or `[address]:port`. */
function isDnsServer(written: string): boolean {
  if (isIP(written) !== 0) return true;
  const [, six, four, port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(written) ?? [];
  const isAddress = six === undefined ? isIP(four ?? '') === 4 : isIP(six) === 6;
  return isAddress && Number(port) >= 1 && Number(port) <= 65_535;
}

const EgressSchema = closed({
  upstreamProxy: v.exactOptional(v.pipe(UpstreamProxySchema, v.description('A proxy that the gateway itself must go through.'))),
  dnsServers: v.pipe(
    v.optional(v.pipe(list(DnsServerSchema, configLimits.dnsServersMax)), []),
    v.description(
      'DNS servers that the gateway asks (address or address:port), instead of the system’s resolver: /etc/hosts and search domains then count for nothing.',
    ),
    v.metadata({ examples: [['10.0.0.53']] }),
  ),
  lookupTimeout: v.pipe(v.optional(duration('100ms', '1m'), defaults.egress.lookupTimeout), v.description('One name resolution.')),
  connectTimeout: v.pipe(v.optional(duration('100ms', '5m'), defaults.egress.connectTimeout), v.description('Until a connection stands.')),
  idleTimeout: v.pipe(v.optional(duration('1s', '1d'), defaults.egress.idleTimeout), v.description('No byte in either direction.')),
  totalTimeout: v.pipe(v.optional(duration('1s', '30d'), defaults.egress.totalTimeout), v.description('Age of one connection.')),
  connections: v.pipe(v.optional(count(1, 65_536), defaults.egress.connections), v.description('Open connections of one connector.')),
  connectionsTotal: v.pipe(
    v.optional(count(1, 65_536), defaults.egress.connectionsTotal),
    v.description('Open connections of all connectors.'),
  ),
});

const engineText = () =>
  v.pipe(
    text(1024),
    v.regex(
      /^(?:unix:\/\/\/[^?#\s]+|tcp:\/\/[^/?#@\s]+:\d{1,5}\/?(?:\?certs=[^&#\s]+)?|ssh:\/\/[^/?#\s]+\/?)$/,
      told('is not the address of a container engine', 'write unix:///path, tcp://host:port?certs=/folder or ssh://user@host'),
    ),
  );

const ServerSchema = closed({
  host: v.pipe(v.optional(text(253), defaults.server.host), v.description('Address to listen on. Anything but loopback needs an API key.')),
  port: v.pipe(v.optional(count(0, 65_535), defaults.server.port), v.description('TCP port; 0 takes a free one.')),
  apiKeys: v.pipe(v.optional(list(ApiKeySchema, configLimits.apiKeysMax), []), v.description('Who may call.')),
  corsOrigins: v.pipe(
    v.exactOptional(list(text(512), 64)),
    v.description('Origins of browsers that may read answers.'),
    v.metadata({ examples: [['https://modeler.example.com']] }),
  ),
  bodyMax: v.pipe(v.optional(size('1kB', '1GiB'), defaults.server.bodyMax), v.description('Largest request body.')),
  bodyTimeout: v.pipe(
    v.optional(duration('100ms', '10m'), defaults.server.bodyTimeout),
    v.description('Until the whole body has arrived.'),
  ),
  headersTimeout: v.pipe(
    v.optional(duration('100ms', '5m'), defaults.server.headersTimeout),
    v.description('Until the headers have arrived.'),
  ),
  drain: v.pipe(v.optional(duration('0s', '1h'), defaults.server.drain), v.description('How long SIGTERM waits for invocations that run.')),
  invocations: v.pipe(
    v.optional(count(1, 1_000_000), defaults.server.invocations),
    v.description('Invocations of all connectors that may run or wait at once.'),
  ),
  logLevel: v.pipe(
    v.optional(choice(['debug', 'info', 'warn', 'error', 'silent']), defaults.server.logLevel),
    v.description('Least severe line that is written.'),
  ),
  sharePort: v.pipe(
    v.optional(flag(), defaults.server.sharePort),
    v.description(
      'Whether further proxies of the same user may listen on the same port: the kernel gives each connection to one of them, and they share nothing else. All of them say so. Refused beside `sandbox: none` and `unsafe-host`, which could listen there too.',
    ),
  ),
  metrics: v.pipe(v.optional(flag(), defaults.server.metrics), v.description('Whether GET /metrics answers.')),
  audit: v.exactOptional(
    v.pipe(
      AuditSchema,
      v.description('The audit log. Without it only denials are told, in the log; what was allowed or observed is recorded nowhere.'),
    ),
  ),
  egress: v.pipe(v.optional(EgressSchema, {}), v.description('How the egress gateway itself gets out.')),
  sandboxUser: v.pipe(
    v.optional(text(32), defaults.server.sandboxUser),
    v.description('User of this machine whom sandboxes run as when the proxy itself runs as root; never root.'),
  ),
  pull: v.pipe(
    v.optional(choice(['missing', 'never']), defaults.server.pull),
    v.description('Whether an image that the engine does not have is pulled, with the credentials of the docker config.'),
  ),
  engine: v.exactOptional(
    v.pipe(
      engineText(),
      v.description(
        'Container engine of every connector that names none, instead of DOCKER_HOST or the local Docker socket: unix:///path, tcp://host:port?certs=/folder, ssh://user@host.',
      ),
    ),
  ),
});

// ---- connectors ---------------------------------------------------------------------------------------------------------------

const rules = list(NetworkRuleSchema, configLimits.rulesMax);
const networkWords = choice(['none', 'unrestricted', 'observe', 'unsafe-host']);
const observed = closed({ observe: v.pipe(rules, v.description('Rules that are granted already; what goes beyond is recorded.')) });

/** The forms of `network`, for the published schema. */
export const NetworkFormsSchema = v.union([networkWords, rules, observed]);

/** Picks the form by the kind of value, so that a fault in a rule is told at that rule. */
export const NetworkGrantSchema = v.lazy((input): v.GenericSchema<unknown, v.InferOutput<typeof NetworkFormsSchema>> => {
  if (Array.isArray(input)) return rules as v.GenericSchema<unknown, v.InferOutput<typeof rules>>;
  if (typeof input === 'object' && input !== null) return observed as v.GenericSchema<unknown, v.InferOutput<typeof observed>>;
  return v.picklist(
    networkWords.options,
    told('is not a network grant', 'write none, a list of rules such as ["api.example.com:443"], observe, unrestricted or unsafe-host'),
  ) as v.GenericSchema<unknown, v.InferOutput<typeof networkWords>>;
});

const cpuMessage = told('is not a number from 0.01 to 1024', 'write a number of cores, e.g. 0.5');

const LimitsSchema = closed({
  memory: v.pipe(
    v.optional(size('8MiB', '1TiB'), defaults.limits.memory),
    v.description('Memory of one worker, all its processes together.'),
  ),
  cpu: v.pipe(
    v.optional(v.pipe(v.number(cpuMessage), v.minValue(0.01, cpuMessage), v.maxValue(1024, cpuMessage)), defaults.limits.cpu),
    v.description('Share of CPU cores of one worker.'),
  ),
  cpuTime: v.exactOptional(v.pipe(v.optional(duration('1s', '30d')), v.description('CPU time of one process over its whole life.'))),
  pids: v.pipe(v.optional(count(1, 65_536), defaults.limits.pids), v.description('Processes and threads of one worker.')),
  descriptors: v.pipe(v.optional(count(16, 1_048_576), defaults.limits.descriptors), v.description('Open files of one process.')),
  file: v.pipe(v.optional(size('1kB', '1TiB'), defaults.limits.file), v.description('Largest file a process may write.')),
  tmp: v.pipe(v.optional(size('64kB', '1TiB'), defaults.limits.tmp), v.description('Bytes of /tmp of one worker; they count as memory.')),
  tmpInodes: v.pipe(
    v.optional(count(16, 10_000_000), defaults.limits.tmpInodes),
    v.description('Files and folders in /tmp, and in /dev/shm.'),
  ),
  invocation: v.pipe(
    v.optional(duration('10ms', '1h'), defaults.limits.invocation),
    v.description(
      'From the arrival of a request to its answer. With cancelGrace it must stay below the 45 s after which the engine gives up.',
    ),
  ),
  start: v.pipe(
    v.optional(duration('10ms', '10m'), defaults.limits.start),
    v.description('From the start of a process until it is ready.'),
  ),
  cancelGrace: v.pipe(
    v.optional(duration('0s', '1m'), defaults.limits.cancelGrace),
    v.description('How long a cancelled invocation may still answer before its worker is killed.'),
  ),
  message: v.pipe(v.optional(size('1kB', '1GiB'), defaults.limits.message), v.description('One message to or from the connector.')),
  nesting: v.pipe(
    v.optional(count(4, 10_000), defaults.limits.nesting),
    v.description('Levels of JSON in one message; of what the proxy itself parses of it, 512 at most.'),
  ),
});

const WorkersSchema = closed({
  mode: v.pipe(
    v.optional(choice(['pooled', 'single-use']), defaults.workers.mode),
    v.description('pooled: a worker serves many invocations. single-use: every invocation gets a process that nothing ran in before.'),
  ),
  min: v.exactOptional(v.pipe(count(0, 1024), v.description(`pooled: workers kept ready. Default ${defaults.pooled.min}.`))),
  max: v.pipe(v.optional(count(1, 1024), defaults.workers.max), v.description('Workers at once.')),
  concurrency: v.exactOptional(
    v.pipe(count(1, 1024), v.description(`pooled: invocations of one worker at once. Default ${defaults.pooled.concurrency}.`)),
  ),
  queue: v.pipe(
    v.optional(count(0, 65_536), defaults.workers.queue),
    v.description('Invocations that may wait, beside those that workers to come up to max will take; more are answered 429.'),
  ),
  idle: v.pipe(
    v.optional(duration('100ms', '30d'), defaults.workers.idle),
    v.description('A worker above min without work ends after this.'),
  ),
  age: v.exactOptional(
    v.pipe(v.optional(duration('1s', '30d')), v.description(`pooled: a worker this old is replaced. Default ${defaults.pooled.age}.`)),
  ),
  maxInvocations: v.exactOptional(
    v.pipe(
      v.optional(count(1, 1_000_000_000)),
      v.description(`pooled: a worker that served this many is replaced. Default ${defaults.pooled.maxInvocations}.`),
    ),
  ),
  prewarm: v.exactOptional(
    v.pipe(count(0, 1024), v.description(`single-use: workers started ahead of time. Default ${defaults.singleUse.prewarm}.`)),
  ),
});

const ConnectorSchema = closed({
  path: v.exactOptional(
    v.pipe(pathText(), v.description('Folder with connector.yaml, run as a subprocess. Relative to this file. Either path or image.')),
  ),
  image: v.exactOptional(
    v.pipe(
      text(512),
      v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$/, told('is not an image reference', 'write e.g. ghcr.io/acme/smtp@sha256:…')),
      v.description('Container image, best with its digest. Either path or image.'),
    ),
  ),
  engine: v.exactOptional(
    v.pipe(
      engineText(),
      v.description('Container engine for the image; default server.engine, then DOCKER_HOST, then the local Docker socket.'),
    ),
  ),
  network: v.pipe(
    v.optional(NetworkGrantSchema, 'none'),
    v.description(
      'none; a list of rules (host:port, *.suffix:port, address:port, CIDR:port); { observe: [rules] } or observe: what goes beyond is allowed and recorded; unrestricted: every public address, through the gateway; unsafe-host: the host’s own network, unprotected.',
    ),
    v.metadata({ examples: [['smtp.example.com:587'], 'unrestricted'] }),
  ),
  secrets: v.pipe(
    v.optional(mapOf(VariableNameSchema, SecretSourceSchema, configLimits.secretsMax), {}),
    v.description('Secrets that the connector gets, by the names its manifest requests.'),
    v.metadata({ examples: [{ SMTP_PASSWORD: { file: '/run/secrets/smtp' } }] }),
  ),
  context: v.exactOptional(
    v.pipe(
      list(choice(contextNames), contextNames.length),
      v.description(
        'Engine data that its commands may be handed, e.g. [] for none; task_data is everything that the process knows. Default: what the `context` of each command in the manifest asks for.',
      ),
    ),
  ),
  settings: v.pipe(v.optional(anyMapping(), {}), v.description('Handed to the connector as `config`. No secrets.')),
  environment: v.pipe(
    v.optional(mapOf(VariableNameSchema, text(32_768, 0), configLimits.environmentMax), {}),
    v.description('Environment variables of the connector; nothing is inherited. No secrets.'),
  ),
  sandbox: v.pipe(
    v.optional(choice(['enforced', 'none']), 'enforced'),
    v.description(
      'none: a folder runs with the proxy’s own rights, without network rules and limits; an image without hardening, but with both. Shown everywhere.',
    ),
  ),
  dataFolder: v.exactOptional(
    v.pipe(pathText(), v.description('A folder the connector may write to, seen as /data. Relative to this file.')),
  ),
  readOnlyPaths: v.pipe(
    v.optional(list(pathText(), 64), []),
    v.description(
      'Absolute paths of the host that the connector sees read-only at the same place, e.g. a runtime outside /usr or a CA file.',
    ),
  ),
  limits: v.pipe(orDefaults(LimitsSchema), v.description('What one worker may use, and for how long.')),
  workers: v.pipe(orDefaults(WorkersSchema), v.description('How many processes, and for what.')),
});

export const ConfigSchema = v.pipe(
  closed({
    $schema: v.exactOptional(v.pipe(v.string(), v.description('For editors.'))),
    server: v.pipe(v.optional(ServerSchema, {}), v.description('The HTTP side, and what holds for all connectors.')),
    connectors: v.pipe(
      mapOf(ConnectorNameSchema, ConnectorSchema, configLimits.connectorsMax),
      v.description('By name, which is the name in the connector’s manifest.'),
    ),
  }),
  v.title('Bulkhead config'),
  v.description('bulkhead.yaml: which connectors there are, and what each is granted.'),
);

export type WrittenConfig = v.InferOutput<typeof ConfigSchema>;
export type WrittenServer = WrittenConfig['server'];
export type WrittenConnector = v.InferOutput<typeof ConnectorSchema>;
export type WrittenSecret = v.InferOutput<typeof SecretSourceSchema>;
