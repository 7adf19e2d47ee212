import { type AuditLog, recordInvocation } from '../egress/audit.ts';
import type { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Phases } from '../worker/invocation.ts';
import { asciiJson } from './ascii-json.ts';

/** What one line about a request to run a command tells. Names and sizes; never a value of a parameter or a result. */
export interface InvocationRecord {
  readonly id: string;
  readonly connector: string | undefined;
  readonly command: string | undefined;
  readonly keyName: string | undefined;
  readonly code: string;
  readonly status: number;
  /** Of the proxy’s own; the vocabulary’s messages hold no input. A connector’s message may, and is not logged. */
  readonly error: ProxyError | undefined;
  readonly phases: Phases | undefined;
  readonly totalMs: number;
  /** When the request came, in milliseconds since the epoch. */
  readonly arrivedMs: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
}

export function logInvocation(logger: Logger, record: InvocationRecord): void {
  if (outcomeOf(record.code) === 'failure') logFailure(logger, record);
  else logger.infoLater(() => successText(record), 'invocation', record.arrivedMs + Math.round(record.totalMs));
}

/**
 * The same members as a failure’s, put together by hand, of as few pieces as can be: JSON.stringify took 2 of the 22 µs of a call, and twice as
 * many pieces half of one. Nothing in it needs to be escaped but the key’s name: the others are narrow names, and numbers.
 */
function successText(record: InvocationRecord): string {
  const { id, phases, totalMs, requestBytes, replyBytes } = record;
  const { queueMs = 0, startMs = 0, runMs = 0 } = phases ?? {};
  const waited = queueMs === 0 && startMs === 0 ? noWait : `,"queueMs":${msText(queueMs)},"startMs":${msText(startMs)},"runMs":`;
  const times = `${waited}${msText(runMs)},"totalMs":${msText(totalMs)}`;
  return `"invocation":"${id}${endText(record)}${times},"requestBytes":${numberText(requestBytes)},"replyBytes":${numberText(replyBytes)}`;
}

const noWait = ',"queueMs":0,"startMs":0,"runMs":';
const endText = createEndText();

/** What ran and how it ended, behind the id, made once as long as it stays the same. */
function createEndText(): (record: InvocationRecord) => string {
  let madeFor: InvocationRecord | undefined;
  let text = '';
  return (record) => {
    if (madeFor === undefined || !endsAlike(record, madeFor)) {
      const { connector, command, keyName, code, status } = record;
      const key = keyName === undefined ? '' : `"key":${asciiJson(keyName)},`;
      text = `","connector":"${connector}","command":"${command}",${key}"outcome":"${outcomeOf(code)}","code":"${code}","status":${status}`;
      madeFor = record;
    }
    return text;
  };
}

function endsAlike(one: InvocationRecord, other: InvocationRecord): boolean {
  return (
    one.connector === other.connector &&
    one.command === other.command &&
    one.keyName === other.keyName &&
    one.code === other.code &&
    one.status === other.status
  );
}

/** To a hundredth of a millisecond, from whole numbers: to write a fraction takes the engine several times as long. */
function msText(ms: number): string {
  const hundredths = Math.round(ms * 100);
  const whole = Math.floor(hundredths / 100);
  return `${numberText(whole)}${fractions[hundredths - whole * 100]}`;
}

/** Of a whole number. Most are small, and the engine looks for each in a cache that seldom lies near. */
function numberText(number: number): string {
  return smallNumbers[number] ?? `${number}`;
}

const smallNumbers = Array.from({ length: 1000 }, (_, number) => String(number));

const fractions = Array.from({ length: 100 }, (_, hundredths) => (hundredths === 0 ? '' : `.${String(hundredths).padStart(2, '0')}`));

function logFailure(logger: Logger, record: InvocationRecord): void {
  const { id, connector, command, keyName, code, status, error, phases, totalMs, requestBytes, replyBytes } = record;
  const fields = {
    invocation: id,
    connector,
    command,
    key: keyName,
    outcome: outcomeOf(code),
    code,
    status,
    queueMs: round(phases?.queueMs),
    startMs: round(phases?.startMs),
    runMs: round(phases?.runMs),
    totalMs: round(totalMs),
    requestBytes,
    replyBytes,
    reason: error?.message,
  };
  // Not by its code, which may be a connector's own.
  if (error?.code === 'internal_error') logger.error({ ...fields, cause: stackOf(error?.cause) }, 'invocation');
  else logger.warn(fields, 'invocation');
}

/** Requests that named no command are in the log only. An audit log that cannot be written is told of; the answer has gone by then. */
export function auditInvocation(audit: AuditLog, logger: Logger, record: InvocationRecord): void {
  const { id, connector, command, keyName, code, totalMs, requestBytes, replyBytes } = record;
  if (connector === undefined || command === undefined) return;
  const outcome = outcomeOf(code);
  recordInvocation(audit, {
    ...{ connector, command, invocation: id, outcome, durationMs: Math.round(totalMs), requestBytes, replyBytes },
    ...(keyName === undefined ? {} : { key: keyName }),
    ...(outcome === 'failure' ? { code } : {}),
  }).catch((error: unknown) =>
    logger.error({ invocation: id, cause: String(error) }, 'an invocation could not be recorded in the audit log'),
  );
}

function outcomeOf(code: string): 'success' | 'accepted' | 'failure' {
  return code === 'ok' ? 'success' : code === 'accepted' ? 'accepted' : 'failure';
}

/** To a hundredth of a millisecond. */
function round(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 100) / 100;
}

function stackOf(cause: unknown): string | undefined {
  return cause instanceof Error ? cause.stack : undefined;
}
