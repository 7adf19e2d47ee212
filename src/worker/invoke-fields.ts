import { ProxyError } from '../errors.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { InvokeFields } from '../protocol/encode.ts';
import type { Invocation } from './invocation.ts';

/** What a connector is told of an invocation. */
export function fieldsOf(invocation: Invocation): InvokeFields {
  const { id, command, input, engineData, deadline, attempt, traceparent } = invocation;
  const context =
    traceparent === undefined ? { invocationId: id, deadline, attempt } : { invocationId: id, deadline, attempt, traceparent };
  return { command, input, context, engineData };
}

export function inputTooLarge(connector: ConnectorName, messageBytesMax: number): ProxyError {
  const message = `The input is over the ${messageBytesMax} bytes of a message to connector ${connector}; the command did not run. Send less, or raise connectors.${connector}.limits.message.`;
  return new ProxyError('payload_too_large', message);
}
