import { type Spawner, type SpawnerHost, startSpawner } from './spawner.ts';

/** At most one spawner for what is to be spawned, made anew when that ended or was late. */
export interface SpawnerKeeper {
  /** The one that is there, or on its way; undefined: spawn without. */
  current(): Promise<Spawner | undefined>;
  /** Ends it, and those that were late and have processes still. */
  close(): Promise<void>;
}

/** `isWanted` false: there never is one. Else it is on its way at once. */
export function keepSpawner(host: SpawnerHost, { isWanted }: { readonly isWanted: boolean }): SpawnerKeeper {
  const late = new Set<Spawner>();
  let isClosed = false;
  let spawner = isWanted ? startSpawner(host) : Promise.resolve(undefined);

  const replace = (lost: Spawner): void => {
    for (const each of late) if (each.state === 'ended') late.delete(each);
    late.add(lost);
    spawner = startSpawner(host);
  };

  return {
    async current() {
      const known = spawner;
      const lost = await known;
      // The first who finds that has another one started.
      if (lost !== undefined && lost.state !== 'ready' && spawner === known && !isClosed) replace(lost);
      const found = await spawner;
      return found?.state === 'ready' ? found : undefined;
    },
    async close() {
      isClosed = true;
      await Promise.all([...late, await spawner].map((each) => each?.close()));
    },
  };
}
