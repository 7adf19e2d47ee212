import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import type { MachineLayout, MachinePath } from './sandbox-plan.ts';

const rootEntries = ['/bin', '/sbin', '/lib', '/lib64', '/lib32', '/libx32'] as const;

/** Library paths, alternatives, certificates, the time zone: readable by everybody, needed by most. */
const systemPaths = [
  '/etc/ld.so.cache',
  '/etc/alternatives',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
  '/etc/ca-certificates/extracted',
  '/etc/crypto-policies',
  '/etc/localtime',
  '/etc/mime.types',
] as const;

/** Debian keeps the settings of a JVM in /etc, linked from /usr/lib/jvm. */
const jvmSettings = /^java-\d+-openjdk$/;

export function findMachineLayout(nodePath: string): MachineLayout {
  return {
    rootEntries: rootEntries.flatMap((path) => {
      const entry = lstatSync(path, { throwIfNoEntry: false });
      if (entry === undefined) return [];
      return [entry.isSymbolicLink() ? { path, link: readlinkSync(path).replace(/^\//, '') } : { path }];
    }),
    systemPaths: [
      ...systemPaths,
      ...readdirSync('/etc')
        .filter((name) => jvmSettings.test(name))
        .map((name) => `/etc/${name}`),
    ]
      .filter((path) => existsSync(path))
      .map(systemPath),
    nodePath,
  };
}

/** The time zone, usually, which is a link into /usr: that of the proxy’s start, as it is for the proxy itself. */
function systemPath(path: string): MachinePath {
  const real = realpathSync(path);
  return real.startsWith('/usr/') && lstatSync(path).isSymbolicLink() ? { path, link: real } : { path };
}
