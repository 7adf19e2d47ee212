import { expect, it } from 'vitest';
import { explainSandboxFailure } from '../../../src/runner/sandbox-failure.ts';

it.each([
  ['bwrap: setting up uid map: Permission denied', /AppArmor.*scripts\/setup/],
  ['bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted', /AppArmor/],
  ['bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)', /user.max_user_namespaces/],
  [
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.',
    /unprivileged_userns_clone/,
  ],
  ["bwrap: Can't mount proc on /newroot/proc: Operation not permitted", /systempaths=unconfined/],
  ['bwrap: Unknown option --disable-userns', /too old/],
  ['', /ended without a word.*bulkhead doctor/],
])('says what to do about %j', (complaint, expected) => {
  const error = explainSandboxFailure('x', complaint);
  expect(error).toMatchObject({ code: 'sandbox_unavailable', message: expect.stringMatching(expected) });
  expect(error.message).toContain('connector x');
});
