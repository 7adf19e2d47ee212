import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DockerEngine } from '../../../src/runner/docker-engine.ts';
import { buildImage } from '../../helpers/docker-runner.ts';
import type { HostileLanguage } from '../attacks.ts';
import { evilFiles } from '../rule-attacks.ts';

const fixtures = join(import.meta.dirname, '../../fixtures/hostile');
const programs = {
  python: { base: 'python', file: 'main.py', command: '["python3", "-u", "/app/main.py"]' },
  node: { base: 'node', file: 'main.mjs', command: '["node", "/app/main.mjs"]' },
} as const;

/** The hostile connector as an image; the files that its environment may name are in it. */
export async function hostileImage(engine: DockerEngine, language: HostileLanguage): Promise<string> {
  const { base, file, command } = programs[language];
  const dockerfile = `FROM bulkhead-base/${base}:local\nCOPY . /app/\nWORKDIR /app\nENTRYPOINT ${command}\n`;
  const files = { ...evilFiles, [file]: readFileSync(join(fixtures, file), 'utf8') };
  return await buildImage(engine, `bulkhead-test/hostile-${language}:local`, dockerfile, files);
}

/** What a container has and a sandbox has not; none of it is the host's. The reasons are in docs/docker.md. */
export const ownToContainers: readonly RegExp[] = [
  // The image's own folders, empty or not.
  /^read \/(root|home|var|mnt|srv|boot)$/,
  // Mounted read-only in every container; its secrets are root's.
  /^read \/sys$/,
  // Of its own devpts; that it finds nobody else's there, and cannot type into one, is a test of docker-hostile.
  /^open a pseudo terminal$/,
];
