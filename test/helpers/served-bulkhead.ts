import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bulkhead, type ComposeOptions, startBulkhead } from '../../src/cli/compose.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { faultText } from '../../src/lib/faults.ts';
import { createLogger } from '../../src/log.ts';
import { projectFolder } from './cli-process.ts';

export interface ServedBulkhead extends AsyncDisposable, Pick<Bulkhead, 'url' | 'catalog' | 'reload'> {
  /** Log lines so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

export interface ServeBulkheadOptions {
  /** bulkhead.yaml; `PROJECT` stands for the project's folder. It is served on a port of its own. */
  readonly config: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly probe?: NonNullable<ComposeOptions['probe']>;
}

/** A whole proxy in this process, from its config on, with all of its real parts. */
export async function serveBulkhead({ config: text, environment = {}, probe }: ServeBulkheadOptions): Promise<ServedBulkhead> {
  const log: Record<string, unknown>[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  const file = join(folder, 'bulkhead.yaml');
  await writeFile(file, text.replaceAll('PROJECT', projectFolder));
  const read = await loadConfig(file, { environment, port: 0 });
  if (!read.ok) throw new Error(read.faults.map(faultText).join('\n'));
  const logger = createLogger({ level: 'info', destination: { write: (line: string) => void log.push(JSON.parse(line)) } });
  const bulkhead = await startBulkhead({ config: read.config, environment, logger, version: '0.0.0', ...(probe ? { probe } : {}) });
  return {
    url: bulkhead.url,
    catalog: () => bulkhead.catalog(),
    reload: (config) => bulkhead.reload(config),
    log,
    async [Symbol.asyncDispose]() {
      await bulkhead.close(Date.now() + closeTimeoutMs);
      await rm(folder, { recursive: true });
    },
  };
}

const closeTimeoutMs = 10_000;
