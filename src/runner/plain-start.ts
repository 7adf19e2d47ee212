import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import { handleOf } from './process-handle.ts';
import { killByEnvironment, signalIfAlive } from './process-tree.ts';
import type { ConnectorProcess, ProcessSpec } from './runner.ts';

/** Where programs are looked for, besides the folder that holds `node`. */
export const systemPath = '/usr/local/bin:/usr/bin:/bin';

/** Marks every process of one connector, so that a daemon that left its group is found at the end. */
const markName = 'BULKHEAD_PROCESS';

/**
 * Starts a connector with the proxy’s own rights, for `sandbox: none`. Its environment is the policy’s and nothing more;
 * it leads its own process group, and whatever it leaves behind is killed when it ends.
 * @throws ProxyError `connector_start_failed` when the program cannot be run.
 */
export async function startPlain(spec: ProcessSpec, nodeFolder: string): Promise<ConnectorProcess> {
  const [program, ...args] = commandOf(spec);
  const mark = randomUUID();
  const child = spawn(program, args, {
    cwd: folderOf(spec),
    env: { PATH: `${nodeFolder}:${systemPath}`, HOME: '/tmp', LANG: 'C.UTF-8', ...spec.policy.environment, [markName]: mark },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = await pidOf(child, spec, program);
  return handleOf({
    child,
    label: `pid ${pid}`,
    terminate: () => signalIfAlive(-pid, 'SIGTERM'),
    kill: () => signalIfAlive(-pid, 'SIGKILL'),
    finish: async () => {
      signalIfAlive(-pid, 'SIGKILL');
      await killByEnvironment(`${markName}=${mark}`);
      return {};
    },
  });
}

/** The command of a folder source, which is all that this runner starts. */
export function commandOf({ connector, source }: ProcessSpec): readonly [string, ...string[]] {
  const [program, ...args] = source.type === 'folder' ? source.command : [];
  if (program !== undefined) return [program, ...args];
  const reason = source.type === 'folder' ? 'its run.command is empty' : 'an image is not run as a subprocess';
  throw new ProxyError('connector_start_failed', `Connector ${connector} cannot be started: ${reason}.`);
}

export function folderOf({ source }: ProcessSpec): string {
  return source.type === 'folder' ? source.folder : '/';
}

async function pidOf(child: ChildProcess, { connector }: ProcessSpec, program: string): Promise<number> {
  const { pid } = child;
  if (pid !== undefined) return pid;
  const cause = await new Promise<NodeJS.ErrnoException>((resolve) => child.once('error', resolve));
  const advice = cause.code === 'ENOENT' ? 'is not installed, or its folder is gone' : `cannot be run (${cause.code})`;
  throw new ProxyError('connector_start_failed', `Connector ${connector} cannot be started: ${program} ${advice}.`, { cause });
}
