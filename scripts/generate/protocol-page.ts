import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { membersMaxDefault } from '../../src/lib/json-scan.ts';
import {
  errorDetailBytesMax,
  errorMessageBytesMax,
  lineLimitsDefault,
  messageMembersMax,
  parsedBytesMax,
  parsedNestingMax,
  replyFieldBytesMax,
} from '../../src/protocol/limits.ts';
import * as messages from '../../src/protocol/messages.ts';
import { invocationLogsMax } from '../../src/worker/invocation-logs.ts';
import { logBudget } from '../../src/worker/log-budget.ts';
import { lineBytesMax as stderrLineBytesMax } from '../../src/worker/stderr.ts';
import { type GeneratedFile, generatedNote, markdownTable } from './generated-file.ts';
import { examples } from './protocol-examples.ts';
import { schemaTable } from './schema-table.ts';

const root = join(import.meta.dirname, '../..');

export async function protocolPage(): Promise<GeneratedFile> {
  const read = (path: string) => readFile(join(root, path), 'utf8');
  const content = [
    generatedNote('src/protocol/messages.ts and scripts/generate/'),
    '# The connector protocol, version 1',
    headerProse(await read('src/protocol/messages.ts')),
    'The same in JSON Schema: [schema/protocol.schema.json](schema/protocol.schema.json).',
    tinyConnectors(await read('scripts/generate/samples/shout.py'), await read('scripts/generate/samples/shout.sh')),
    '# Messages of the proxy',
    ...proxyMessages(),
    '# Messages of the connector',
    ...connectorMessages(),
    oneshot(),
    rules,
    bounds(),
  ];
  return { path: 'docs/protocol.md', content: `${content.join('\n\n')}\n` };
}

/** The comment at the head of messages.ts, which is the specification, without its first paragraph: that speaks of the file. */
function headerProse(source: string): string {
  const comment = source.slice(source.indexOf('/**') + 3, source.indexOf('*/'));
  const lines = comment.split('\n').map((line) => line.replace(/^ \* ?/, '').trimEnd());
  const text = lines.join('\n').trim();
  return text.slice(text.indexOf('\n\n') + 2).replace(/^ {2}(?=\d\. )/gm, '');
}

function tinyConnectors(python: string, shell: string): string {
  return `# A whole connector

A folder with a manifest and a program. \`connector.yaml\`:

${fence('yaml', manifest('', '[python3, main.py]'))}

and \`main.py\`, with nothing but Python’s standard library:

${fence('python', python)}

That is all: \`bulkhead call shout/Shout text=hello\` answers with \`"body": "HELLO"\`. An SDK adds what a larger connector wants: several invocations at once, cancelling, and a
\`print\` that cannot break the protocol.

The same **one-shot**, where each invocation is a process of its own that reads one document and writes one. \`connector.yaml\`:

${fence('yaml', manifest('\nprotocol: oneshot', '[sh, main.sh]'))}

and \`main.sh\`, in POSIX shell without any tool for JSON (with one, say jq, it takes any text):

${fence('sh', shell)}`;
}

function manifest(protocol: string, command: string): string {
  return `name: shout
version: 1.0.0
description: Upper case${protocol}
run: { command: ${command} }
commands:
  - name: Shout
    description: Returns its text in upper case
    parameters: { type: object, required: [text], properties: { text: { type: string } } }
`;
}

function proxyMessages(): readonly string[] {
  const { InitializeParamsSchema, InitializeResultSchema, InvokeParamsSchema, InvokeResultSchema } = messages;
  const { CancelParamsSchema, ErrorObjectSchema, InvokeErrorDataSchema } = messages;
  return [
    section(
      '`initialize`',
      examples.initialize,
      'A request, once, before anything else. Its `params`:',
      schemaTable(InitializeParamsSchema),
    ),
    part('The answer’s `result`:', examples.initialized, schemaTable(InitializeResultSchema)),
    'Answer with an `error` when the connector cannot work, a secret is wrong say: its message is what people will see. No answer within `limits.start` (10 s) is a failure to start.',
    section('`invoke`', examples.invoke, 'A request. Its `params`:', schemaTable(InvokeParamsSchema)),
    part('The answer’s `result`, with either `body` or `spiff`:', examples.invoked, schemaTable(InvokeResultSchema)),
    part('Or an `error`:', examples.failed, schemaTable(ErrorObjectSchema)),
    part('Its `data`:', undefined, schemaTable(InvokeErrorDataSchema)),
    section(
      '`cancel`',
      examples.cancel,
      'A notification: it has no id and gets no answer. The invocation itself may still be answered within a short grace, after which the process is stopped. Its `params`:',
      schemaTable(CancelParamsSchema),
    ),
    section(
      '`ping`',
      examples.ping,
      'A request at any time; a connector that waits for something else must still answer it:',
      fence('json', examples.done),
    ),
    section(
      '`shutdown`',
      examples.shutdown,
      'A request, once, when nothing runs any more. Answer `{}`; stdin then ends, and so should the process.',
      '',
    ),
  ];
}

function connectorMessages(): readonly string[] {
  return [
    section('`log`', examples.log, 'A notification. Its `params`:', schemaTable(messages.LogParamsSchema)),
    section('`progress`', examples.progress, 'A notification. Its `params`:', schemaTable(messages.ProgressParamsSchema)),
  ];
}

function oneshot(): string {
  return `# The one-shot dialect

\`protocol: oneshot\` in the manifest. For each invocation a process is started. It reads one line from stdin, which then ends:

${fence('json', examples.oneshotDocument)}

${schemaTable(messages.OneshotDocumentSchema)}

It writes one JSON document to stdout, over as many lines as it likes, and exits with 0. The document is the \`result\` of an answer to \`invoke\`, or an error:

${fence('json', examples.oneshotReply)}
${fence('json', examples.oneshotError)}

At the deadline, and when the answer is no longer wanted, the process gets SIGTERM, and is killed \`limits.cancelGrace\` later. Exit code 0 without a document is
\`protocol_violation\`. Of \`workers\` only \`max\`, \`queue\` and \`idle\` mean something: each invocation has a process of its own.

Another exit code without an error document is \`connector_crashed\`, with the code and the end of stderr in the message.`;
}

const rules = `# Rules

- **stdout belongs to the protocol.** A stray \`print\` is a breach: print to stderr, or use an SDK, which moves stdout away. stderr is free text and becomes log lines; secrets in it are masked.
- **Flush** after each message; most languages hold back what they write to a pipe.
- **Numbers are text.** The input arrives as the caller wrote it, and \`body\` and \`detail\` go out as the connector wrote them: \`1.0\`, \`1e400\` and integers of any
  length survive. Use your language’s big numbers where that matters. \`NaN\` and \`Infinity\`, which Python’s \`json\` writes by default, are not JSON: the answer
  becomes \`invalid_result\`, the connector lives.
- **Members that you do not know are to be ignored**; later versions may add some. The proxy ignores what it does not know in results, errors and params.
- **An id is answered once.** Answers may come in any order. After \`cancel\` an answer is optional.
- **Secrets** come in \`initialize\` (or in the one-shot document) and never in arguments or the environment. Do not print them.`;

function bounds(): string {
  const { messageBytesMax, nestingMax, blankLinesMax, notificationBytesMax } = lineLimitsDefault;
  const logText = `${logBudget.bytesPerSecond} a second, ${logBudget.burstBytes} at once`;
  const rows = [
    [
      'bytes of one message',
      `${messageBytesMax} (\`limits.message\`)`,
      '`result_too_large` for what it answers, `protocol_violation` for the rest',
    ],
    ['objects and arrays within one another, the message counted', `${nestingMax} (\`limits.nesting\`)`, '`protocol_violation`'],
    ['bytes of a notification', `${notificationBytesMax}`, '`protocol_violation`'],
    ['blank lines in a row', `${blankLinesMax}`, '`protocol_violation`'],
    [
      'members of a message and of its `error`; of a result; of an error’s data',
      `${messageMembersMax}`,
      '`protocol_violation`; `invalid_result`; the data is not used',
    ],
    ['members of a `spiff` that is an object, and of its `error`', `${membersMaxDefault}`, '`invalid_result`'],
    ['bytes of the answer to `initialize`; of an id; of an error’s `code`', `${parsedBytesMax}`, 'the start fails; `protocol_violation`'],
    [
      'objects and arrays within one another in these, in `params`, and in `headers` and `logs`, also where `limits.nesting` is higher',
      `${parsedNestingMax}`,
      'the start fails; `protocol_violation`; `invalid_result`',
    ],
    ['bytes of an error’s `message`, as it is written', `${errorMessageBytesMax}`, 'none: the rest is left out'],
    ['bytes of an error’s `detail`', `${errorDetailBytesMax}`, 'none: it is left out, and the message says so'],
    ['bytes of `headers` and of `logs`, each', `${replyFieldBytesMax}`, '`invalid_result`'],
    ['bytes of a line of stderr', `${stderrLineBytesMax}`, 'none: it is cut'],
    ['bytes of log lines of one process, by stderr and `log` together', logText, 'none: more are dropped, and counted in the log'],
    [
      'log lines of one invocation in `spiff__logs`',
      `${invocationLogsMax.lines}, of ${invocationLogsMax.bytes} bytes together`,
      'none: more are counted there',
    ],
  ];
  return `# Bounds and breaches

${markdownTable(['bound', 'value', 'failure'], rows)}

Also \`protocol_violation\`: a line that is no JSON object; bytes that are not UTF-8; a message without \`"jsonrpc": "2.0"\`; a request (a connector may only send the
notifications above); a notification with another method or wrong params; an answer with both or neither of \`result\` and \`error\`, to an id that is not waiting, or
given twice; a key \`__proto__\` or a number beyond a double in a part that the proxy itself reads; a message in which \`id\`, \`result\`, \`error\`, \`method\` or \`params\` stands twice;
an end of stdout within a message. The process is stopped, and what ran in it fails with that code. A wrong \`result\` of \`invoke\` is \`invalid_result\`: it fails that invocation only.`;
}

function section(title: string, example: string, prose: string, table: string): string {
  return [`## ${title}`, fence('json', example), prose, table].filter((text) => text !== '').join('\n\n');
}

function part(prose: string, example: string | undefined, table: string): string {
  return [prose, example === undefined ? '' : fence('json', example), table].filter((text) => text !== '').join('\n\n');
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}
