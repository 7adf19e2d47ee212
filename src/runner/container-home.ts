import { type DockerEngine, isRefusal } from './docker-engine.ts';
import { ownContainerId } from './own-container.ts';

/**
 * The id of the container of this engine that the proxy runs in; undefined where it runs in none, in one of another engine (no id is given
 * twice), or where the engine does not tell. @throws ProxyError `engine_unavailable`
 */
export async function findHome(engine: DockerEngine, id = ownContainerId()): Promise<string | undefined> {
  if (id === undefined) return undefined;
  return typeof (await lookAtHome(engine, id)) === 'object' ? id : undefined;
}

/** A proxy's container: `gone` also when it has ended, `unknown` where the engine does not tell. */
export type Home = 'gone' | 'unknown' | { readonly startedAt: number };

/** @throws ProxyError `engine_unavailable` */
export async function lookAtHome(engine: DockerEngine, id: string): Promise<Home> {
  try {
    const { State } = await engine.request({
      what: 'looking at the container of a proxy',
      run: (docker, abortSignal) => docker.getContainer(id).inspect({ abortSignal } as object),
    });
    return State.Running || State.Paused ? { startedAt: Date.parse(State.StartedAt) } : 'gone';
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.statusCode === 404 ? 'gone' : 'unknown';
  }
}
