import { describe, expect, test } from 'vitest';
import { commandPath, queryOf, requestPath } from '../../../src/http/request-path.ts';

describe('requestPath', () => {
  test.each([
    ['/v1/commands', '/v1/commands'],
    ['/v1/commands?x=1', '/v1/commands'],
    ['//v1/commands', '/v1/commands'],
    ['///v1/commands', '/v1/commands'],
    ['/v1/comm%61nds', '/v1/commands'],
    ['/v1/do/example%2FCombineStrings', '/v1/do/example/CombineStrings'],
    ['%2F/v1/commands', '%2F/v1/commands'.slice(3)],
    ['/v1/%zz', '/v1/%zz'],
    ['/v1/%ff', '/v1/%ff'],
    ['/v1/commands/', '/v1/commands/'],
    ['http://host:1/v1/commands', '/v1/commands'],
    ['*', '*'],
  ])('%s is %s', (target, path) => {
    expect(requestPath(target)).toEqual({ path });
  });

  test('inner repeated slashes are told with the path that was meant', () => {
    expect(requestPath('/v1//do/%2Fx//y?q')).toEqual({ path: '/v1//do//x//y', merged: '/v1/do/x/y' });
  });

  test('the query stays with its question mark', () => {
    expect(queryOf('/a?b=1&c')).toBe('?b=1&c');
    expect(queryOf('/a')).toBe('');
  });
});

describe('commandPath', () => {
  test('takes exactly two segments', () => {
    expect(commandPath('/v1/do/http/GetRequest')).toEqual({ connector: 'http', command: 'GetRequest' });
  });

  test.each(['/v1/do/', '/v1/do/http', '/v1/do/http/', '/v1/do//GetRequest', '/v1/do/http/GetRequest/', '/v1/do/http/a/b', '/v2/do/a/b'])(
    '%s names no command',
    (path) => {
      expect(commandPath(path)).toBeUndefined();
    },
  );
});
