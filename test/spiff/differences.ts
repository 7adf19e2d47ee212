/** What Bulkhead answers where it differs from the recorded reference on purpose. All that is not named here must be as recorded. */
export interface Difference {
  readonly reason: string;
  readonly status: number;
  /** Default: application/json. */
  readonly contentType?: string;
  /** Of the error that the body holds. */
  readonly errorCode?: string;
  /** The error is the connector's own, in an envelope of version 2. */
  readonly isEnvelope?: boolean;
  /** Part of the error's message. */
  readonly message?: string;
  /** The whole body, compared by tokens. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const jsonErrors = 'Errors are JSON, with the keys of the reference’s own errors, where it writes HTML pages.';
const named = 'The error is told as application/json, names the invocation, and says how to mend it.';
const parameters = 'A call that cannot succeed is 400 and names its parameters; the reference’s 500 TypeError makes the engine try again.';
const noEffect = 'A GET or HEAD never runs a command; no client of the engine asks so.';
const results = 'A result that cannot be passed on is an error of the vocabulary, where the reference answers with a page or not at all.';
const crashes = 'A result that crashes the engine’s client in a way that no process model can catch is never sent.';
const auth = 'OAuth applications are listed, but their consent is not offered, so there is no such path.';

const notFound = { reason: jsonErrors, status: 404, errorCode: 'not_found' };
const unknownCommand = { reason: named, status: 404, errorCode: 'command_not_found' };
const badRequest = { reason: jsonErrors, status: 400, errorCode: 'invalid_request' };
const invalidResult = { reason: results, status: 502, errorCode: 'invalid_result' };
const allowPost = { Allow: 'POST, OPTIONS' };

function badParameters(message: string): Difference {
  return { reason: parameters, status: 400, errorCode: 'invalid_parameters', message };
}

function crashing(message: string): Difference {
  return { reason: crashes, status: 502, errorCode: 'invalid_result', message };
}

const root: Difference = {
  reason: 'It names itself, and where its API page is.',
  status: 200,
  contentType: 'text/html; charset=utf-8',
  body: 'This is Bulkhead, a connector proxy for SpiffWorkflow. Point the backend at this URL; /v1/commands lists the commands, /docs shows the API.',
};

export const differences: Readonly<Record<string, Difference>> = {
  // ---- paths and methods ----
  not_found: notFound,
  not_found_post: notFound,
  commands_trailing_slash: notFound,
  do_trailing_slash: notFound,
  do_three_segments: notFound,
  auth_begin_no_secret_key: { ...notFound, reason: auth },
  key_none_auth_begin: { ...notFound, reason: auth },
  do_put: { reason: jsonErrors, status: 405, errorCode: 'method_not_allowed', headers: allowPost },
  do_delete_unknown: { reason: jsonErrors, status: 405, errorCode: 'method_not_allowed', headers: allowPost },
  do_get_query_only: { reason: noEffect, status: 405, errorCode: 'method_not_allowed', headers: allowPost },
  do_head: { reason: noEffect, status: 405, headers: allowPost },
  do_options: { reason: noEffect, status: 200, contentType: 'text/html; charset=utf-8', body: '', headers: allowPost },
  cors_preflight: {
    reason: noEffect,
    status: 200,
    contentType: 'text/html; charset=utf-8',
    body: '',
    headers: {
      ...allowPost,
      'Access-Control-Allow-Origin': 'http://localhost:7001',
      'Access-Control-Allow-Headers': 'Content-Type, Spiff-Connector-Proxy-Api-Key',
      'Access-Control-Allow-Methods': 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
      Vary: 'Origin',
    },
  },
  inner_double_slash: redirect('/v1/commands'),
  inner_double_slash_do: redirect('/v1/do/example/CombineStrings'),
  root,
  key_none_root: root,
  key_non_ascii: {
    reason: 'A key that is not ASCII is a wrong key like any other; the reference fails over it.',
    status: 401,
    body: '{"error":"Unauthorized"}',
    headers: { 'Access-Control-Allow-Origin': 'http://localhost:7001', Vary: 'Origin' },
  },

  // ---- commands and bodies ----
  do_unknown_command: unknownCommand,
  do_unknown_command_bad_json: unknownCommand,
  do_unknown_command_no_body: unknownCommand,
  do_unknown_plugin: unknownCommand,
  do_case_sensitive: unknownCommand,
  do_form_type: { reason: jsonErrors, status: 415, errorCode: 'unsupported_media_type' },
  do_bad_json: badRequest,
  do_json_type_no_body: badRequest,
  do_body_list: {
    ...badRequest,
    reason: 'A body that is no object is the caller’s mistake; the reference answers 500, which the engine retries.',
  },
  do_body_number: { ...badRequest, reason: 'As do_body_list.' },
  do_body_true: { ...badRequest, reason: 'As do_body_list.' },
  do_body_empty_object: badParameters('"arg1" is missing'),
  do_body_empty_list: badParameters('"arg1" is missing'),
  do_body_empty_string: badParameters('"arg1" is missing'),
  do_body_null: badParameters('"arg1" is missing'),
  do_body_zero: badParameters('"arg1" is missing'),
  do_missing_param: badParameters('"arg2" is missing'),
  do_missing_params: badParameters('"arg1" is missing; parameter "arg2" is missing'),
  do_unknown_param: badParameters('"arg3" is unknown'),
  do_param_not_identifier: badParameters('"not an id!" is unknown'),
  do_param_self: badParameters('"self" is unknown'),
  do_spiff_single_underscore_kept: badParameters('"spiff_x" is unknown'),
  do_uppercase_spiff_kept: badParameters('"SPIFF__x" is unknown'),
  http_get_v2_missing_url: badParameters('"url" is missing'),
  do_optional_without_default: badParameters('"headers" is missing'),
  http_get_v1_refused: {
    reason: 'The code is the reference’s; its message comes from a broken format string. A connector’s own error is an envelope.',
    status: 500,
    errorCode: 'ValueError',
    isEnvelope: true,
  },
  do_big_numbers: {
    reason: 'Numbers pass as they were written; the reference reads and writes them anew, and 1e400 becomes Infinity, which is no JSON.',
    status: 200,
    body: '{"command_response_version": 2, "command_response": {"body": {"command_response": {"example_response": "whatever you want", "arg1": 123456789012345678901234567890, "arg2": [1.0, 1e400, 0.1, -0.0, 1E2]}}, "mimetype": "application/json"}, "error": null, "spiff__logs": []}',
  },

  // ---- results ----
  result_nan: { ...invalidResult, reason: 'NaN and Infinity are no JSON.' },
  result_empty_dict: invalidResult,
  result_list: invalidResult,
  result_string: invalidResult,
  v1_no_mimetype: invalidResult,
  v1_no_response: invalidResult,
  v1_response_list_of_dicts: invalidResult,
  v1_response_number: invalidResult,
  v1_status_0: invalidResult,
  v1_status_null: invalidResult,
  v1_status_word: invalidResult,
  v2_version_null: invalidResult,
  v2_version_string: invalidResult,
  v2_version_true: invalidResult,
  v2_only_version: crashing('command_response'),
  v2_version_3: crashing('command_response'),
  v2_version_float: crashing('command_response'),
  context_no_task_data: {
    reason: 'Engine data that was not sent is absent for native connectors; the reference hands over the text {}.',
    status: 200,
    body: '{"command_response_version": 2, "command_response": {"body": {"note": "n", "extra": {}, "task_data": null, "task_data_type": "none", "config_is_mapping": true}, "mimetype": "application/json"}, "error": null}',
  },

  // ---- one broken connector ----
  broken_commands: {
    reason: 'One broken connector hides no other one.',
    status: 200,
    body: '[{"id": "example/AsyncBodyStatus", "parameters": [{"id": "upstream_status", "type": "int", "required": false}]}, {"id": "example/CombineStrings", "parameters": [{"id": "arg1", "type": "str", "required": true}, {"id": "arg2", "type": "str", "required": true}]}, {"id": "example/Example", "parameters": [{"id": "message", "type": "str", "required": true}]}]',
  },
  broken_do: {
    reason: 'One broken connector disables no other one.',
    status: 200,
    body: '{"command_response_version": 2, "command_response": {"body": {"command_response": {"example_response": "whatever you want", "arg1": "a", "arg2": "b"}}, "mimetype": "application/json"}, "error": null, "spiff__logs": []}',
  },
};

function redirect(location: string): Difference {
  return {
    reason: 'The place to go to is told relative to this server, so that it is right behind a proxy that ends TLS; nothing is in the body.',
    status: 308,
    contentType: 'text/html; charset=utf-8',
    body: '',
    headers: { Location: location },
  };
}

/** Recorded exchanges that are not run, each with its reason. */
export const omissions: Readonly<Record<string, string>> = {
  ...omit('the package behind it needs a server and is not in this repository', [
    ...['slack_unreachable', 'smtp_port_as_string', 'postgres_delete', 'postgres_dosql_date', 'postgres_dosql_fetch', 'postgres_drop'],
    ...['postgres_insert', 'postgres_no_server', 'postgres_select_bad_operator'],
  ]),
  ...omit('it is about the form of a Python class or exception; spiff-python/edge.test.ts runs it', [
    ...['kwargs_accepted', 'no_execute', 'no_init', 'no_init_args', 'private_class', 'raise_EdgeError', 'raise_KeyboardInterrupt'],
    'result_unserialisable_v1',
  ]),
  ...omit('OAuth consent is not offered; spiff-python/packages.test.ts runs xero_auths', [
    ...['auth_begin', 'auth_begin_2', 'auth_begin_bad_auth', 'auth_begin_no_redirect_url', 'auth_begin_post'],
    ...[
      'auth_begin_unknown_no_redirect_url',
      'auth_callback',
      'auth_callback_bad_state',
      'auth_callback_denied',
      'auth_callback_no_session',
    ],
    'xero_auths',
  ]),
  ...omit('it is about the web server of the reference; deadlines have their own tests', ['sleep_past_worker_timeout']),
};

function omit(reason: string, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, reason]));
}
