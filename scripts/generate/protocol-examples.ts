import * as v from 'valibot';
import {
  ConnectorMessageSchema,
  InitializeResultSchema,
  InvokeErrorDataSchema,
  InvokeResultSchema,
  OneshotDocumentSchema,
  OneshotErrorSchema,
  ProxyMessageSchema,
} from '../../src/protocol/messages.ts';

const invocationId = '0198c1f2a4';
const commands = [{ name: 'SendEmail' }];
const invokeParams = {
  command: 'SendEmail',
  input: { email_to: 'ann@example.com' },
  context: { invocationId, deadline: 1790000040000, attempt: 1 },
};
const reply = { body: { sent: true } };
const errorData = { errorCode: 'mailbox_full', httpStatus: 503, retryable: true };

/** Examples of the page, as text. Each is read by its own schema first, so that none can be wrong. */
export const examples = {
  initialize: sent({
    jsonrpc: '2.0',
    id: 'q3f1',
    method: 'initialize',
    params: {
      protocol: 1,
      proxy: { name: 'bulkhead', version: '1.0.0' },
      connector: { name: 'smtp' },
      config: { greeting: 'Hello' },
      secrets: { SMTP_PASSWORD: '…' },
    },
  }),
  initialized: answered('q3f1', v.parse(InitializeResultSchema, { protocol: 1, name: 'smtp', version: '1.2.0', commands, concurrency: 8 })),
  invoke: sent({ jsonrpc: '2.0', id: 'k7d2', method: 'invoke', params: invokeParams }),
  invoked: answered('k7d2', v.parse(InvokeResultSchema, reply)),
  failed: received({
    jsonrpc: '2.0',
    id: 'k7d2',
    error: { code: -32000, message: 'The mailbox of ann@example.com is full', data: v.parse(InvokeErrorDataSchema, errorData) },
  }),
  cancel: sent({ jsonrpc: '2.0', method: 'cancel', params: { invocationId, reason: 'The client went away.' } }),
  ping: sent({ jsonrpc: '2.0', id: 'x1', method: 'ping', params: {} }),
  shutdown: sent({ jsonrpc: '2.0', id: 'z9', method: 'shutdown', params: {} }),
  done: answered('x1', {}),
  log: received({
    jsonrpc: '2.0',
    method: 'log',
    params: { invocationId, level: 'info', message: 'Connected', fields: { host: 'smtp.example.com' } },
  }),
  progress: received({ jsonrpc: '2.0', method: 'progress', params: { invocationId, progress: 3, total: 10 } }),
  oneshotDocument: JSON.stringify(v.parse(OneshotDocumentSchema, { ...invokeParams, config: {}, secrets: { SMTP_PASSWORD: '…' } })),
  oneshotReply: JSON.stringify(v.parse(InvokeResultSchema, reply)),
  oneshotError: JSON.stringify(v.parse(OneshotErrorSchema, { error: { message: 'The mailbox is full', ...errorData } })),
} as const;

function sent(message: v.InferInput<typeof ProxyMessageSchema>): string {
  return JSON.stringify(v.parse(ProxyMessageSchema, message));
}

function received(message: v.InferInput<typeof ConnectorMessageSchema>): string {
  return JSON.stringify(v.parse(ConnectorMessageSchema, message));
}

function answered(id: string, result: unknown): string {
  return received({ jsonrpc: '2.0', id, result });
}
