import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import * as messages from '../../src/protocol/messages.ts';
import { type GeneratedFile, jsonFile } from './generated-file.ts';

const definitions = {
  proxyMessage: [messages.ProxyMessageSchema, 'A line that the proxy writes to a connector’s stdin.'],
  connectorMessage: [messages.ConnectorMessageSchema, 'A line that a connector writes to its stdout.'],
  initializeResult: [messages.InitializeResultSchema, '`result` of the answer to `initialize`.'],
  invokeResult: [messages.InvokeResultSchema, '`result` of the answer to `invoke`.'],
  invokeErrorData: [messages.InvokeErrorDataSchema, '`error.data` of the answer to `invoke`.'],
  oneshotDocument: [messages.OneshotDocumentSchema, 'What a one-shot connector reads from stdin.'],
  oneshotError: [
    messages.OneshotErrorSchema,
    'What a one-shot connector writes to stdout when it failed; else it writes an `invokeResult`.',
  ],
} as const satisfies Record<string, readonly [GenericSchema, string]>;

/** What JSON Schema can say of messages.ts, for authors in other languages. */
export function protocolSchema(): GeneratedFile {
  return jsonFile('docs/schema/protocol.schema.json', {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `The Bulkhead connector protocol, version ${messages.protocolVersion}`,
    description: 'One message a line. See docs/protocol.md for the order of messages and the bounds.',
    oneOf: [{ $ref: '#/$defs/proxyMessage' }, { $ref: '#/$defs/connectorMessage' }],
    $defs: Object.fromEntries(
      Object.entries(definitions).map(([name, [schema, description]]) => [name, { description, ...jsonSchemaOf(schema) }]),
    ),
  });
}

/** As the sender writes it: members with a default may be left out. */
export function jsonSchemaOf(schema: GenericSchema): object {
  const { $schema: _, ...rest } = toJsonSchema(schema, { target: 'draft-2020-12', typeMode: 'input' });
  return rest;
}
