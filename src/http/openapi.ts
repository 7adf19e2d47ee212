import type { Catalog } from '../catalog/catalog.ts';
import { errorCodes, errorTable } from '../errors.ts';
import type { CommandManifest } from '../manifest/manifest.ts';
import type { SchemaObject } from '../manifest/parameter-schema.ts';
import { referFrom } from '../manifest/schema-references.ts';
import type { Access } from './api-keys.ts';
import { visibleConnectors } from './connectors-view.ts';
import { jsonType } from './envelope.ts';

/** OpenAPI 3.1 of what a key may use: one operation for every command, its request body being the command’s own schema. */
export function openApiDocument(catalog: Catalog, access: Access, version: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Bulkhead',
      version,
      description: 'A connector proxy. Each command of each connector is one operation; errors are one closed vocabulary.',
    },
    paths: { ...commandPaths(catalog, access), ...ownPaths() },
    components: {
      securitySchemes: { apiKey },
      schemas: { Envelope: envelopeSchema, Error: errorSchema(), SpiffCommand: spiffCommandSchema },
    },
    security: [{ apiKey: [] }],
  };
}

const apiKey = {
  type: 'apiKey',
  in: 'header',
  name: 'Spiff-Connector-Proxy-Api-Key',
  description: 'One of the keys under server.apiKeys; not asked for where there are none.',
};

function commandPaths(catalog: Catalog, access: Access): object {
  return Object.fromEntries(
    visibleConnectors(catalog, access).flatMap((connector) =>
      (connector.state === 'available' ? connector.manifest.commands : []).map((command) => [
        commandPath(connector.name, command),
        { post: commandOperation(connector.name, command) },
      ]),
    ),
  );
}

function commandPath(connector: string, { name }: CommandManifest): string {
  return `/v1/do/${connector}/${name}`;
}

function commandOperation(connector: string, command: CommandManifest): object {
  // As a JSON Pointer has it, for the references of the schema.
  const [path, type] = [commandPath(connector, command), jsonType].map((step) => step.replaceAll('/', '~1'));
  const schema = referFrom(`/paths/${path}/post/requestBody/content/${type}/schema`, bodySchema(command));
  return {
    operationId: `${connector}.${command.name}`,
    tags: [connector],
    summary: command.description === '' ? `${connector}/${command.name}` : command.description,
    requestBody: { required: true, content: { [jsonType]: { schema } } },
    responses: {
      '200': { description: 'The command ran.', headers, content: jsonContent('Envelope') },
      '202': { description: 'The command goes on and calls back.', headers, content: jsonContent('Envelope') },
      default: { description: 'It failed; error_code says how.', headers, content: jsonContent('Error') },
    },
  };
}

/** The engine’s members may always be there; they are not parameters. */
function bodySchema({ parameters }: CommandManifest): SchemaObject {
  const { patternProperties, additionalProperties = false, ...schema } = parameters;
  return { ...schema, patternProperties: { ...(patternProperties as object | undefined), '^spiff__': {} }, additionalProperties };
}

const headers = { 'Invocation-Id': { description: 'Names this invocation in logs.', schema: { type: 'string', format: 'uuid' } } };

function jsonContent(schema: 'Envelope' | 'Error'): object {
  return { [jsonType]: { schema: { $ref: `#/components/schemas/${schema}` } } };
}

const envelopeSchema = {
  type: 'object',
  description: 'A result, version 2. Connectors that send the engine’s own form may add members, or answer with an older form.',
  required: ['command_response_version', 'command_response', 'error'],
  properties: {
    command_response_version: { type: 'integer', const: 2 },
    command_response: {
      type: 'object',
      required: ['body', 'mimetype'],
      properties: { body: {}, mimetype: { type: 'string' }, http_status: { type: 'integer' } },
    },
    error: { type: ['object', 'null'] },
    spiff__logs: { type: 'array', items: { type: 'string' } },
  },
};

function errorSchema(): object {
  const code = {
    type: 'string',
    description: 'A code of Bulkhead’s, or the connector’s own.',
    examples: errorCodes.filter((name) => errorTable[name].status !== 499),
  };
  return {
    type: 'object',
    required: ['command_response', 'error'],
    properties: {
      command_response: { type: 'object' },
      error: {
        type: 'object',
        required: ['message', 'error_code'],
        properties: { message: { type: 'string' }, error_code: code, invocation_id: { type: 'string', format: 'uuid' } },
      },
      spiff__logs: { type: 'array', items: { type: 'string' } },
    },
  };
}

const spiffCommandSchema = {
  type: 'object',
  required: ['id', 'parameters'],
  properties: {
    id: { type: 'string' },
    parameters: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'type', 'required'],
        properties: { id: { type: 'string' }, type: { enum: ['str', 'int', 'bool', 'any'] }, required: { type: 'boolean' } },
      },
    },
  },
};

/** Bulkhead’s own paths; those without a security of their own take the key. */
function ownPaths(): object {
  const commands = { type: 'array', items: { $ref: '#/components/schemas/SpiffCommand' } };
  return {
    '/v1/commands': get('All commands, as the engine lists them.', commands),
    '/v1/auths': get('OAuth applications that connectors declare.', commands),
    '/v1/connectors': get('All connectors: descriptions, schemas, state, grants.', { type: 'object' }),
    '/liveness': open('Whether the process answers.'),
    '/v1/liveness': open('The same.'),
    '/healthz': open('The same.'),
    '/readyz': {
      get: {
        ...operation('Whether it takes work; with a key, also which connectors can be used.', { type: 'object' }),
        security: [{}, { apiKey: [] }],
      },
    },
    '/metrics': { get: { ...operation('Prometheus metrics.', { type: 'string' }, 'text/plain') } },
    '/openapi.json': get('This document.', { type: 'object' }),
  };
}

function get(summary: string, schema: object): object {
  return { get: operation(summary, schema) };
}

function open(summary: string): object {
  return { get: { ...operation(summary, { type: 'object', properties: { ok: { const: true } } }), security: [] } };
}

function operation(summary: string, schema: object, type = jsonType): object {
  return { tags: ['bulkhead'], summary, responses: { '200': { description: 'The answer.', content: { [type]: { schema } } } } };
}
