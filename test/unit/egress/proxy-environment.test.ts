import { expect, it } from 'vitest';
import { proxyEnvironment, withOwnEnvironment } from '../../../src/egress/proxy-environment.ts';

const proxy = proxyEnvironment('127.0.0.1', 3128);

it('lets the deployer replace a variable', () => {
  expect(withOwnEnvironment(proxy, { HTTP_PROXY: 'http://other:1', A: 'b' })).toEqual({ ...proxy, HTTP_PROXY: 'http://other:1', A: 'b' });
});

it('joins options of JVMs, the deployer’s last', () => {
  const { JAVA_TOOL_OPTIONS: options } = withOwnEnvironment(proxy, { JAVA_TOOL_OPTIONS: '-Xmx96m -Dhttp.proxyPort=1' });
  expect(options).toBe(`${proxy['JAVA_TOOL_OPTIONS']} -Xmx96m -Dhttp.proxyPort=1`);
});

it.each([
  [proxy, {}, proxy['JAVA_TOOL_OPTIONS']],
  [{}, { JAVA_TOOL_OPTIONS: '-Xmx96m' }, '-Xmx96m'],
  [{}, {}, undefined],
])('leaves them alone where only one side has any', (given, own, expected) => {
  expect(withOwnEnvironment(given, own as Record<string, string>)['JAVA_TOOL_OPTIONS']).toBe(expected);
});
