import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { projectFolder, temporaryFolder } from '../../helpers/cli-process.ts';
import { copyOfProject } from '../../helpers/project-copy.ts';

const run = promisify(execFile);

test('the first connector of the README runs as it is written there, in Python and in shell', async () => {
  const readme = await readFile(join(projectFolder, 'README.md'), 'utf8');
  const section = readme.split('## Your first connector in five minutes')[1]?.split('\n## ')[0] ?? '';
  const blocks = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  expect(blocks).toHaveLength(2);

  await using project = await temporaryFolder();
  await copyOfProject(project.path);
  const answers: string[] = [];
  for (const block of blocks) answers.push((await run('bash', ['-euc', block], { cwd: project.path })).stdout);
  expect(answers[0]).toContain('{"greeting":"Hello Ada"}');
  expect(answers[1]).toMatch(/"body": "\d{4}-\d{2}-\d{2}"/);
}, 120_000);
