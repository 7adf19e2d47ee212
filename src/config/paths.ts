import { type Stats, statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, sep } from 'node:path';
import type { FaultAt, FaultPath } from '../lib/faults.ts';
import type { Config, ConnectorConfig } from './config.ts';

/** Neither they nor anything that holds them is given to a connector to write to; of `whole`, nothing below either. */
const forbidden = {
  itself: ['/', '/home', '/mnt', '/media', '/opt', '/srv', '/tmp', '/var', '/var/lib', '/var/tmp', '/var/log'],
  whole: [
    ...['/bin', '/boot', '/dev', '/etc', '/lib', '/lib32', '/lib64', '/proc', '/root', '/run', '/sbin', '/sys', '/usr'],
    ...['/var/lib/containerd', '/var/lib/docker', '/var/lib/containers', '/var/run', '/var/spool/cron'],
  ],
} as const;

/** Shown read-only, so less is forbidden: what holds other processes, devices, sockets and other people's secrets. */
const unreadable = [
  '/dev',
  '/proc',
  '/root',
  '/run',
  '/sys',
  '/var/run',
  '/var/lib/docker',
  '/etc/shadow',
  '/etc/gshadow',
  '/etc/ssh',
] as const;

/** What only a look at the disk shows. */
export async function pathFaults(config: Config): Promise<readonly FaultAt[]> {
  const all = [...config.connectors.values()];
  const found = await Promise.all(all.map((connector) => connectorFaults(connector)));
  return [...found.flat(), ...(await dataFolderConflicts(config, all))];
}

async function connectorFaults(connector: ConnectorConfig): Promise<readonly FaultAt[]> {
  const place = ['connectors', connector.name];
  const source = sourceFault(connector, [...place, 'path']);
  const [data, ...readOnly] = await Promise.all([
    dataFolderFault(connector.dataFolder, [...place, 'dataFolder']),
    ...connector.readOnlyPaths.map((path, index) => readOnlyFault(path, [...place, 'readOnlyPaths', index])),
  ]);
  return [source, data, ...readOnly].filter((fault) => fault !== undefined);
}

function sourceFault({ source }: ConnectorConfig, path: FaultPath): FaultAt | undefined {
  if (source.type === 'image') return undefined;
  const stats = look(source.path);
  if (stats === undefined)
    return { path, message: `is not there (${source.path})`, repair: 'write the folder that holds connector.yaml, relative to this file' };
  if (!stats.isDirectory()) return { path, message: 'is not a folder', repair: 'write the folder that holds connector.yaml' };
  return undefined;
}

async function dataFolderFault(folder: string | undefined, path: FaultPath): Promise<FaultAt | undefined> {
  if (folder === undefined) return undefined;
  const danger = { path, message: 'is a folder of the system', repair: 'make a folder of its own, e.g. /var/lib/bulkhead/NAME' };
  if (isForbidden(folder)) return danger;
  const stats = look(folder);
  if (stats === undefined)
    return { path, message: `is not there (${folder})`, repair: 'make it, owned by the user that connectors run as' };
  if (!stats.isDirectory()) return { path, message: 'is not a folder', repair: 'write a folder' };
  return isForbidden(await realpath(folder)) ? danger : undefined;
}

function isForbidden(folder: string): boolean {
  return (
    [...forbidden.itself, ...forbidden.whole].some((place) => place === folder) || forbidden.whole.some((place) => contains(place, folder))
  );
}

async function readOnlyFault(file: string, path: FaultPath): Promise<FaultAt | undefined> {
  if (!isAbsolute(file))
    return { path, message: 'is not an absolute path', repair: 'write it from / on: the connector sees it at the same place' };
  const stats = look(file);
  if (stats === undefined) return { path, message: 'is not there', repair: 'correct it, or remove it' };
  if (!stats.isDirectory() && !stats.isFile())
    return { path, message: 'is a socket or a device', repair: 'remove it; a connector reaches hosts by its network rules only' };
  const real = await realpath(file);
  if (real === '/' || unreadable.some((place) => contains(place, real) || contains(real, place)))
    return { path, message: 'holds what belongs to the system or to others', repair: 'name the file or folder that is needed' };
  return undefined;
}

/**
 * A data folder is written to by one connector, which may put links there. What another one reads, what is run as code, and what the proxy
 * itself opens with its own rights must not be in it.
 */
async function dataFolderConflicts({ file, connectors, server }: Config, all: readonly ConnectorConfig[]): Promise<readonly FaultAt[]> {
  if (all.every(({ dataFolder }) => dataFolder === undefined)) return [];
  const held = await Promise.all(
    all.map(async ({ name, dataFolder }) => ({ name, folder: dataFolder === undefined ? undefined : await real(dataFolder) })),
  );
  const sources = await Promise.all(
    [...connectors.values()].map(({ source }) => (source.type === 'folder' ? real(source.path) : undefined)),
  );
  const opened = await Promise.all(openedPaths(server, all).map(async ({ what, path }) => ({ what, paths: [path, await real(path)] })));
  return held.flatMap(({ name, folder }, index): readonly FaultAt[] => {
    if (folder === undefined) return [];
    const path = ['connectors', name, 'dataFolder'];
    const repair = 'give each connector a data folder of its own, apart from code and config';
    if (contains(folder, file)) return [{ path, message: 'holds this config file', repair }];
    if (sources.some((source) => source !== undefined && (contains(folder, source) || contains(source, folder))))
      return [{ path, message: 'overlaps the folder of a connector’s code', repair }];
    const within = opened.find(({ paths }) => paths.some((one) => contains(folder, one)));
    if (within !== undefined) return [{ path, message: `holds ${within.what}`, repair }];
    const other = held.find(
      (one, place) => place < index && one.folder !== undefined && (contains(folder, one.folder) || contains(one.folder, folder)),
    );
    return other === undefined ? [] : [{ path, message: `overlaps the data folder of ${other.name}`, repair }];
  });
}

interface OpenedPath {
  readonly what: string;
  readonly path: string;
}

/** What is opened or mounted with rights that a connector does not have. */
function openedPaths(server: Config['server'], all: readonly ConnectorConfig[]): readonly OpenedPath[] {
  const { credentials } = server.egress.upstreamProxy ?? {};
  const secrets = [
    ...server.apiKeys.map(({ key }) => key),
    ...(credentials === undefined ? [] : [credentials.password]),
    ...all.flatMap((connector) => Object.values(connector.secrets)),
  ];
  return [
    ...all.flatMap(({ name, readOnlyPaths }) => readOnlyPaths.map((path) => ({ what: `a read-only path of ${name}`, path }))),
    ...(server.audit === undefined ? [] : [{ what: 'the audit log', path: server.audit.folder }]),
    ...all.flatMap(({ source }) => certificatesOf(source)),
    ...secrets.flatMap((source) => (source.type === 'file' ? [{ what: 'the file of a secret', path: source.file }] : [])),
  ];
}

/** With its key whoever has it is root on the engine's machine. */
function certificatesOf(source: ConnectorConfig['source']): readonly OpenedPath[] {
  const folder = source.type === 'image' && source.engine !== undefined ? new URL(source.engine).searchParams.get('certs') : null;
  return folder === null ? [] : [{ what: 'the certificates of an engine', path: folder }];
}

/** Whether `path` is `folder` or below it. */
function contains(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** Not by a promise: through Node’s threads it takes ten times as long, and every connector’s folder is looked at. */
function look(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

async function real(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
