import { type AuditLog, recordInvocation } from '../egress/audit.ts';
import type { ProxyError } from '../errors.ts';
import { putBytes, putDigits, putNumber, putText } from '../lib/put-ascii.ts';
import type { LaterLines, Logger } from '../log.ts';
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

export type InvocationLog = (record: InvocationRecord) => void;

/** One line a record, in the order of the calls. A success’s is made when it is written, a failure’s at once. */
export function createInvocationLog(logger: Logger): InvocationLog {
  const successes = createWaitingSuccesses();
  const promise = logger.infoLater(successes);
  return (record) => {
    if (outcomeOf(record.code) === 'failure') return logFailure(logger, record);
    if (promise === undefined) return;
    successes.add(record);
    promise();
  };
}

/** What many lines have in common, behind the id. */
interface Ending {
  readonly connector: string | undefined;
  readonly command: string | undefined;
  readonly keyName: string | undefined;
  readonly code: string;
  readonly status: number;
  /** For an invocation that waited for neither a worker nor its start, and for one that did. */
  readonly atOnce: Buffer;
  readonly waited: Buffer;
}

/** Numbers of each success that waits, beside its id and its ending. */
const numbersEach = 7;

/** Successes that wait to be told, oldest first, in lists that are filled anew once all were; nothing is kept of their records. */
function createWaitingSuccesses(): LaterLines & { add(record: InvocationRecord): void } {
  const ids: string[] = [];
  const endings: Ending[] = [];
  const numbers: number[] = [];
  let added = 0;
  let told = 0;
  let ending: Ending | undefined;
  const add = (record: InvocationRecord): void => {
    if (added === told) added = told = 0;
    if (ending === undefined || !endsAlike(record, ending)) ending = endingOf(record);
    const { phases, totalMs } = record;
    const at = added * numbersEach;
    ids[added] = record.id;
    endings[added] = ending;
    added += 1;
    numbers[at] = record.arrivedMs + Math.round(totalMs);
    numbers[at + 1] = phases?.queueMs ?? 0;
    numbers[at + 2] = phases?.startMs ?? 0;
    numbers[at + 3] = phases?.runMs ?? 0;
    numbers[at + 4] = totalMs;
    numbers[at + 5] = record.requestBytes;
    numbers[at + 6] = record.replyBytes;
  };
  const put = (into: Buffer, begin: number): number => {
    const row = told * numbersEach;
    let at = putBytes(into, begin, names.invocation);
    at = putText(into, at, ids[told] as string);
    const { atOnce, waited } = endings[told] as Ending;
    told += 1;
    const [queueMs, startMs] = [numbers[row + 1] as number, numbers[row + 2] as number];
    if (queueMs === 0 && startMs === 0) at = putBytes(into, at, atOnce);
    else {
      at = putMs(into, putBytes(into, at, waited), queueMs);
      at = putMs(into, putBytes(into, at, names.startMs), startMs);
      at = putBytes(into, at, names.runMs);
    }
    at = putMs(into, at, numbers[row + 3] as number);
    at = putMs(into, putBytes(into, at, names.totalMs), numbers[row + 4] as number);
    at = putNumber(into, putBytes(into, at, names.requestBytes), numbers[row + 5] as number);
    return putNumber(into, putBytes(into, at, names.replyBytes), numbers[row + 6] as number);
  };
  return { message: 'invocation', timeMs: () => numbers[told * numbersEach] as number, put, add };
}

const names = {
  invocation: Buffer.from('"invocation":"'),
  startMs: Buffer.from(',"startMs":'),
  runMs: Buffer.from(',"runMs":'),
  totalMs: Buffer.from(',"totalMs":'),
  requestBytes: Buffer.from(',"requestBytes":'),
  replyBytes: Buffer.from(',"replyBytes":'),
};

/** The same members as a failure’s. Nothing in it needs to be escaped but the key's name: the others are narrow names. */
function endingOf({ connector, command, keyName, code, status }: InvocationRecord): Ending {
  const key = keyName === undefined ? '' : `"key":${asciiJson(keyName)},`;
  const text = `","connector":"${connector}","command":"${command}",${key}"outcome":"${outcomeOf(code)}","code":"${code}","status":${status},"queueMs":`;
  return { connector, command, keyName, code, status, atOnce: Buffer.from(`${text}0,"startMs":0,"runMs":`), waited: Buffer.from(text) };
}

function endsAlike(record: InvocationRecord, ending: Ending): boolean {
  return (
    record.connector === ending.connector &&
    record.command === ending.command &&
    record.keyName === ending.keyName &&
    record.code === ending.code &&
    record.status === ending.status
  );
}

/** To a hundredth of a millisecond. */
function putMs(into: Buffer, begin: number, ms: number): number {
  const hundredths = Math.round(ms * 100);
  const whole = Math.floor(hundredths / 100);
  const at = putNumber(into, begin, whole);
  const rest = hundredths - whole * 100;
  if (rest === 0) return at;
  into[at] = 0x2e; // .
  return putDigits(into, at + 1, rest, 2);
}

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
