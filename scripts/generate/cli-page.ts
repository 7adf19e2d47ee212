import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { createTerminal } from '../../src/cli/terminal.ts';
import { type GeneratedFile, generatedNote, markdownTable } from './generated-file.ts';

/** What `--help` says of every subcommand, and what holds for all of them. */
export async function cliPage(): Promise<GeneratedFile> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const io = { argv: ['completion'], environment: {}, cwd: '.', stdin: process.stdin, stdout: nowhere, stderr: nowhere, onSignal() {} };
  const program = await createProgram({ io, terminal: createTerminal(io), finish() {} });
  const content = [
    generatedNote('src/cli/ and scripts/generate/cli-page.ts'),
    '# The command line',
    intro,
    variables,
    ...sectionsOf(program, ''),
  ];
  return { path: 'docs/cli.md', content: `${content.join('\n\n')}\n` };
}

const intro = `\`bulkhead\` is \`npm run -s bulkhead --\` in a clone. Each subcommand that reads a config takes \`--config FILE\`; without it that of the quick start is
read, with its example connectors. Results go to stdout, all else to stderr, with colours on a terminal only.

**Exit codes.** 0: done. 1: it failed, or found what it looks for (a fault, a protection that does not hold, a wider policy, a broken chain, a command that failed). 2: a
wrong call, or nothing there to look at.`;

const variables = markdownTable(
  ['variable', 'meaning'],
  [
    ['`CONNECTOR_PROXY_API_KEY`', '`serve`: the key of callers where `server.apiKeys` is empty. `call --url`: the key that is sent'],
    ['`CONNECTOR_PROXY_CORS_ORIGINS`', '`serve`: as `server.corsOrigins`, where that is not written'],
    ['`DOCKER_HOST`', 'the container engine, where the config names none'],
    ['`DOCKER_CONFIG`', 'the folder of the Docker config with credentials of registries; else `~/.docker`'],
    ['`SSH_AUTH_SOCK`', 'the agent with the keys for `ssh://` engines'],
    ['`NO_COLOR`, `FORCE_COLOR`', 'no colours, or colours also elsewhere than on a terminal'],
    ['`UV_THREADPOOL_SIZE`', 'threads for files and names; 8 if it is not set'],
  ],
);

function sectionsOf(command: Command, above: string): readonly string[] {
  return command.commands.flatMap((one) => {
    const name = `${above}${one.name()}`;
    if (one.commands.length > 0) return sectionsOf(one, `${name} `);
    return [`## \`${name}\``, `\`\`\`\n${one.helpInformation().trimEnd()}\n\`\`\``];
  });
}
