import type { ContainerInfo } from 'dockerode';
import type { Logger } from '../log.ts';
import { lookAtHome } from './container-home.ts';
import { labelNames, ownerLabel } from './container-labels.ts';
import { type DockerEngine, isRefusal, refusalText } from './docker-engine.ts';
import type { DockerInstance } from './docker-instance.ts';

export interface ReapOptions {
  readonly engine: DockerEngine;
  readonly instance: DockerInstance;
  /** Names of the containers that this instance has, or is about to have. */
  readonly isOwn: (containerName: string) => boolean;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/**
 * Removes the containers that dead proxies left on an engine, and those that this one lost sight of while the engine was away.
 * A container is left alone when its proxy lives, or when that cannot be told from here. One that the engine does not remove is told of and
 * tried again the next time. Returns how many were removed.
 * @throws ProxyError `engine_unavailable`
 */
export async function reap({ engine, instance, isOwn, logger, signal }: ReapOptions): Promise<number> {
  const filters = { label: [`${labelNames.owner}=${ownerLabel}`] };
  const found = await engine.request({
    what: 'looking for containers that were left',
    signal,
    run: (docker, abortSignal) => docker.listContainers({ all: true, filters, abortSignal }),
  });
  const verdicts = await Promise.all(found.map((container) => judge(container, engine, instance, isOwn)));
  const left = found.filter((_, index) => verdicts[index] === 'left');
  // Connectors before the sidecars whose namespace they use.
  const order = (role: string) => left.filter(({ Labels }) => Labels[labelNames.role] === role);
  let count = 0;
  for (const group of [order('connector'), order('sidecar')]) {
    const removed = await Promise.all(group.map((container) => removeLeft(container, engine, logger)));
    count += removed.filter(Boolean).length;
  }
  return count;
}

/** Never throws: one that cannot be removed does not keep the others. Returns whether it is gone. */
async function removeLeft({ Id, Labels }: ContainerInfo, engine: DockerEngine, logger: Logger): Promise<boolean> {
  const about = { connector: Labels[labelNames.connector] ?? '', container: Id.slice(0, 12) };
  try {
    await removeContainer(engine, Id);
    logger.warn(about, 'removed a container that a dead proxy left');
    return true;
  } catch (error) {
    const reason = isRefusal(error) ? `the engine says “${refusalText(error)}”` : (error as Error).message;
    logger.warn(about, `a container that a dead proxy left cannot be removed, and is tried again later: ${reason}`);
    return false;
  }
}

/** Ends and removes a container and its anonymous volumes. Already gone, or already going, is as good. */
export async function removeContainer(engine: DockerEngine, id: string): Promise<void> {
  try {
    await engine.request({
      what: 'removing a container',
      timeoutMs: removeTimeoutMs,
      run: (docker, abortSignal) => docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
    });
  } catch (error) {
    if (!isRefusal(error) || ![404, 409].includes(error.statusCode)) throw error;
  }
}

const removeTimeoutMs = 30_000;

type Verdict = 'own' | 'alive' | 'left' | 'foreign';

async function judge(
  container: ContainerInfo,
  engine: DockerEngine,
  instance: DockerInstance,
  isOwn: ReapOptions['isOwn'],
): Promise<Verdict> {
  const { Labels, Names } = container;
  const owner = Labels[labelNames.instance] ?? '';
  if (owner === instance.name) return Names.some((name) => isOwn(name.replace(/^\//, ''))) ? 'own' : 'left';
  if (Labels[labelNames.space] === instance.space.id) return (await instance.isAlive(owner)) ? 'alive' : 'left';
  return await judgeByContainer(container, engine, instance);
}

/**
 * A proxy of another lock space: one that runs, or ran, in a container, before this boot, or on another machine. Only the container of this
 * engine that it ran in, or a boot that is over, tell that it is dead: a container that this engine does not have may be another one's.
 */
async function judgeByContainer(container: ContainerInfo, engine: DockerEngine, { space }: DockerInstance): Promise<Verdict> {
  const { Labels, Created } = container;
  const [ownBoot] = space.id.split('/');
  const [boot] = (Labels[labelNames.space] ?? '').split('/');
  if (Labels[labelNames.machine] === space.machine && Labels[labelNames.host] === space.host && boot !== ownBoot) return 'left';
  const id = Labels[labelNames.home];
  const home = id === undefined ? 'unknown' : await lookAtHome(engine, id).catch(() => 'unknown' as const);
  if (home === 'unknown') return 'foreign';
  // Started after what it left: the proxy in it is another one.
  return home === 'gone' || home.startedAt > Created * 1000 + clockSlackMs ? 'left' : 'alive';
}

/** `Created` is in whole seconds. */
const clockSlackMs = 1000;
