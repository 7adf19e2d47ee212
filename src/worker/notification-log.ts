import type { LogFields, Logger } from '../log.ts';
import type { LogParams, ProgressParams } from '../protocol/messages.ts';
import type { Notification } from './channel.ts';
import type { LogBudget } from './log-budget.ts';
import type { RunningInvocation } from './running-invocation.ts';

export interface NotificationLogOptions {
  readonly logger: Logger;
  readonly fields: LogFields;
  readonly mask: (text: string) => string;
  readonly budget: LogBudget;
  readonly find: (invocationId: string) => RunningInvocation | undefined;
}

/** Passes a connector’s `log` on to the log and to the answer of its invocation, and its `progress` to the debug log. */
export function createNotificationLog({ logger, fields, mask, budget, find }: NotificationLogOptions) {
  const fieldsOf = (invocationId: string | undefined): LogFields => {
    const running = invocationId === undefined ? undefined : find(invocationId);
    // An id that is not running here is not repeated: it is the connector’s word only.
    return running === undefined ? fields : { ...fields, command: running.invocation.command, invocation: running.invocation.id };
  };

  const log = ({ invocationId, level, message, fields: more }: LogParams): void => {
    const running = invocationId === undefined ? undefined : find(invocationId);
    const data = more === undefined ? undefined : JSON.stringify(more);
    const isAdmitted = budget.admits(message.length + (data?.length ?? 0));
    if (!isAdmitted && running === undefined) return;
    const masked = mask(message);
    running?.log(masked);
    if (!isAdmitted) return;
    logger[level ?? 'info']({ ...fieldsOf(invocationId), stream: 'log', ...(data === undefined ? {} : { data: mask(data) }) }, masked);
  };

  const progress = ({ invocationId, progress, total, message }: ProgressParams): void => {
    if (!budget.admits(message?.length ?? 0)) return;
    logger.debug({ ...fieldsOf(invocationId), stream: 'progress', progress, total }, mask(message ?? 'progress'));
  };

  return (notification: Notification): void => {
    switch (notification.method) {
      case 'log':
        log(notification.params);
        break;
      case 'progress':
        progress(notification.params);
        break;
    }
  };
}
