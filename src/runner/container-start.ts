import { rm, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ContainerCreateOptions } from 'dockerode';
import type { EgressSession } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import { isThroughGateway } from '../manifest/network.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import { checkFolders } from './container-folders.ts';
import { type ContainerHost, requireLimits } from './container-host.ts';
import { containerName } from './container-labels.ts';
import { type LaunchedContainer, launchContainer } from './container-launch.ts';
import { type ContainerNetwork, type ContainerPlan, connectorUser, containerOptions, containerPaths } from './container-options.ts';
import { type ContainerPipes, openPipes } from './container-pipes.ts';
import { containerProcess } from './container-process.ts';
import { watchContainer } from './container-watch.ts';
import { type DockerEngine, isRefusal, refusalText } from './docker-engine.ts';
import type { EngineImage } from './image-inspect.ts';
import { lockFault } from './image-lock.ts';
import { ensureImage, imageText } from './image-pull.ts';
import { hostFolders, volumeCovers, volumeFault } from './image-volumes.ts';
import { removeContainer } from './reap.ts';
import type { ConnectorProcess, ProcessSpec } from './runner.ts';
import { makeSidecar, type Sidecar } from './sidecar.ts';

export interface ContainerStart {
  readonly host: ContainerHost;
  readonly spec: ProcessSpec;
  readonly image: string;
  readonly signal: AbortSignal;
}

/**
 * Starts a connector's container: image, egress, named pipes and sidecar where they apply, then create, attach, start, in this order, so
 * that no byte of output is lost. What fails on the way leaves nothing.
 * @throws ProxyError `engine_unavailable`, `image_unavailable`, `sandbox_unavailable`, `connector_start_failed`; the signal's reason
 */
export async function startContainer(start: ContainerStart): Promise<ConnectorProcess> {
  const shared: string[] = [];
  try {
    return await begin(start, shared);
  } catch (error) {
    if (isRefusal(error) && namesShared(error, shared)) {
      start.host.giveUpSharing();
      return await startContainer(start);
    }
    throw isRefusal(error) ? refused(start, error) : error;
  }
}

/** Only what the engine says of a folder of ours tells of all starts: paths of the config may be gone, and an image can have anything quoted. */
function namesShared(error: Error, folders: readonly string[]): boolean {
  return folders.some((folder) => error.message.includes(`bind source path does not exist: ${folder}`));
}

function refused({ host, spec: { connector } }: ContainerStart, error: Error & { readonly statusCode: number }): ProxyError {
  const message = `Connector ${connector} cannot be started: the engine at ${host.engine.address} says “${refusalText(error)}”.`;
  return new ProxyError('connector_start_failed', message, { cause: error });
}

/** `shared` is told which folders the engine is asked to share. */
async function begin(start: ContainerStart, shared: string[]): Promise<ConnectorProcess> {
  const { host, spec, signal } = start;
  await using undo = new AsyncDisposableStack();
  if (spec.policy.sandbox === 'enforced') requireLimits(await host.engine.facts(signal), host.engine.address);
  if ((await host.engine.facts(signal)).sharesKernel) await checkFolders(spec);
  const image = await imageOf(start);
  const name = containerName(host.options.instance, spec.connector);
  host.names.add(name);
  undo.defer(() => void host.names.delete(name));
  const session = openSession(start);
  undo.defer(() => session?.close());
  const [pipes, sidecar] = await bothOrNeither(pipesFor(start, image, shared), sidecarFor(start, { name, session, shared }), undo);
  const plan = await planOf(start, { image, session, pipes, sidecar });
  const readySidecar = sidecar?.start(signal);
  readySidecar?.catch(() => {});
  const options = containerOptions(plan);
  const container = await launchContainer({ engine: host.engine, name, options, signal });
  // An engine that is away is cleaned up by the reaper; the first failure is the one to tell.
  undo.defer(() => container.remove().catch(() => {}));
  if (spec.policy.sandbox === 'enforced') await host.checkLimits(container.id, options.HostConfig ?? {});
  await readySidecar;
  if (pipes !== undefined) host.pipeFolders.makeAhead();
  await container.start(signal);
  const watch =
    spec.policy.sandbox === 'enforced' ? watchContainer({ ...host, watch: host.limitWatch, id: container.id, spec }) : undefined;
  undo.defer(() => watch?.stop());
  const release = undo.move();
  return containerProcess({
    spec,
    container,
    limitBreached: watch?.breach ?? new Promise(() => {}),
    ...stdioOf(container, pipes),
    supportLost: supportLost(sidecar),
    release: () => release.disposeAsync(),
  });
}

async function imageOf({ host, spec, image, signal }: ContainerStart): Promise<EngineImage> {
  const { pull = 'missing', credentials = async () => undefined, logger, lock } = host.options;
  const found = await ensureImage({ engine: host.engine, image, connector: spec.connector, pull, credentials, logger, signal });
  const fault = (lock === undefined ? undefined : lockFault(lock, image, found)) ?? volumeFaultOf(found, spec.policy);
  if (fault !== undefined) throw new ProxyError('image_unavailable', `${imageText({ image, connector: spec.connector })} ${fault}.`);
  tellOfVolumes({ host, spec, image }, found);
  return found;
}

/** Once for each image: a program that looks for something there finds nothing, and its own message will not say why. */
function tellOfVolumes({ host, spec, image }: Pick<ContainerStart, 'host' | 'spec' | 'image'>, { id, volumes }: EngineImage): void {
  if (volumes.length === 0 || spec.policy.sandbox !== 'enforced' || host.toldVolumes.has(id)) return;
  host.toldVolumes.add(id);
  const message =
    'the volumes that the image declares are empty and read-only; it can write to /tmp, and to /data where dataFolder is granted';
  host.options.logger.info({ connector: spec.connector, image, volumes }, message);
}

function volumeFaultOf({ volumes }: EngineImage, policy: SandboxPolicy): string | undefined {
  return policy.sandbox === 'enforced' ? volumeFault(volumes, hostFolders(policy, containerPaths)) : undefined;
}

function openSession({ host, spec }: ContainerStart): EgressSession | undefined {
  const { connector, policy, onNotice, invocations } = spec;
  if (!isThroughGateway(policy.network)) return undefined;
  const { gateway } = host.options;
  if (gateway === undefined)
    throw new ProxyError('sandbox_unavailable', `Connector ${connector} has network rules, and there is no egress gateway.`);
  return gateway.open({
    connector,
    network: policy.network,
    invocations: () => invocations?.() ?? [],
    onDenied: ({ message }) => onNotice({ code: 'egress_denied', message }),
  });
}

/** Both at once; when one fails, what the other made is undone with the rest. */
async function bothOrNeither(
  pipes: Promise<ContainerPipes | undefined>,
  sidecar: Promise<Sidecar | undefined>,
  undo: AsyncDisposableStack,
): Promise<[ContainerPipes | undefined, Sidecar | undefined]> {
  const [madePipes, madeSidecar] = await Promise.allSettled([pipes, sidecar]);
  if (madePipes.status === 'fulfilled') undo.defer(() => madePipes.value?.close());
  if (madeSidecar.status === 'fulfilled') undo.defer(() => madeSidecar.value?.close());
  return [await pipes, await sidecar];
}

async function pipesFor({ host, spec }: ContainerStart, image: EngineImage, shared: string[]): Promise<ContainerPipes | undefined> {
  if (!(await host.sharesFiles()) || image.entrypoint.length + image.command.length === 0) return undefined;
  if (!(await hasShell(host, image))) return undefined;
  host.options.logger.debug({ connector: spec.connector }, 'stdio by named pipes');
  const folder = await host.pipeFolders.take();
  shared.push(folder);
  return openPipes(folder);
}

/** Looked up once for each image, in a container that never runs. */
async function hasShell({ engine, shells, options, names, labels }: ContainerHost, { id, volumes }: EngineImage): Promise<boolean> {
  const known = shells.get(id);
  if (known !== undefined) return known;
  const name = containerName(options.instance, 'probe');
  names.add(name);
  try {
    const { product } = await engine.facts();
    const found = await probeShell(engine, {
      name,
      Image: id,
      Labels: { ...(await labels('connector', 'probe')) },
      // A volume would be made, and filled, for a container that never runs too.
      HostConfig: { NetworkMode: 'none', Tmpfs: volumeCovers(volumes, { product, taken: [] }) },
    });
    shells.set(id, found);
    return found;
  } finally {
    names.delete(name);
  }
}

async function probeShell(engine: DockerEngine, options: ContainerCreateOptions & { readonly name: string }): Promise<boolean> {
  const { name } = options;
  const what = 'looking for a shell in an image';
  try {
    await engine.request({ what, run: (docker, abortSignal) => docker.createContainer({ ...options, abortSignal }) });
    const answer = await engine.request({
      what,
      run: (docker, abortSignal) => docker.getContainer(name).infoArchive({ path: '/bin/sh', abortSignal }),
    });
    // A stream to the library: unread, its connection would stay open for minutes and keep a process that is done from ending.
    (answer as unknown as Readable).destroy();
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  } finally {
    await removeContainer(engine, name).catch(() => {});
  }
}

interface SidecarStart {
  /** Of the connector's container. */
  readonly name: string;
  readonly session: EgressSession | undefined;
  readonly shared: string[];
}

async function sidecarFor({ host, spec, signal }: ContainerStart, { name, session, shared }: SidecarStart): Promise<Sidecar | undefined> {
  if (session === undefined) return undefined;
  const { instance } = host.options;
  const folder = (await host.sharesFiles()) ? await instance.makeFolder() : undefined;
  if (folder !== undefined) shared.push(folder);
  const sidecarName = `${name}-net`;
  host.names.add(sidecarName);
  const forget = async () => {
    host.names.delete(sidecarName);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  };
  const make = async (image: string) =>
    await makeSidecar({
      engine: host.engine,
      connector: spec.connector,
      name: sidecarName,
      image,
      labels: await host.labels('sidecar', spec.connector),
      seccomp: await host.seccomp(),
      session,
      folder,
      signal,
    });
  try {
    const image = await host.sidecarImage(signal);
    const sidecar = await make(image).catch(async (error: unknown) => {
      // Somebody removed the image since it was made.
      if (!isRefusal(error) || error.statusCode !== 404) throw error;
      await host.forgetSidecarImage(image);
      return await make(await host.sidecarImage(signal));
    });
    const close = async () => {
      await sidecar.close().catch(() => {});
      await forget();
    };
    return { ...sidecar, close };
  } catch (error) {
    await forget();
    throw error;
  }
}

interface Parts {
  readonly image: EngineImage;
  readonly session: EgressSession | undefined;
  readonly pipes: ContainerPipes | undefined;
  readonly sidecar: Sidecar | undefined;
}

async function planOf({ host, spec }: ContainerStart, { image, session, pipes, sidecar }: Parts): Promise<ContainerPlan> {
  const { policy, connector } = spec;
  const { mapsUsers } = await host.engine.facts();
  return {
    policy,
    image,
    labels: await host.labels('connector', connector),
    // Where ids are mapped, the folder's owner is somebody else inside: it is given to this user, by the id that this one has here.
    user: mapsUsers ? connectorUser : await userFor(host, policy.dataFolder),
    network: networkOf(policy.network.type, sidecar),
    egressEnvironment: session?.environment ?? {},
    seccomp: policy.sandbox === 'enforced' ? await host.seccomp() : '',
    product: (await host.engine.facts()).product,
    stdio: pipes === undefined ? { type: 'attach' } : { type: 'pipes', folder: pipes.folder },
  };
}

function networkOf(type: string, sidecar: Sidecar | undefined): ContainerNetwork {
  if (sidecar !== undefined) return { type: 'sidecar', id: sidecar.id };
  return { type: type === 'unsafe-host' ? 'host' : 'none' };
}

/**
 * Whoever owns the data folder, unless that is root: else the connector could not write to it. A folder that cannot be seen from here, of another
 * machine or of the host of our own container, says nothing.
 */
async function userFor({ engine }: ContainerHost, dataFolder: string | undefined): Promise<ContainerPlan['user']> {
  if (dataFolder === undefined || !(await engine.facts()).sharesKernel) return connectorUser;
  const owner = await stat(dataFolder).catch(() => undefined);
  return owner === undefined || owner.uid === 0 ? connectorUser : { uid: owner.uid, gid: owner.gid };
}

function stdioOf({ streams }: LaunchedContainer, pipes: ContainerPipes | undefined) {
  if (pipes === undefined) return { stdin: streams.stdin, stdout: streams.stdout };
  streams.stdout.once('data', pipes.opened);
  return { stdin: pipes.stdin, stdout: pipes.stdout };
}

function supportLost(sidecar: Sidecar | undefined): Promise<string> {
  return sidecar === undefined ? new Promise(() => {}) : sidecar.ended;
}
