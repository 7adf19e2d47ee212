import { describe, expect, it } from 'vitest';
import { commonPorts, hostListenersMax, planNetwork } from '../../../src/egress/listener-plan.ts';
import { proxyEnvironment } from '../../../src/egress/proxy-environment.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';

const plan = (...texts: string[]) => planNetwork({ type: 'rules', rules: texts.map(networkRule) });
const portsOf = ({ listeners }: ReturnType<typeof plan>): number[] =>
  listeners.filter(({ role }) => role === 'host').map(({ port }) => port);

describe('planNetwork', () => {
  it('makes a proxy, a responder, and one listener a port whatever the number of hosts', () => {
    expect(plan('a.example:443', 'b.example:443,587', '*.c.example:443')).toEqual({
      listeners: [
        { transport: 'tcp', address: '127.0.0.1', port: 3128, role: 'proxy' },
        { transport: 'udp', address: '127.0.0.1', port: 53, role: 'dns' },
        { transport: 'tcp', address: '0.0.0.0', port: 443, role: 'host' },
        { transport: 'tcp', address: '0.0.0.0', port: 587, role: 'host' },
      ],
      hosts: [
        { address: '127.0.0.2', name: 'a.example' },
        { address: '127.0.0.3', name: 'b.example' },
      ],
      localRoutes: [],
      proxyOnlyPorts: 0,
    });
  });

  it('gives listeners to single ports before ranges, and says how many it left out', () => {
    const { proxyOnlyPorts, ...rest } = plan('a.example:1000-1999', 'b.example:443', 'c.example:10-12');
    const ports = portsOf({ ...rest, proxyOnlyPorts });
    expect(ports.slice(0, 4)).toEqual([443, 10, 11, 12]);
    expect(ports).toHaveLength(hostListenersMax);
    expect(proxyOnlyPorts).toBe(1_004 - hostListenersMax);
  });

  it('shares the proxy port with a rule that has it', () => {
    expect(plan('a.example:3128').listeners).toEqual([
      { transport: 'tcp', address: '0.0.0.0', port: 3128, role: 'proxy' },
      { transport: 'udp', address: '127.0.0.1', port: 53, role: 'dns' },
    ]);
  });

  it('gives no name an address that a rule means literally, and routes literal addresses', () => {
    const { hosts, localRoutes } = plan(
      '127.0.0.2:80',
      '127.0.0.3/32:80',
      'a.example:80',
      '10.1.0.0/16:80',
      '203.0.113.9:80,81',
      '203.0.113.9:90',
      '[2001:db8::1]:80',
    );
    expect(hosts).toEqual([{ address: '127.0.0.4', name: 'a.example' }]);
    expect(localRoutes).toEqual(['10.1.0.0/16', '203.0.113.9']);
  });

  it('counts on after 127.0.0.255', () => {
    const { hosts } = plan(...Array.from({ length: 300 }, (_, index) => `h${index}.example:1`));
    expect(hosts.at(254)?.address).toBe('127.0.1.0');
    expect(new Set(hosts.map(({ address }) => address)).size).toBe(300);
  });

  it('has the common ports where rules name none, and nothing without a gateway', () => {
    expect(portsOf(planNetwork({ type: 'unrestricted' }))).toEqual(commonPorts);
    expect(portsOf(planNetwork({ type: 'observe', rules: [networkRule('a.example:7')] }))).toEqual([7, ...commonPorts]);
    for (const type of ['none', 'unsafe-host'] as const) expect(planNetwork({ type }).listeners).toEqual([]);
  });
});

it('proxy variables come in both cases and name an HTTP proxy', () => {
  const environment = proxyEnvironment('127.0.0.1', 3128);
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'])
    expect(environment[name.toLowerCase()]).toBe(environment[name]);
  expect(environment).toMatchObject({ ALL_PROXY: 'http://127.0.0.1:3128', NODE_USE_ENV_PROXY: '1' });
  expect(environment['JAVA_TOOL_OPTIONS']).toContain('-Dhttps.proxyPort=3128');
});
