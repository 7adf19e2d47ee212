import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { projectFolder } from '../../helpers/cli-process.ts';

it('a connector that asks for names of a silent name server stops neither the lookups of others nor the end of the proxy', async ({
  skip,
}) => {
  const script = join(projectFolder, 'test/fixtures/egress/slow-names.ts');
  const { stdout } = await promisify(execFile)('unshare', ['--net', '--mount', process.execPath, script]).catch(
    (error: { stderr?: string }) => {
      if (/unshare/.test(String(error.stderr))) skip('no namespaces here: not root');
      throw error;
    },
  );
  expect(JSON.parse(stdout)).toEqual({
    namesAsked: 2,
    reached: 'reached',
    exitCode: 0,
    lastLine: 'stopped; nothing is left running',
  });
});
