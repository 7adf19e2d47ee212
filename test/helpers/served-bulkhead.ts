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
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'bulkhead-test-')), (made) => rm(made, { recursive: true }));
  const file = join(folder, 'bulkhead.yaml');
  await writeFile(file, text.replaceAll('PROJECT', projectFolder));
  const read = await loadConfig(file, { environment, port: 0 });
  if (!read.ok) throw new Error(read.faults.map(faultText).join('\n'));
  const logger = createLogger({ level: 'info', destination: { write: (line: string) => void log.push(JSON.parse(line)) } });
  const options = { config: read.config, environment, logger, version: '0.0.0', ...(probe ? { probe } : {}) };
  const bulkhead = stack.adopt(await startBulkhead(options), (started) => started.close(Date.now() + closeTimeoutMs));
  const held = stack.move();
  return {
    url: bulkhead.url,
    catalog: () => bulkhead.catalog(),
    reload: (config) => bulkhead.reload(config),
    log,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const closeTimeoutMs = 10_000;
