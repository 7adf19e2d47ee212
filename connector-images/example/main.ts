import { type Context, type Input, reply, serve } from './bulkhead.ts';

/** Both arguments come back as they were written: put `context.text.NAME` into the answer where digits and key order matter. */
function CombineStrings(_input: Input, { text }: Context): unknown {
  return envelope({ command_response: { example_response: 'whatever you want', arg1: text['arg1'], arg2: text['arg2'] } });
}

/** The engine's own envelope, returned as it is by `spiff`. */
function envelope(body: unknown): unknown {
  return reply({
    spiff: { command_response_version: 2, command_response: { body, mimetype: 'application/json' }, error: null, spiff__logs: [] },
  });
}

function Example(_input: Input, { text }: Context): unknown {
  return envelope({ example_response: 'whatever you want', message: text['message'] });
}

/** Says no to a long-running start: `accepted` when the caller waits for a callback, and the same answer at once otherwise. */
function AsyncBodyStatus(_input: Input, { callbackUrl }: Context): unknown {
  return reply({
    spiff: {
      command_response_version: 2,
      command_response: { body: { started: false }, mimetype: 'application/json', http_status: 500 },
      error: { error_code: 'AsyncStartRejected', message: 'The async command rejected the start request.' },
      spiff__logs: [],
    },
    accepted: callbackUrl !== undefined && callbackUrl !== null,
  });
}

serve({ version: '1.0.0', commands: { AsyncBodyStatus, CombineStrings, Example } });
