import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ProxyError } from '../errors.ts';
import { labelNames, ownerLabel } from './container-labels.ts';
import { type SidecarPrograms, sidecarUser } from './container-options.ts';
import { type DockerEngine, isRefusal } from './docker-engine.ts';
import { inspectImage } from './image-inspect.ts';
import { preludeCalls, routeRequest } from './namespace-prelude.ts';
import { type TarEntry, tarOf } from './tar.ts';

/** How long making the image may take: some 160 MB go to the engine once. */
const importTimeoutMs = 300_000;
const removeTimeoutMs = 60_000;
const repository = 'bulkhead-sidecar';
/** A sidecar image that another release of Bulkhead may still want is kept this long. */
const unusedAgeMs = 24 * 3_600_000;

/**
 * The image of the sidecar, made of the proxy's own Node, this machine's Perl, the libraries that both load, and the relay: nothing is
 * pulled and no compiler is needed. Its tag is a digest of all that, so it is made once for each engine and release. Returns the image's id.
 * @throws ProxyError `engine_unavailable`; `sandbox_unavailable` when the engine is of another architecture than the proxy.
 */
export async function sidecarImage(engine: DockerEngine, signal?: AbortSignal): Promise<string> {
  const { architecture } = await engine.facts(signal);
  if (architecture !== process.arch || process.platform !== 'linux') {
    const message = `The engine at ${engine.address} runs ${architecture}, Bulkhead ${process.platform} ${process.arch}: its network sidecar is made of Bulkhead’s own Node and cannot run there. Run Bulkhead on the same architecture, or use network: none.`;
    throw new ProxyError('sandbox_unavailable', message);
  }
  const tag = sidecarTag();
  const existing = await findImage(engine, tag, signal);
  if (existing !== undefined) return existing;
  const id = await importImage(engine, tag, signal);
  const made = (await findImage(engine, tag, signal)) ?? (await tagImage(engine, id, tag, signal));
  if (made === undefined)
    throw new ProxyError('sandbox_unavailable', `The engine at ${engine.address} did not keep the network sidecar’s image.`);
  return made;
}

/** Docker keeps the name as it is; Podman as one of its own, which it does not find by the plain name. */
const names = (tag: string): readonly string[] => [`${repository}:${tag}`, `localhost/${repository}:${tag}`];

async function findImage(engine: DockerEngine, tag: string, signal?: AbortSignal): Promise<string | undefined> {
  for (const name of names(tag)) {
    const found = await inspectImage(engine, name, signal);
    if (found !== undefined) return found.id;
  }
  return undefined;
}

/** Podman 4 ignores the tag of an import. Returns the image's id when it has it under its name now. */
async function tagImage(engine: DockerEngine, id: string | undefined, tag: string, signal?: AbortSignal): Promise<string | undefined> {
  if (id === undefined) return undefined;
  await engine.request({
    what: 'naming the sidecar’s image',
    signal,
    run: (docker, abortSignal) => docker.getImage(id).tag({ repo: `localhost/${repository}`, tag, abortSignal }),
  });
  return await findImage(engine, tag, signal);
}

/** Removes sidecar images of other releases that no container uses. @throws ProxyError `engine_unavailable` */
export async function removeOldSidecarImages(engine: DockerEngine): Promise<void> {
  const filters = { label: [`${labelNames.owner}=${ownerLabel}`, `${labelNames.role}=sidecar-image`] };
  const images = await engine.request({
    what: 'listing sidecar images',
    run: (docker, abortSignal) => docker.listImages({ filters: JSON.stringify(filters), abortSignal } as object),
  });
  for (const { Id, Created, RepoTags } of images) {
    if ((RepoTags ?? []).some((name) => names(sidecarTag()).includes(name)) || Date.now() - Created * 1000 < unusedAgeMs) continue;
    const removing = engine.request({
      what: 'removing an old sidecar image',
      timeoutMs: removeTimeoutMs,
      run: (docker, abortSignal) => docker.getImage(Id).remove({ abortSignal }),
    });
    await removing.catch((error: unknown) => {
      // In use is a refusal, and as it should be.
      if (!isRefusal(error)) throw error;
    });
  }
}

const relayFiles = ['sidecar-relay', 'sidecar-mux'].map((name) => `${name}${extname(fileURLToPath(import.meta.url))}`);

const relay = ['/node', '--max-old-space-size=64', '--disable-warning=ExperimentalWarning', `/relay/${relayFiles[0]}`];

function relaySource(file: string): Buffer {
  return readFileSync(join(import.meta.dirname, file));
}

function sidecarTag(): string {
  const hash = createHash('sha256').update(`${layoutVersion} ${process.version} ${process.arch}`);
  for (const file of [...relayFiles, ...routerFiles()]) hash.update(relaySource(file));
  return hash.digest('hex').slice(0, 16);
}

/** Changes when what the image holds, or how it starts, changes. */
const layoutVersion = 3;

/**
 * What a sidecar runs. Rules with literal addresses need routes to its loopback, which take CAP_NET_ADMIN and a program that speaks
 * netlink; on a machine without Perl there is none, and those addresses are reached through the proxy variables alone.
 */
export function sidecarPrograms(localRoutes: readonly string[]): SidecarPrograms {
  if (localRoutes.length === 0 || routerFiles().length === 0) return { relay };
  const { capset } = preludeCalls[process.arch === 'arm64' ? 'arm64' : 'x64'];
  const requests = localRoutes.map((route) => routeRequest(route).toString('hex')).join();
  return { relay, router: ['/perl', `/relay/${routerFile}`, `${capset}`, `${sidecarUser.uid}`, `${sidecarUser.gid}`, requests] };
}

const perl = '/usr/bin/perl';
const routerFile = 'namespace-helper/routes.pl';

function routerFiles(): readonly string[] {
  return existsSync(perl) ? [routerFile] : [];
}

/** Under the names that the loader looks for. */
async function perlLibraries(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)('ldd', [perl], { env: {} });
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].flatMap(([, file]) => file ?? []);
}

/** Returns the new image's id, as far as the engine tells it. */
async function importImage(engine: DockerEngine, tag: string, signal?: AbortSignal): Promise<string | undefined> {
  const programs = { node: process.execPath, ...(routerFiles().length > 0 && { perl }) };
  const libraries = [...new Set([...loadedLibraries(), ...('perl' in programs ? await perlLibraries() : [])])];
  const entries = await imageEntries(programs, libraries);
  const changes = [
    `ENTRYPOINT ${JSON.stringify(relay)}`,
    `ENV LD_LIBRARY_PATH=${[...new Set(libraries.map(dirname))].join(':')}`,
    `LABEL ${labelNames.owner}=${ownerLabel} ${labelNames.role}=sidecar-image`,
  ];
  return await engine.request({
    what: 'making the sidecar’s image',
    timeoutMs: importTimeoutMs,
    signal,
    run: async (docker, abortSignal) => {
      const options = { repo: repository, tag, changes, abortSignal };
      const progress = await docker.importImage(Readable.from(tarOf(entries)) as never, options as never);
      return await readToEnd(progress as unknown as Readable);
    },
  });
}

/** The engine's progress is JSON texts; the last one says when it failed. */
async function readToEnd(progress: Readable): Promise<string | undefined> {
  let text = '';
  for await (const chunk of progress) text = `${text}${chunk}`.slice(-4096);
  const fault = /"error":"([^"]*)"/.exec(text)?.[1];
  if (fault !== undefined) throw new Error(fault);
  return /"status":"(sha256:[0-9a-f]{64})"/.exec(text)?.[1];
}

/** The shared libraries of this process, the loader among them. The report also looks addresses up unless told not to. */
function loadedLibraries(): string[] {
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true;
  const { sharedObjects } = report.getReport() as unknown as { readonly sharedObjects: readonly string[] };
  return sharedObjects.filter((file) => file.startsWith('/') && file !== process.execPath);
}

async function imageEntries(programs: Readonly<Record<string, string>>, libraries: readonly string[]): Promise<TarEntry[]> {
  const file = async (path: string, source: string): Promise<TarEntry> => ({
    path,
    mode: 0o755,
    size: (await stat(source)).size,
    content: () => createReadStream(source),
  });
  return [
    ...(await Promise.all(Object.entries(programs).map(([path, source]) => file(path, source)))),
    ...(await Promise.all(libraries.map((library) => file(library.slice(1), library)))),
    ...[...relayFiles, ...routerFiles()].map((name) => {
      const source = relaySource(name);
      return { path: `relay/${name}`, mode: 0o644, size: source.length, content: () => [source] };
    }),
    // Node decides by it that .js files here are modules.
    { path: 'relay/package.json', mode: 0o644, size: modulePackage.length, content: () => [modulePackage] },
  ];
}

const modulePackage = Buffer.from('{"type":"module"}');
