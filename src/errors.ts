/**
 * The closed vocabulary of failures. A code is public: BPMN boundary events match it, and the engine's retry decision follows
 * its status (>= 500 and 429 are retried, other 4xx are not). Codes are added, never renamed and never reused.
 */

/** Who can mend it: the backend that called, the connector's author, the deployer's config, or Bulkhead and its machine. */
export type Fault = 'caller' | 'connector' | 'deployer' | 'proxy';

interface ErrorTraits {
  /** The HTTP status of the answer. */
  readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 422 | 429 | 499 | 500 | 502 | 503 | 504;
  readonly fault: Fault;
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** What happened, for docs/errors.md. */
  readonly meaning: string;
  /** What to do about it, for docs/errors.md. */
  readonly repair: string;
}

export const errorTable = {
  invalid_request: {
    status: 400,
    fault: 'caller',
    retryable: false,
    meaning:
      'The request is not what the API takes: not JSON, not an object, a number or text that JSON does not have. Also headers of more than 16 KiB, then with 431.',
    repair: 'Send one JSON object in UTF-8.',
  },
  invalid_parameters: {
    status: 400,
    fault: 'caller',
    retryable: false,
    meaning: 'A parameter is missing, unknown, or not what the command’s schema takes. The command did not run.',
    repair: 'Compare the parameters with GET /v1/connectors.',
  },
  unauthorized: {
    status: 401,
    fault: 'caller',
    retryable: false,
    meaning:
      'The request carries no API key, or one that this proxy does not know. The answer is {"error":"Unauthorized"}, as the reference has it.',
    repair: 'Send the key in the Spiff-Connector-Proxy-Api-Key header.',
  },
  not_found: {
    status: 404,
    fault: 'caller',
    retryable: false,
    meaning: 'No route of the API has this path.',
    repair: 'Compare the path with /openapi.json.',
  },
  command_not_found: {
    status: 404,
    fault: 'caller',
    retryable: false,
    meaning: 'No connector or command of this id is known, or the API key may not use it.',
    repair: 'Compare the id with GET /v1/commands; ids are case sensitive.',
  },
  method_not_allowed: {
    status: 405,
    fault: 'caller',
    retryable: false,
    meaning: 'The path exists, but not with this method. A GET never runs a command.',
    repair: 'Use a method that the Allow header names.',
  },
  request_timeout: {
    status: 408,
    fault: 'caller',
    retryable: true,
    meaning: 'The request’s headers or body did not arrive in time. The command did not run.',
    repair: 'Send them at once, or raise server.headersTimeout or server.bodyTimeout.',
  },
  payload_too_large: {
    status: 413,
    fault: 'caller',
    retryable: false,
    meaning: 'The request body is larger than the limit. The command did not run.',
    repair: 'Send less, or raise server.bodyMax and the connector’s limits.message.',
  },
  unsupported_media_type: {
    status: 415,
    fault: 'caller',
    retryable: false,
    meaning: 'The content type is not application/json or application/*+json, or the body has a Content-Encoding.',
    repair: 'Send Content-Type: application/json, and the body as it is.',
  },
  queue_full: {
    status: 429,
    fault: 'proxy',
    retryable: true,
    meaning:
      'No worker of the connector has a place free, and its queue is full; or server.invocations run already. The command did not run.',
    repair: 'Retry after the time in Retry-After, or raise the connector’s workers.max or workers.queue, or server.invocations.',
  },
  cancelled: {
    status: 499,
    fault: 'caller',
    retryable: false,
    meaning: 'The client went away before the answer; the invocation was cancelled. What it had done by then stays done.',
    repair: 'None; the status is seen in logs only.',
  },
  internal_error: {
    status: 500,
    fault: 'proxy',
    retryable: true,
    meaning: 'Bulkhead itself failed. This is a bug.',
    repair: 'Report it with the invocation id and the log line.',
  },
  connector_failed: {
    status: 500,
    fault: 'connector',
    retryable: true,
    meaning: 'The connector answered with an error and gave it no code of its own.',
    repair: 'See the message; the author can give the error an errorCode.',
  },
  connector_start_failed: {
    status: 502,
    fault: 'connector',
    retryable: true,
    meaning: 'The connector’s process or container ended, or said something wrong, before it was ready. The command did not run.',
    repair: 'See the message and the connector’s stderr; try `bulkhead call` by hand.',
  },
  connector_crashed: {
    status: 502,
    fault: 'connector',
    retryable: true,
    meaning: 'The connector’s process ended while the command ran. Whether it took effect is not known.',
    repair: 'See the exit code, signal and stderr in the message.',
  },
  protocol_violation: {
    status: 502,
    fault: 'connector',
    retryable: true,
    meaning:
      'The connector wrote something that the protocol does not allow, and was stopped. Whether the command took effect is not known.',
    repair: 'See docs/protocol.md; print nothing to stdout, or let an SDK move stdout away.',
  },
  invalid_result: {
    status: 502,
    fault: 'connector',
    retryable: false,
    meaning: 'The command ran, but its result is not JSON, or not a result that can be passed on.',
    repair: 'The author corrects the result; NaN and Infinity are not JSON.',
  },
  result_too_large: {
    status: 502,
    fault: 'connector',
    retryable: false,
    meaning: 'The command ran, but its result is larger than the connector’s limits.message.',
    repair: 'Return less, or raise limits.message.',
  },
  memory_exceeded: {
    status: 502,
    fault: 'connector',
    retryable: false,
    meaning: 'The connector used more memory than its limit and was stopped.',
    repair: 'Raise limits.memory, or use less.',
  },
  process_limit: {
    status: 502,
    fault: 'connector',
    retryable: false,
    meaning:
      'The connector tried to start more processes or threads than its limit. A notice, never the code of an answer: see below the table.',
    repair: 'Raise limits.pids, or start fewer.',
  },
  disk_exceeded: {
    status: 502,
    fault: 'connector',
    retryable: false,
    meaning:
      'The connector wrote a larger file than its limit, or more files in /tmp, and was stopped. That /tmp is full is a notice: see below the table.',
    repair: 'Raise limits.file, limits.tmpInodes or limits.tmp, whichever the message names, or write less.',
  },
  cpu_exceeded: {
    status: 502,
    fault: 'connector',
    retryable: false,
    meaning: 'The connector used more CPU time than its limit and was stopped.',
    repair: 'Raise limits.cpuTime, or compute less.',
  },
  egress_denied: {
    status: 502,
    fault: 'deployer',
    retryable: false,
    meaning: 'The connector tried to reach a host that its rules do not allow. A notice, never the code of an answer: see below the table.',
    repair: 'Add the host and port under connectors.NAME.network if the connector may reach it.',
  },
  connector_unavailable: {
    status: 503,
    fault: 'connector',
    retryable: true,
    meaning:
      'The connector cannot be used now: its manifest or image is broken, it failed to start and waits before the next try, or it does not read its stdin. The command did not run.',
    repair: 'See the reason in the message or GET /v1/connectors; `bulkhead list` shows what is broken without a start.',
  },
  sandbox_unavailable: {
    status: 503,
    fault: 'deployer',
    retryable: false,
    meaning: 'A protection that the config promises cannot be had on this machine, so the connector is not started.',
    repair: 'Run `bulkhead doctor`; it names what is missing.',
  },
  engine_unavailable: {
    status: 503,
    fault: 'deployer',
    retryable: true,
    meaning: 'The container engine does not answer.',
    repair: 'Start it, or correct connectors.NAME.engine.',
  },
  image_unavailable: {
    status: 503,
    fault: 'deployer',
    retryable: false,
    meaning:
      'The connector’s image is not on the engine and may not or cannot be pulled, is not the one that was locked, or declares a volume that cannot be covered.',
    repair: 'Pull or build it, or correct connectors.NAME.image.',
  },
  secret_missing: {
    status: 503,
    fault: 'deployer',
    retryable: false,
    meaning: 'A secret of the connector cannot be read.',
    repair:
      'Correct connectors.NAME.secrets; the message names the secret and its source. `serve` does not start, and no reload is taken, without it.',
  },
  invalid_config: {
    status: 500,
    fault: 'deployer',
    retryable: false,
    meaning:
      'The config or a manifest has faults. Seen at start, in `bulkhead check` and on reload; in an answer only where a connector’s engine cannot be set up, for a certificate that cannot be read, say.',
    repair: 'Each fault names its file, line and repair.',
  },
  shutting_down: {
    status: 503,
    fault: 'proxy',
    retryable: true,
    meaning:
      'The proxy is stopping: it takes no new work, and ends what still runs at the drain time-out. The message says which of the two.',
    repair: 'Retry; another instance, or the next start, answers.',
  },
  deadline_exceeded: {
    status: 504,
    fault: 'connector',
    retryable: true,
    meaning:
      'The command did not answer before its deadline and was cancelled, or waited for a worker until then. Unless the message says that the command did not run, it is not known whether it took effect.',
    repair: 'Raise limits.invocation or workers.max, keep a worker ready (workers.min, prewarm), or let the command do less.',
  },
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof errorTable;

export const errorCodes = Object.keys(errorTable) as readonly ErrorCode[];

export interface ProxyErrorOptions {
  readonly cause?: unknown;
  /** For 429 and 503: when a retry may make sense, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** A failure of the closed vocabulary. Its message names the thing, the state and the repair, and never holds input or secrets. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, { cause, retryAfterMs }: ProxyErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  get traits(): ErrorTraits {
    return errorTable[this.code];
  }

  /** Any thrown value as a ProxyError; what is not one already is a bug, told as `internal_error` with the cause kept. */
  static from(error: unknown): ProxyError {
    if (error instanceof ProxyError) return error;
    return new ProxyError('internal_error', 'Bulkhead failed in a way it does not know; see the log for the cause.', { cause: error });
  }
}
