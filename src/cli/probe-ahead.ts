import type { Config } from '../config/config.ts';
import { probeSandbox } from '../runner/doctor.ts';

/** Whether the config has a connector that is to run in a sandbox of this machine. */
export function promisesSandbox({ connectors }: Config): boolean {
  return [...connectors.values()].some(({ source, sandbox }) => source.type === 'folder' && sandbox === 'enforced');
}

/**
 * Begins the probe that the start will ask for, and resolves when the first of its sandboxes runs: from then on it waits for processes, while
 * the rest of the code and the manifests can be loaded, which would hold up their start. Who asks first gets it. It ends, and takes away what it made, in any case.
 */
export async function probeAhead(config: Config): Promise<typeof probeSandbox> {
  if (!promisesSandbox(config)) return probeSandbox;
  const { promise: started, resolve: onStarted } = Promise.withResolvers<void>();
  let begun: ReturnType<typeof probeSandbox> | undefined = probeSandbox({ userName: config.server.sandboxUser, onStarted });
  // Why it fails, if it does, is for who asks.
  await Promise.race([started, begun.catch(() => undefined)]);
  return (options) => {
    const first = begun;
    begun = undefined;
    return first ?? probeSandbox(options);
  };
}
