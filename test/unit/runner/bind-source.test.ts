import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkBind, checkCode, checkReadOnlyPath, isWithin } from '../../../src/runner/bind-source.ts';
import { findSandboxUser, type SandboxUser } from '../../../src/runner/sandbox-user.ts';

const root = mkdtempSync(join(tmpdir(), 'bulkhead-binds-'));
const folder = join(root, 'connector');
mkdirSync(join(folder, 'data'), { recursive: true });
chmodSync(root, 0o755);
symlinkSync('/etc', join(folder, 'away'));
symlinkSync('data', join(folder, 'near'));
mkdirSync(join(root, 'closed/inner'), { recursive: true });
chmodSync(join(root, 'closed'), 0o700);
writeFileSync(join(root, 'private'), '');
chmodSync(join(root, 'private'), 0o600);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const stranger: SandboxUser = { name: 'somebody', uid: 4321, gid: 4321 };
type Check = typeof checkBind;
const ways: readonly [string, Check][] = [
  ['by the thread pool', checkBind],
  ['at once', async (request) => checkCode(request)],
];

describe.each(ways)('a path to be mounted, looked at %s', (_way, look) => {
  const check = (path: string, options: Partial<Parameters<Check>[0]> = {}) =>
    look({ what: 'The folder of connector x', path, containedIn: folder, access: 'read', user: stranger, ...options });

  it('is given as its real path', async () => {
    expect(await check(folder)).toEqual({ source: folder, isFolder: true, isBehindClosedFolder: false });
    expect(await check(join(folder, 'near'))).toMatchObject({ source: join(folder, 'data') });
  });

  it('is known to be behind a folder that its user may not enter', async () => {
    expect(await check(join(root, 'closed/inner'))).toEqual({
      source: join(root, 'closed/inner'),
      isFolder: true,
      isBehindClosedFolder: true,
    });
  });

  it.each([
    ['a link that leaves the connector’s folder', join(folder, 'away'), /symbolic link that leaves the connector’s folder, to \/etc/],
    ['what does not exist', join(root, 'nothing'), /cannot be read \(ENOENT\)/],
    ['a relative path', 'connector', /not an absolute path/],
    ['the root', '/', /never given/],
    ['/proc', '/proc/self', /never given/],
    ['the folder of sockets', '/run', /never given/],
    ['a device', '/dev/null', /never given/],
    ['a file that its user may not read', join(root, 'private'), /cannot be read by the user somebody. Say `chmod -R o\+rX/],
  ])('is refused by name: %s', async (_what, path, message) => {
    await expect(check(path)).rejects.toMatchObject({ code: 'sandbox_unavailable', message: expect.stringMatching(message) });
  });

  it('is refused for writing when its user may only read', async () => {
    const refusal = check(join(folder, 'data'), { access: 'write' });
    await expect(refusal).rejects.toThrow(/cannot be written by the user somebody. Say `chown somebody/);
  });

  it('is refused when it is a socket', async () => {
    const path = join(root, 'socket');
    const server = createServer().listen(path);
    await once(server, 'listening');
    await expect(check(path)).rejects.toThrow(/neither a file nor a folder/);
    server.close();
  });

  it('is never a socket, however quickly somebody puts a link to one in the place of a link to a folder', async () => {
    const [socket, link] = [join(folder, 'inner-socket'), join(folder, 'flips')];
    await using server = createServer().listen(socket);
    await once(server, 'listening');
    const flip = `const { renameSync, symlinkSync } = require('node:fs');
      for (;;) for (const to of ['data', 'inner-socket']) { symlinkSync(to, '${link}.next'); renameSync('${link}.next', '${link}'); }`;
    const attacker = spawn(process.execPath, ['--eval', flip]);
    try {
      await expect.poll(() => existsSync(link)).toBe(true);
      const seen = { folder: 0, refused: 0 };
      for (const end = Date.now() + 5_000; Date.now() < end && (seen.folder < 200 || seen.refused < 200); ) {
        const source = await check(link).then(
          (bind) => bind.source,
          ({ message }: Error) => message,
        );
        if (source === join(folder, 'data')) seen.folder += 1;
        else {
          expect(source).toMatch(/neither a file nor a folder/);
          seen.refused += 1;
        }
      }
      expect(Math.min(seen.folder, seen.refused)).toBeGreaterThan(0);
    } finally {
      attacker.kill('SIGKILL');
      await once(attacker, 'exit');
      rmSync(link, { force: true });
      rmSync(`${link}.next`, { force: true });
    }
  });

  it('may be anything its user can reach when the proxy’s own rights count', async () => {
    expect(await check(join(root, 'private'), { user: undefined })).toMatchObject({
      source: join(root, 'private'),
      isBehindClosedFolder: false,
    });
  });
});

describe('a read-only path', () => {
  const readOnly = (path: string) =>
    checkReadOnlyPath({ what: 'A read-only path of connector x', path, containedIn: folder, user: stranger });

  it('is shown where it is', async () => {
    expect(await readOnly(`${join(folder, 'near')}/`)).toMatchObject({ source: join(folder, 'data'), target: join(folder, 'near') });
  });

  it.each(['/usr', '/', '/app', '/data/x', '/tmp', '/opt', '/opt/bulkhead/bin', '/etc', '/etc/hosts', '/etc/passwd'])(
    'may not cover a place of the sandbox: %s',
    async (path) => {
      await expect(readOnly(path)).rejects.toMatchObject({ code: 'sandbox_unavailable' });
    },
  );
});

it.each([
  ['/a/b', '/a', true],
  ['/a', '/a', true],
  ['/ab', '/a', false],
  ['/a/../b', '/a', false],
  ['/a/..b', '/a', true],
])('isWithin(%s, %s) is %s', (path, outer, expected) => {
  expect(isWithin(path, outer)).toBe(expected);
});

describe('the sandbox user', () => {
  const accounts = join(root, 'passwd');
  writeFileSync(accounts, 'root:x:0:0::/:/bin/sh\nbulkhead:x:997:996::/:/usr/sbin/nologin\n');

  it('is found by name when the proxy is root', () => {
    expect(findSandboxUser('bulkhead', 0, accounts)).toEqual({ name: 'bulkhead', uid: 997, gid: 996 });
  });

  it('is the proxy’s own when it is not', () => {
    expect(findSandboxUser('bulkhead', 1000, accounts)).toBeUndefined();
  });

  it.each([
    ['nobody-here', /useradd --system/],
    ['root', /is root/],
  ])('is refused by name when it is no use: %s', (name, message) => {
    expect(() => findSandboxUser(name, 0, accounts)).toThrow(message);
  });
});
