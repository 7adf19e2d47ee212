import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { registryCredentials, registryNames } from '../../../src/runner/image-credentials.ts';
import { formatLock, lockedImageOf, lockFault, parseLock, repositoryOf } from '../../../src/runner/image-lock.ts';
import { nameWithTag } from '../../../src/runner/image-pull.ts';
import { startStandIn } from '../../helpers/stand-in-engine.ts';

test.each([
  ['smtp', 'smtp:latest'],
  ['ghcr.io/acme/smtp', 'ghcr.io/acme/smtp:latest'],
  ['localhost:5000/smtp', 'localhost:5000/smtp:latest'],
  ['localhost:5000/smtp:1', 'localhost:5000/smtp:1'],
  ['smtp@sha256:abc', 'smtp@sha256:abc'],
])('%s is pulled as %s: without a tag every tag would be', (image, expected) => {
  expect(nameWithTag(image)).toBe(expected);
});

test.each([
  ['ghcr.io/acme/smtp:1@sha256:abc', 'ghcr.io/acme/smtp'],
  ['localhost:5000/smtp', 'localhost:5000/smtp'],
  ['smtp:1', 'smtp'],
])('the repository of %s is %s', (image, expected) => {
  expect(repositoryOf(image)).toBe(expected);
});

test.each([
  ['smtp', 'docker.io'],
  ['acme/smtp:1', 'docker.io'],
  ['docker.io/acme/smtp', 'docker.io'],
  ['ghcr.io/acme/smtp', 'ghcr.io'],
  ['localhost/smtp', 'localhost'],
  ['registry:5000/smtp', 'registry:5000'],
])('the registry of %s is %s', (image, expected) => {
  expect(registryNames(image)[0]).toBe(expected);
});

describe('a lock', () => {
  const image = 'ghcr.io/acme/smtp:1';
  const found = { id: 'sha256:1', digests: ['other/name@sha256:d', 'ghcr.io/acme/smtp@sha256:d'] };

  test('holds the digest by which every engine knows an image, and the id', () => {
    expect(lockedImageOf(image, found)).toEqual({ digest: 'ghcr.io/acme/smtp@sha256:d', id: 'sha256:1' });
    expect(lockedImageOf('built:here', { id: 'sha256:1', digests: [] })).toEqual({ id: 'sha256:1' });
  });

  test('is the same text for the same images, and reads back', () => {
    const text = formatLock({ b: { id: '2' }, a: { id: '1' } });
    expect(text).toBe(formatLock({ a: { id: '1' }, b: { id: '2' } }));
    expect(parseLock(text)).toEqual({ version: 1, images: { a: { id: '1' }, b: { id: '2' } } });
  });

  test.each([
    ['the same id', { id: 'sha256:1', digests: [] }, undefined],
    ['the same digest under another id', { id: 'sha256:9', digests: ['mirror/smtp@sha256:d'] }, undefined],
    [
      'neither',
      { id: 'sha256:9', digests: ['ghcr.io/acme/smtp@sha256:e'] },
      'is ghcr.io/acme/smtp@sha256:e, but ghcr.io/acme/smtp@sha256:d is locked',
    ],
  ])('judges %s', (_, candidate, fault) => {
    const lock = { version: 1 as const, images: { [image]: lockedImageOf(image, found) } };
    const got = lockFault(lock, image, candidate);
    expect(fault === undefined ? got : got?.startsWith(fault)).toBe(fault === undefined ? undefined : true);
  });

  test('refuses an image that it does not hold', () => {
    expect(lockFault({ version: 1, images: {} }, image, found)).toContain('bulkhead lock');
  });
});

describe('credentials', () => {
  let folder = '';
  const path = process.env['PATH'];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    const helper = `#!/bin/sh\nread registry\ncase $registry in helped.example) echo '{"Username":"u","Secret":"s"}' ;; token.example) echo '{"Username":"<token>","Secret":"t"}' ;; broken.example) echo leaked-secret; exit 1 ;; chatty.example) echo '{"Username":"u","Secret":leaked-secret' ;; bare.example) echo '"leaked-secret"' ;; *) echo credentials not found in native keychain; exit 1 ;; esac\n`;
    await writeFile(join(folder, 'docker-credential-test'), helper);
    await chmod(join(folder, 'docker-credential-test'), 0o755);
    process.env['PATH'] = `${folder}:${path}`;
    const helpers = {
      'helped.example': 'test',
      'token.example': 'test',
      'broken.example': 'test',
      'chatty.example': 'test',
      'bare.example': 'test',
      'unknown.example': 'test',
      'odd.example': '../evil',
    };
    const auths = {
      'plain.example': { auth: Buffer.from('user:pass:word').toString('base64') },
      'https://index.docker.io/v1/': { identitytoken: 'hub' },
    };
    await writeFile(join(folder, 'config.json'), JSON.stringify({ auths, credHelpers: helpers }));
  });

  afterAll(async () => {
    process.env['PATH'] = path;
    await rm(folder, { recursive: true, force: true });
  });

  test.each([
    ['plain.example/a', { username: 'user', password: 'pass:word', serveraddress: 'plain.example' }],
    ['acme/a', { identitytoken: 'hub', serveraddress: 'https://index.docker.io/v1/' }],
    ['helped.example/a', { username: 'u', password: 's', serveraddress: 'helped.example' }],
    ['token.example/a', { identitytoken: 't', serveraddress: 'token.example' }],
    ['unknown.example/a', undefined],
    ['nothing.example/a', undefined],
  ])('of %s', async (image, expected) => {
    expect(await registryCredentials(image, folder)).toEqual(expected);
  });

  test('a helper that fails is named, and nothing that it printed', async () => {
    const failure = registryCredentials('broken.example/a', folder);
    await expect(failure).rejects.toMatchObject({ code: 'image_unavailable', message: expect.stringContaining('docker-credential-test') });
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining('leaked') });
  });

  test.each(['chatty.example', 'bare.example'])(
    'an answer of a helper that is not what was asked for is not quoted (%s)',
    async (registry) => {
      const failure = registryCredentials(`${registry}/a`, folder);
      await expect(failure).rejects.toMatchObject({
        code: 'image_unavailable',
        message: expect.stringContaining('docker-credential-test'),
      });
      const error = await failure.catch((thrown: unknown) => thrown);
      expect(inspect(error, { depth: 5 })).not.toContain('leaked');
    },
  );

  test('a helper’s name is no path', async () => {
    await expect(registryCredentials('odd.example/a', folder)).rejects.toMatchObject({ code: 'image_unavailable' });
  });

  test('no config file is no credentials', async () => {
    expect(await registryCredentials('plain.example/a', join(folder, 'nowhere'))).toBeUndefined();
  });
});

describe('an engine’s address', () => {
  test.each(['http://x', 'unix://relative', 'docker.sock', 'tcp://engine.example:2375', 'tcp://10.0.0.1:2375', ''])(
    '%s is refused at load',
    (address) => {
      expect(() => connectEngine(address)).toThrow(expect.objectContaining({ code: 'invalid_config' }));
    },
  );

  test('a missing certificate is named', () => {
    expect(() => connectEngine('tcp://engine.example:2376?certs=/nowhere')).toThrow(/\/nowhere\/ca\.pem/);
  });

  test.each([
    ['unix:///run/podman/podman.sock', { socketPath: '/run/podman/podman.sock', host: undefined }],
    ['tcp://127.0.0.1:2375', { host: '127.0.0.1', port: 2375, protocol: 'http' }],
    ['ssh://ops@engine.example', { host: 'engine.example', port: 22, protocol: 'http', agent: expect.any(Agent) }],
  ])('%s is taken, whatever DOCKER_HOST says', (address, expected) => {
    process.env['DOCKER_HOST'] = 'tcp://elsewhere:1';
    try {
      expect(connectEngine(address).docker.modem).toMatchObject(expected);
    } finally {
      delete process.env['DOCKER_HOST'];
    }
  });

  test.each([
    { DOCKER_HOST: 'tcp://elsewhere:2376' },
    { DOCKER_HOST: 'tcp://elsewhere:1', DOCKER_TLS_VERIFY: '1' },
    { DOCKER_HOST: 'tcp://elsewhere:1', DOCKER_CERT_PATH: '/nowhere' },
    { DOCKER_HOST: 'tcp://elsewhere:1', DOCKER_CLIENT_TIMEOUT: '1', DOCKER_PATH_PREFIX: '/prefix' },
    { DOCKER_HOST: 'ssh://somebody@elsewhere', SSH_AUTH_SOCK: '/nowhere/agent' },
    { DOCKER_HOST: 'http://[' },
    { DOCKER_HOST: 'unix:///elsewhere.sock' },
  ])('is all that counts, with %j', async (variables) => {
    const paths: (string | undefined)[] = [];
    await using standIn = await startStandIn(({ url }, response) => {
      paths.push(url);
      response.setHeader('content-type', 'application/json').end('{}');
    });
    const kept = { ...process.env };
    Object.assign(process.env, variables);
    try {
      const engine = connectEngine(standIn.address);
      expect(process.env).toMatchObject(variables);
      await engine.request({ what: 'asking', run: (docker) => docker.info() });
      expect(paths).toEqual(['/info']);
      expect(connectEngine('tcp://127.0.0.1:2375').docker.modem).toMatchObject({
        ...{ protocol: 'http', port: 2375, pathPrefix: undefined, timeout: undefined, ca: undefined },
      });
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name];
      Object.assign(process.env, kept);
    }
  });

  test('nobody there is named, with the address', async () => {
    await expect(connectEngine('unix:///nowhere/docker.sock').facts()).rejects.toMatchObject({
      code: 'engine_unavailable',
      message: expect.stringContaining('unix:///nowhere/docker.sock'),
    });
  });
});
