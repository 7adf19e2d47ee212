import { type Context, type Input, JsonText, reply, serve } from '../../../../connector-images/sdk/bulkhead.ts';

function envelope(body: unknown, more: object = {}): object {
  return { command_response_version: 2, command_response: { body, mimetype: 'application/json', ...more }, error: null };
}

const hasCallback = ({ callbackUrl }: Context): boolean => callbackUrl !== undefined && callbackUrl !== null;

serve({
  commands: {
    ReturnRaw: (_: Input, { text }: Context) => reply({ spiff: text['result'] }),
    ReturnNonAscii: () => reply({ spiff: envelope('naïve ☃ 😀 \u2028 </script>') }),
    // JSON.stringify writes no NaN; a connector in Python does.
    ReturnNaN: () => reply({ spiff: envelope(new JsonText('[NaN, Infinity]')) }),
    AsyncAccept: (_, context) =>
      hasCallback(context)
        ? reply({
            spiff: {
              ...envelope({ started: true, callback_url: context.callbackUrl }, { http_status: 202 }),
              spiff__logs: ['edge: accepted'],
            },
            accepted: true,
          })
        : reply({ spiff: { ...envelope({ started: false }, { http_status: 200 }), spiff__logs: ['edge: accepted'] } }),
    AsyncV1: (_, context) =>
      hasCallback(context)
        ? reply({ spiff: { response: 'async', status: 418, mimetype: 'text/plain' }, accepted: true })
        : reply({ spiff: { response: 'sync', status: 200, mimetype: 'text/plain' } }),
    EchoContext: ({ note = '', ...extra }: Input, { taskData, config }: Context) => {
      const type = taskData === undefined ? 'none' : typeof taskData === 'object' ? 'dict' : typeof taskData;
      return reply({
        spiff: envelope({ note, extra, task_data: taskData ?? null, task_data_type: type, config_is_mapping: typeof config === 'object' }),
      });
    },
  },
});
