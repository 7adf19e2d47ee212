import { join } from 'node:path';
import type { Manifest } from '../manifest/manifest.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import type { ProcessSource } from './runner.ts';
import { inside } from './sandbox-plan.ts';

/** The host program and its SDK; the same place seen from src/ and from dist/. */
const hostFolder = join(import.meta.dirname, '../../connector-images/spiff-python');

export interface SpiffHostRequest {
  /** Real path of the connector’s folder. */
  readonly folder: string;
  readonly packages: readonly string[];
  /** The Python that runs them. */
  readonly interpreter: readonly string[] | undefined;
  readonly sandbox: SandboxPolicy['sandbox'];
  /** Words for the host, after the packages. */
  readonly more: readonly string[];
}

/** How packages of Spiff Arena are run: by the host program that Bulkhead brings, so that nothing is copied into their folder. */
export function spiffHostSource({ folder, packages, interpreter = ['python3'], sandbox, more }: SpiffHostRequest): ProcessSource {
  const program = join(sandbox === 'none' ? hostFolder : inside.spiffHost, 'main.py');
  const command = [...interpreter, program, ...packages.map((path) => `--package=${path}`), ...more];
  return { type: 'folder', folder, command, support: { source: hostFolder, target: inside.spiffHost } };
}

/** What the manifest promises, so that a module that breaks later takes down its own commands only. */
export function declaredCommands({ commands }: Pick<Manifest, 'commands'>): string {
  return `--commands=${commands.map(({ name }) => name).join(',')}`;
}
