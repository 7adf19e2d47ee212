/** The manifest: what an author ships to describe a connector, as `connector.yaml` beside the code or as JSON in an image label. */
import * as v from 'valibot';
import type { Immutable } from '../lib/immutable.ts';
import { anyMapping, choice, closed, list, mapOf, orDefaults, text, told } from '../lib/written.ts';
import { type NetworkRule, parseNetworkRule, ruleCharsMax } from './host-pattern.ts';
import { CommandNameSchema, ConnectorNameSchema } from './names.ts';

/** The label of a container image that holds the manifest as JSON. */
export const manifestLabel = 'dev.bulkhead.connector';

/** Which engine data a command may ask for by `context`; nothing else of it is handed over. */
export const contextNames = ['task_data', 'process_instance_id', 'process_model_identifier', 'task_id', 'callback_url'] as const;
export type ContextName = (typeof contextNames)[number];

const dialects = ['bulkhead/1', 'oneshot', 'spiff-python'] as const;
export type DialectName = (typeof dialects)[number];

export type JsonSchema = { readonly [key: string]: unknown };

/** Bounds of a manifest. They are the author's side of what 300 connectors may cost at load. */
export const manifestLimits = {
  fileBytesMax: 256 * 1024,
  depthMax: 48,
  commandsMax: 512,
  authsMax: 64,
  packagesMax: 32,
  descriptionCharsMax: 4096,
  argumentsMax: 64,
  argumentCharsMax: 4096,
  environmentMax: 64,
  networkRequestsMax: 256,
  secretRequestsMax: 64,
} as const;

/** Names of secrets and of environment variables: 1 to 128 characters. */
export const VariableNameSchema = v.pipe(
  v.string(told('is not text', 'write a name')),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, told('is not a name', 'write 1 to 128 letters, digits and _, not beginning with a digit')),
);

/** A rule as text, read into its canonical form. */
export const NetworkRuleSchema = v.pipe(
  v.string(told('is not text', 'write host:port, e.g. api.example.com:443')),
  v.maxLength(ruleCharsMax, told(`is longer than ${ruleCharsMax} characters`, 'write several shorter rules')),
  v.rawTransform<string, NetworkRule>(({ dataset, addIssue, NEVER }) => {
    const result = parseNetworkRule(dataset.value);
    if (result.ok) return result.rule;
    addIssue({ message: told(result.message, result.repair) });
    return NEVER;
  }),
);

/** A folder inside the connector’s own; links are followed, and judged, when the catalog is loaded. */
const PackageSchema = v.pipe(
  text(512),
  v.regex(
    /^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\0\\]+$/,
    told('is not a path inside the connector’s folder', 'write it relative to connector.yaml, without .., e.g. ./connector_edge'),
  ),
);

const RunSchema = closed({
  command: v.exactOptional(
    v.pipe(
      list(text(manifestLimits.argumentCharsMax), manifestLimits.argumentsMax),
      v.minLength(1, told('is empty', 'write the program and its arguments, e.g. [node, main.ts]')),
      v.description(
        'Program and arguments; no shell. It starts in the connector’s folder. Required, but with packages: there it is the Python that runs them, default [python3].',
      ),
      v.metadata({
        examples: [
          ['node', 'main.ts'],
          ['python3', 'main.py'],
        ],
      }),
    ),
  ),
  packages: v.exactOptional(
    v.pipe(
      list(PackageSchema, manifestLimits.packagesMax),
      v.minLength(1, told('is empty', 'write the folders of the packages, e.g. [./connector_edge]')),
      v.description(
        'For protocol spiff-python: folders of Spiff connector packages (connector_*), run unmodified by Bulkhead’s own host; any other folder is put on Python’s path.',
      ),
      v.metadata({ examples: [['./connector_edge', './site-packages']] }),
    ),
  ),
  environment: v.pipe(
    v.optional(mapOf(VariableNameSchema, text(manifestLimits.argumentCharsMax, 0), manifestLimits.environmentMax), {}),
    v.description(
      'Variables that the connector always needs. The deployer’s `environment` wins. No secrets: ask for them under requests.secrets.',
    ),
  ),
});

const CommandSchema = closed({
  name: v.pipe(CommandNameSchema, v.description('Case sensitive; the id that callers use is connector/name.')),
  description: v.pipe(
    v.optional(text(manifestLimits.descriptionCharsMax, 0), ''),
    v.description('What it does, for people who model processes.'),
  ),
  parameters: v.pipe(
    v.optional(anyMapping('write a JSON Schema of type object'), { type: 'object' }),
    v.description(
      'JSON Schema (2020-12) of the input, of type object. Order of properties is the order shown. See docs/manifest.md for what is left out.',
    ),
  ),
  context: v.pipe(
    v.optional(list(choice(contextNames), contextNames.length), []),
    v.description('Engine data that the command needs; nothing else of it is handed over.'),
  ),
});

const AuthSchema = closed({
  name: v.pipe(CommandNameSchema, v.description('Case sensitive; the id that callers use is connector/name.')),
  description: v.pipe(v.optional(text(manifestLimits.descriptionCharsMax, 0), ''), v.description('Whose consent it asks for.')),
  parameters: v.pipe(
    v.optional(anyMapping('write a JSON Schema of type object'), { type: 'object' }),
    v.description('JSON Schema of its parameters, as of a command.'),
  ),
});

const RequestsSchema = closed({
  network: v.pipe(
    v.optional(list(NetworkRuleSchema, manifestLimits.networkRequestsMax), []),
    v.description('Hosts and ports that the connector would like to reach. Nothing is given unless the config grants it.'),
    v.metadata({ examples: [['api.example.com:443', '*.example.org:443,8443']] }),
  ),
  secrets: v.pipe(
    v.optional(list(VariableNameSchema, manifestLimits.secretRequestsMax), []),
    v.description('Names of secrets that the connector would like to have.'),
    v.metadata({ examples: [['SMTP_PASSWORD']] }),
  ),
});

export const ManifestSchema = v.pipe(
  closed({
    name: v.pipe(ConnectorNameSchema, v.description('The connector’s name; the config must use the same.')),
    version: v.pipe(
      v.optional(text(64), '0.0.0'),
      v.description('Of the connector, for logs and lists. In quotes if it looks like a number.'),
    ),
    description: v.pipe(v.optional(text(manifestLimits.descriptionCharsMax, 0), ''), v.description('One line for lists.')),
    protocol: v.pipe(v.optional(choice(dialects), 'bulkhead/1'), v.description('How it speaks over stdio. See docs/protocol.md.')),
    run: v.exactOptional(v.pipe(RunSchema, v.description('How to start it as a subprocess; an image has its entrypoint.'))),
    commands: v.pipe(
      list(CommandSchema, manifestLimits.commandsMax),
      v.minLength(1, told('is empty', 'describe at least one command')),
      v.description('What it can do, in the order shown.'),
    ),
    auths: v.pipe(
      v.optional(list(AuthSchema, manifestLimits.authsMax), []),
      v.description('OAuth applications that it has, as GET /v1/auths lists them.'),
    ),
    requests: v.pipe(orDefaults(RequestsSchema), v.description('What the connector would like to have.')),
  }),
  v.title('Bulkhead connector manifest'),
  v.description(`connector.yaml: what the author of a connector ships beside its code, or as JSON in the image label ${manifestLabel}.`),
);

/** What an author ships, checked and with defaults filled in. */
export type Manifest = Immutable<v.InferOutput<typeof ManifestSchema>>;
export type CommandManifest = Manifest['commands'][number];
export type AuthManifest = Manifest['auths'][number];
