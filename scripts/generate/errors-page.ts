import { errorCodes, errorTable, type Fault } from '../../src/errors.ts';
import { type GeneratedFile, generatedNote, markdownTable } from './generated-file.ts';

const faults: Readonly<Record<Fault, string>> = {
  caller: 'the backend or the process model that called',
  connector: 'the connector’s author, or the system behind it',
  deployer: 'whoever writes the config or runs the machine',
  proxy: 'Bulkhead, or the machine under it',
};

export function errorsPage(): GeneratedFile {
  const codes = errorCodes.toSorted((a, b) => errorTable[a].status - errorTable[b].status);
  const rows = codes.map((code) => {
    const { status, fault, retryable, meaning, repair } = errorTable[code];
    return [`\`${code}\``, String(status), fault, retryable ? 'yes' : 'no', meaning, repair];
  });
  const content = [
    generatedNote('src/errors.ts'),
    '# Errors',
    intro,
    markdownTable(['fault', 'who can mend it'], Object.entries(faults)),
    '## Every code',
    markdownTable(['code', 'status', 'fault', 'retry', 'meaning', 'repair'], rows),
    connectors,
  ];
  return { path: 'docs/errors.md', content: `${content.join('\n\n')}\n` };
}

const intro = `Every failure that a caller can see has one of the codes below. The list is closed and public: codes are added, never renamed and never
used for something else, because process models match them (\`error_code\` in a BPMN error boundary event).

**Retries.** The HTTP status is the engine’s decision: Spiff Arena calls again after 429 and after every status from 500 on, and never after another 4xx. The column
*retry* says something else: whether the same request can succeed later without anybody changing anything. A 5xx with *no* is sent because the fault is not
the caller’s; the engine’s retries are wasted then, and where the command ran (\`invalid_result\`, \`result_too_large\`) each of them runs it again. Where the text says that it is not known whether the command took effect, a retry can do the work twice, so commands that must not be repeated should
use a key of their own (\`context.invocationId\` is new for each try; the process instance and task ids stay). A 429 or 503 may carry \`Retry-After\`, in seconds.

**Notices.** \`process_limit\`, \`egress_denied\`, and \`disk_exceeded\` for a full \`/tmp\` tell what the connector met while it went on: the next process,
connection or write was refused. They stand in the log (\`code\`), in \`spiff__logs\` of what ran, and in the message of a failure that follows. \`error_code\` is
then the failure’s own, which the connector chose: let it map what it cannot do to a code of its own.

A message names the thing, its state and the repair. It never holds the request’s values or a secret.`;

const connectors = `## A connector’s own errors

A connector may answer with an error of its own: any code of 1 to 128 letters, digits, \`_\`, \`.\`, \`:\` and \`-\` that begins with a letter or
\`_\`, with a status from 400 to 599. Without one it is 503 where the error says \`retryable: true\`, 422 for \`false\`, else 500; one that contradicts \`retryable\` becomes
503 or 422 likewise. Without a code it is \`connector_failed\`. Where a member of its data is wrong, none of it is used, and the message says why. See [the protocol](protocol.md).`;
