import { ProxyError } from '../errors.ts';

/** What bwrap says when the machine withholds something, and what to do about it. First match wins. */
const knownFailures: readonly { readonly pattern: RegExp; readonly reason: string; readonly repair: string }[] = [
  {
    pattern: /setting up uid map: Permission denied|loopback: Failed (to|RTM_NEWADDR).*(Permission denied|not permitted)/i,
    reason: 'AppArmor keeps ordinary programs from using user namespaces (Ubuntu 23.10 and later)',
    repair:
      'give bubblewrap a profile that allows it (scripts/setup does), or say `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`',
  },
  {
    pattern: /namespaces exceeded|No space left on device/i,
    reason: 'the machine allows no more user namespaces',
    repair: 'say `sysctl -w user.max_user_namespaces=15000`, and keep it in /etc/sysctl.d',
  },
  {
    pattern: /No permissions to create (a )?new namespace|Creating new namespace failed|kernel does not (allow|support)/i,
    reason: 'the kernel, or the container that the proxy runs in, forbids user namespaces',
    repair:
      'say `sysctl -w kernel.unprivileged_userns_clone=1` where that setting exists; inside Docker run the proxy with ' +
      '`--security-opt seccomp=unconfined --security-opt systempaths=unconfined`, or use image connectors',
  },
  {
    pattern: /Can't mount proc/i,
    reason: 'the container that the proxy runs in hides parts of /proc',
    repair: 'run it with `--security-opt systempaths=unconfined`, or use image connectors',
  },
  {
    pattern: /^(unshare|mount): /m,
    reason: 'its files lie behind a folder that is closed to the sandbox user, and root may not mount here',
    repair: 'move them, e.g. below /srv, or open the folder with `chmod o+x`',
  },
  {
    pattern: /prlimit: not found/,
    reason: 'the program prlimit is missing, without which the limits can be got around',
    repair: 'install util-linux',
  },
  {
    pattern: /unknown option|--args|Unknown argument/i,
    reason: 'bubblewrap is too old (0.8 or later is needed)',
    repair: 'install a newer bubblewrap',
  },
];

const complaintCharactersMax = 400;

/** The error for a sandbox that did not come up, from what bwrap wrote. */
export function explainSandboxFailure(connector: string, complaint: string): ProxyError {
  const said = complaint.trim().slice(-complaintCharactersMax) || 'it ended without a word';
  const known = knownFailures.find(({ pattern }) => pattern.test(said));
  const why = known === undefined ? 'Run `bulkhead doctor`' : `Because ${known.reason}: ${known.repair}`;
  return new ProxyError('sandbox_unavailable', `The sandbox of connector ${connector} cannot be set up (${said}). ${why}.`);
}

export const bwrapMissing =
  'bubblewrap is not installed; run scripts/setup, or say `apt-get install bubblewrap` (Debian, Ubuntu), `dnf install bubblewrap` (Fedora), `apk add bubblewrap` (Alpine)';
