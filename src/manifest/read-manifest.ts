import { dirname } from 'node:path';
import { type Fault, type FaultAt, faultIn, type Source } from '../lib/faults.ts';
import { checkWritten } from '../lib/written.ts';
import { readYaml } from '../lib/yaml-source.ts';
import { type Manifest, ManifestSchema, manifestLimits } from './manifest.ts';
import type { CommandName } from './names.ts';
import { compileParameters, type ParameterCheck } from './parameters.ts';

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest; readonly checks: ReadonlyMap<CommandName, ParameterCheck> }
  | { readonly ok: false; readonly faults: readonly Fault[] };

export interface ManifestSource {
  readonly text: string;
  /** As faults name it: a path, or an image and its label. */
  readonly file: string;
}

/** Reads a manifest, YAML or JSON; every fault at once. */
export function readManifest({ text, file }: ManifestSource): ManifestResult {
  const { fileBytesMax, depthMax } = manifestLimits;
  const yaml = readYaml({ file, text, bytesMax: fileBytesMax, depthMax });
  if (!yaml.ok) return yaml;
  const written = checkWritten(ManifestSchema, yaml.value);
  if (!written.ok) {
    const faults = written.faults.map((fault) => undiscovered(fault, yaml.value, file));
    return { ok: false, faults: told(yaml.source, [...faults, ...parameterFaults(yaml.value)]) };
  }
  const manifest: Manifest = written.value;
  const checks = new Map<CommandName, ParameterCheck>();
  const faults = [...runFaults(manifest), ...repeated(manifest), ...fillChecks(manifest, checks), ...authFaults(manifest)];
  return faults.length > 0 ? { ok: false, faults: told(yaml.source, faults) } : { ok: true, manifest, checks };
}

function told(source: Source, faults: readonly FaultAt[]): readonly Fault[] {
  return faults.map((fault) => faultIn(source, fault)).toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** Nobody writes the commands of existing packages by hand: the repair says what writes them. */
function undiscovered(fault: FaultAt, value: unknown, file: string): FaultAt {
  const isOfCommands = fault.path.length === 1 && fault.path[0] === 'commands';
  const isWithout = fault.message === 'is missing' || fault.message === 'is empty';
  if (!isOfCommands || !isWithout || (value as { readonly protocol?: unknown } | null)?.protocol !== 'spiff-python') return fault;
  return { ...fault, repair: `run \`bulkhead discover ${dirname(file)} --write\`, which lists what its packages have` };
}

function runFaults({ protocol, run }: Manifest): readonly FaultAt[] {
  if (run === undefined) return [];
  if (run.packages === undefined && run.command === undefined) {
    const packages = protocol === 'spiff-python' ? 'packages: [folder, …], or ' : '';
    return [{ path: ['run', 'command'], message: 'is missing', repair: `add ${packages}command: [program, argument]` }];
  }
  if (run.packages === undefined || protocol === 'spiff-python') return [];
  return [
    {
      path: ['run', 'packages'],
      key: true,
      message: `means nothing with protocol: ${protocol}`,
      repair: 'remove it, or write protocol: spiff-python',
    },
  ];
}

function authFaults({ auths }: Manifest): readonly FaultAt[] {
  return auths.flatMap((auth, index) => {
    const compiled = compileParameters(auth, ['auths', index, 'parameters']);
    return compiled.ok ? [] : compiled.faults;
  });
}

function fillChecks({ commands }: Manifest, checks: Map<CommandName, ParameterCheck>): readonly FaultAt[] {
  return commands.flatMap((command, index) => {
    const compiled = compileParameters(command, ['commands', index, 'parameters']);
    if (!compiled.ok) return compiled.faults;
    checks.set(command.name, compiled.check);
    return [];
  });
}

/** For a manifest that is wrong elsewhere too: its schemas are read all the same, so that one look shows everything. */
function parameterFaults(value: unknown): readonly FaultAt[] {
  const commands = (value as { readonly commands?: unknown } | null)?.commands;
  if (!Array.isArray(commands)) return [];
  return commands.slice(0, manifestLimits.commandsMax).flatMap((command: unknown, index) => {
    const parameters = (command as { readonly parameters?: unknown } | null)?.parameters;
    if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) return [];
    const compiled = compileParameters({ parameters: { ...parameters } }, ['commands', index, 'parameters']);
    return compiled.ok ? [] : compiled.faults;
  });
}

function repeated({ commands, auths, requests }: Manifest): readonly FaultAt[] {
  return [
    ...repeatedIn(auths.map(({ name }) => name)).map((index) => ['auths', index, 'name']),
    ...repeatedIn(commands.map(({ name }) => name)).map((index) => ['commands', index, 'name']),
    ...repeatedIn(requests.network.map(({ text }) => text)).map((index) => ['requests', 'network', index]),
    ...repeatedIn(requests.secrets).map((index) => ['requests', 'secrets', index]),
  ].map((path) => ({ path, message: 'is there twice', repair: 'keep one of them' }));
}

function repeatedIn(names: readonly string[]): readonly number[] {
  const seen = new Set<string>();
  return names.flatMap((name, index) => {
    const again = seen.has(name);
    seen.add(name);
    return again ? [index] : [];
  });
}
