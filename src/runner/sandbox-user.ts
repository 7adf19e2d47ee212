import { readFileSync } from 'node:fs';
import { ProxyError } from '../errors.ts';

export interface SandboxUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export const sandboxUserDefault = 'bulkhead';

/**
 * Who bwrap runs as. Never root: started by root, its processes own files like /proc/sys/kernel/core_pattern whatever their number
 * inside. Undefined where the proxy is not root: then as the proxy itself.
 * @throws ProxyError `sandbox_unavailable` when the proxy is root and the user is missing or is root.
 */
export function findSandboxUser(name: string, proxyUid: number | undefined, accounts = '/etc/passwd'): SandboxUser | undefined {
  if (proxyUid !== 0) return undefined;
  for (const line of readFileSync(accounts, 'utf8').split('\n')) {
    const [account, , uid, gid] = line.split(':');
    if (account !== name) continue;
    if (Number(uid) > 0 && Number(gid) > 0) return { name, uid: Number(uid), gid: Number(gid) };
    throw new ProxyError('sandbox_unavailable', `The sandbox user ${name} is root; connectors need a user of their own without rights.`);
  }
  throw new ProxyError(
    'sandbox_unavailable',
    `The proxy runs as root and the user ${name}, as which sandboxes run, does not exist. Run scripts/setup, or say ` +
      `\`useradd --system --no-create-home --shell /usr/sbin/nologin ${name}\`; or run the proxy as an ordinary user.`,
  );
}
