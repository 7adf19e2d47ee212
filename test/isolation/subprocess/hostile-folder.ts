import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import type { ProcessNotice, Runner } from '../../../src/runner/runner.ts';
import type { SandboxPolicy } from '../../../src/sandbox/policy.ts';
import { type Hostile, type HostileLanguage, hostileIn } from '../attacks.ts';

export const policy: SandboxPolicy = {
  sandbox: 'enforced',
  network: { type: 'none' },
  limits: {
    memoryBytesMax: 128 * 2 ** 20,
    cpusMax: 2,
    pidsMax: 48,
    descriptorsMax: 256,
    fileBytesMax: 256 * 2 ** 20,
    tmpBytesMax: 32 * 2 ** 20,
    tmpInodesMax: 2000,
  },
  environment: {},
};

/** The hostile connector in a folder that any user can reach, wherever the repository lies. */
export function hostileFolder(): { readonly path: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-hostile-'));
  cpSync(join(import.meta.dirname, '../../fixtures/hostile'), folder, { recursive: true });
  chmodSync(folder, 0o755);
  return { path: folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

const commands = { python: ['/usr/bin/python3', '-u', 'main.py'], node: ['node', 'main.mjs'] } as const;

export interface StartOptions {
  readonly runner: Runner;
  readonly folder: string;
  readonly language?: HostileLanguage;
  readonly changes?: Partial<SandboxPolicy>;
  readonly limits?: Partial<SandboxPolicy['limits']>;
  readonly notices?: ProcessNotice[];
}

export async function startHostile({ runner, folder, language = 'python', changes, limits, notices }: StartOptions): Promise<Hostile> {
  const process = await runner.start(
    {
      connector: 'hostile' as ConnectorName,
      policy: { ...policy, ...changes, limits: { ...policy.limits, ...limits } },
      source: { type: 'folder', folder, command: commands[language] },
      onNotice: (notice) => notices?.push(notice),
    },
    new AbortController().signal,
  );
  return hostileIn(process);
}
