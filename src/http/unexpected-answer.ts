import { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Answer } from './answer.ts';
import { errorEnding } from './envelope.ts';

/** To a request that failed in a way that nobody foresaw, which the log is told. */
export function unexpectedAnswer(cause: unknown, logger: Logger): Answer {
  const error = ProxyError.from(cause);
  logger.error({ code: error.code, cause: cause instanceof Error ? cause.stack : undefined }, 'a request failed');
  return errorEnding(error).answer;
}
