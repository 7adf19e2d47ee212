import type { DockerEngine } from '../../../src/runner/docker-engine.ts';
import type { ConnectorProcess } from '../../../src/runner/runner.ts';
import { shellImage, textOf } from '../../helpers/docker-runner.ts';

/** Waits for a line of paths; tells of each whether a file can be made there, and what was in it before. */
const script = `
read paths
for path in $paths; do
  seen=$(ls "$path" 2>/dev/null | tr '\\n' ' ')
  if (echo x > "$path/file") 2>/dev/null; then echo "$path writable $seen"; else echo "$path refused $seen"; fi
done
`;

export async function writerImage(engine: DockerEngine | undefined): Promise<string> {
  if (engine === undefined) throw new Error('no engine');
  return await shellImage(engine, 'writer', script);
}

export async function writesOf(process: ConnectorProcess, paths: readonly string[]): Promise<string[]> {
  process.stderr.resume();
  process.stdin.end(`${paths.join(' ')}\n`);
  const said = await textOf(process.stdout);
  await process.exited;
  return said
    .trim()
    .split('\n')
    .map((line) => line.trim());
}
