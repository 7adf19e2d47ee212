import { statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

export interface WatchOptions {
  /** A file, or a folder with all that is in it. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly changed: () => void;
}

/** Editors write a file in several steps; what comes within this time is one change. */
const quietMs = 150;

/** Tells of changes at or below the path, until the signal aborts. A file is watched through its folder, since editors replace files. */
export function watchFiles({ path, signal, changed }: WatchOptions): void {
  let timer: NodeJS.Timeout | undefined;
  const touched = (): void => {
    clearTimeout(timer);
    timer = setTimeout(changed, quietMs);
  };
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const name = basename(path);
  const watcher = watch(isFolder ? path : dirname(path), { recursive: isFolder, signal }, (_event, file) => {
    if (isFolder || file === name) touched();
  });
  // A folder that goes away while it is watched is a change; what else can go wrong only ends the watch of this path.
  watcher.on('error', touched);
}
