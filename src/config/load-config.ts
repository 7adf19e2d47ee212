import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Fault, type FaultAt, faultIn, type Source } from '../lib/faults.ts';
import { lineNotUtf8 } from '../lib/utf8.ts';
import { checkWritten } from '../lib/written.ts';
import { readYaml } from '../lib/yaml-source.ts';
import type { Config } from './config.ts';
import { configLimits } from './defaults.ts';
import { pathFaults } from './paths.ts';
import { type ResolveOptions, resolveConfig } from './resolve-config.ts';
import { ConfigSchema } from './schema.ts';

export interface LoadConfigOptions extends Omit<ResolveOptions, 'file' | 'folder'> {
  /** The proxy's own environment, for API keys that are read from it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type ConfigResult =
  | {
      readonly ok: true;
      readonly config: Config;
      /** Not wrong, but weaker than it could be; shown by `check` and at start. */
      readonly warnings: readonly Fault[];
    }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads bulkhead.yaml; every fault at once. `file` is shown in faults as it is given. */
export async function loadConfig(file: string, options: LoadConfigOptions): Promise<ConfigResult> {
  const whole = (message: string, repair: string, line = 1): ConfigResult => ({
    ok: false,
    faults: [{ file, line, column: 1, path: '', message, repair }],
  });
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return whole(code === 'ENOENT' ? 'is not there' : `cannot be read (${code ?? 'unknown'})`, 'name a config file by --config');
  }
  const line = lineNotUtf8(bytes);
  if (line !== undefined) return whole('is not UTF-8', 'save the file in the encoding UTF-8', line);
  const yaml = readYaml({ file, text: bytes.toString(), bytesMax: configLimits.fileBytesMax, depthMax: configLimits.depthMax });
  if (!yaml.ok) return yaml;
  if (yaml.value === null) return whole('is empty', 'describe at least one connector under connectors');
  return check(yaml.value, yaml.source, options);
}

async function check(value: unknown, source: Source, options: LoadConfigOptions): Promise<ConfigResult> {
  const written = checkWritten(ConfigSchema, value);
  if (!written.ok) return { ok: false, faults: placed(source, written.faults) };
  const file = resolve(source.file);
  const { config, faults, warnings } = resolveConfig(written.value, { ...options, file, folder: dirname(file) });
  const all = [...faults, ...emptyKeys(config, options.environment), ...(await pathFaults(config))];
  if (all.length > 0) return { ok: false, faults: placed(source, all) };
  return { ok: true, config, warnings: placed(source, warnings) };
}

function placed(source: Source, faults: readonly FaultAt[]): readonly Fault[] {
  return faults.map((fault) => faultIn(source, fault)).toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** A variable that is set but empty is a mistake of the deployment, told with its line; one that is not set is told when secrets are read. */
function emptyKeys({ server }: Config, environment: LoadConfigOptions['environment']): readonly FaultAt[] {
  return server.apiKeys.flatMap(({ key }, index): readonly FaultAt[] =>
    key.type === 'env' && environment[key.env] === ''
      ? [
          {
            path: ['server', 'apiKeys', index, 'key'],
            message: `is empty: the variable ${key.env} is set to nothing`,
            repair: 'set it to a key',
          },
        ]
      : [],
  );
}
