import type { Difference } from '../differences.ts';

/**
 * What Bulkhead answers for an unmodified package where it differs from the recorded reference on purpose. All that is not named here
 * must be as recorded, byte for byte where it is no JSON and token for token where it is.
 */
const jsonErrors = 'The exception is told with the name that Python gave it, in JSON under application/json, with the invocation’s id.';
const pages = 'The reference answers with an HTML page, or closes the connection, where a result cannot be passed on.';
const crashes = 'It would crash the engine’s client in a way that no process model can catch.';

const invalidResult = { reason: pages, status: 502, errorCode: 'invalid_result', isEnvelope: true };

function raised(errorCode: string, message: string): Difference {
  return { reason: jsonErrors, status: 500, errorCode, message, isEnvelope: true };
}

/** Refused by the proxy itself, which the host's own check does not know. */
function crashing(message: string): Difference {
  return { reason: crashes, status: 502, errorCode: 'invalid_result', message };
}

export const differences: Readonly<Record<string, Difference>> = {
  // ---- exceptions ----
  raise_EdgeError: raised('EdgeError', 'the message'),
  raise_KeyboardInterrupt: { ...raised('KeyboardInterrupt', 'bye'), reason: 'It ends the command, not the process with all the others.' },
  no_execute: raised('AttributeError', "'NoExecute' object has no attribute 'execute'"),
  private_class: raised('AttributeError', "'_Private' object has no attribute 'execute'"),
  no_init_args: raised('TypeError', 'NoInit() takes no arguments'),

  // ---- results that JSON, HTTP or the client cannot carry ----
  result_nan: { ...invalidResult, reason: 'NaN and Infinity are no JSON; the reference writes them.', message: 'not JSON' },
  result_unserialisable_v1: { ...invalidResult, message: 'Decimal' },
  result_empty_dict: { ...invalidResult, message: 'response and mimetype' },
  result_list: { ...invalidResult, message: 'a list, not a dict' },
  result_string: { ...invalidResult, message: 'a str, not a dict' },
  v1_no_mimetype: { ...invalidResult, message: 'response and mimetype' },
  v1_no_response: { ...invalidResult, message: 'response and mimetype' },
  v1_response_list_of_dicts: { ...invalidResult, message: 'a list, not a dict or text' },
  v1_response_number: { ...invalidResult, message: 'int, not a dict or text' },
  v1_status_0: { ...invalidResult, message: 'not an HTTP status' },
  v1_status_null: { ...invalidResult, message: 'not a number' },
  v1_status_word: { ...invalidResult, message: 'not a number' },
  v2_version_null: { ...invalidResult, message: 'command_response_version is a NoneType' },
  v2_version_string: { ...invalidResult, message: 'command_response_version is a str' },
  v2_version_true: { ...invalidResult, message: 'response and mimetype' },
  v2_only_version: crashing('command_response'),
  v2_version_3: crashing('command_response'),
  v2_version_float: crashing('command_response'),
};
