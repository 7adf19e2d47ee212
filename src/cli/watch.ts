import { type FSWatcher, readlinkSync, statSync, watch } from 'node:fs';
import { basename, isAbsolute, join, resolve, sep } from 'node:path';

export interface WatchOptions {
  /** A file, or a folder with all that is in it; it may be a link, lead through links, or not be there yet. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly changed: () => void;
  /** Called when something on the way cannot be watched, by its code, such as `EACCES` or `ENOSPC`. The rest is watched. */
  readonly failed: (code: string) => void;
}

/** Editors write a file in several steps; what comes within this time is one change. */
const quietMs = 150;

/**
 * Tells of changes at or below the path, and of what the path leads to, until the signal aborts. With each change everything is watched anew
 * before that is told of: a folder that was replaced is another one, and a link leads elsewhere.
 */
export function watchFiles({ path, signal, changed, failed }: WatchOptions): void {
  let timer: NodeJS.Timeout | undefined;
  let watchers: readonly FSWatcher[] = [];
  const stop = (): void => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
  const touched = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      start();
      changed();
    }, quietMs);
  };
  const start = (): void => {
    stop();
    watchers = watchPath(path, touched, failed);
  };
  if (signal.aborted) return;
  signal.addEventListener('abort', stop, { once: true });
  start();
}

function watchPath(path: string, touched: () => void, failed: WatchOptions['failed']): readonly FSWatcher[] {
  const { entries, end } = entriesOf(path);
  const watchOne = (folder: string, isOurs: (file: string) => boolean, recursive = false): FSWatcher[] => {
    const fail = (error: unknown): void => failed((error as NodeJS.ErrnoException).code ?? 'unknown');
    try {
      const watcher = watch(folder, { recursive }, (_event, file) => {
        if (file === null || isOurs(file)) touched();
      });
      return [watcher.on('error', fail)];
    } catch (error) {
      fail(error);
      return [];
    }
  };
  const isFolder = end !== undefined && statSync(end, { throwIfNoEntry: false })?.isDirectory() === true;
  // A folder that is removed tells of that by its own name.
  const around = entries.flatMap(({ folder, name }) => watchOne(folder, (file) => file === name || file === basename(folder)));
  return isFolder ? [...around, ...watchOne(end, () => true, true)] : around;
}

interface Entry {
  /** Without links in it. */
  readonly folder: string;
  readonly name: string;
}

interface Way {
  /** Entries that decide what the path leads to: each link on the way, and the last one, or the first that is not there. */
  readonly entries: readonly Entry[];
  /** Where the path leads, without links in it; undefined when it leads nowhere. */
  readonly end?: string;
}

/** As the kernel has it. */
const linksMax = 40;

function entriesOf(path: string): Way {
  const entries: Entry[] = [];
  const rest = partsOf(resolve(path));
  let folder: string = sep;
  for (let links = 0; rest.length > 0; ) {
    const name = rest.shift() ?? '';
    const here = join(folder, name);
    const target = name === '..' ? undefined : targetOf(here);
    if (target !== undefined || rest.length === 0) entries.push({ folder, name });
    if (target === 'nowhere') return { entries };
    if (target === undefined) {
      folder = here;
      continue;
    }
    links += 1;
    if (links > linksMax) return { entries };
    rest.unshift(...partsOf(target.link));
    if (isAbsolute(target.link)) folder = sep;
  }
  return { entries, end: folder };
}

function partsOf(path: string): string[] {
  return path.split(sep).filter((part) => part !== '' && part !== '.');
}

/** Undefined for what is no link. */
function targetOf(path: string): { readonly link: string } | 'nowhere' | undefined {
  try {
    return { link: readlinkSync(path) };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EINVAL' ? undefined : 'nowhere';
  }
}
