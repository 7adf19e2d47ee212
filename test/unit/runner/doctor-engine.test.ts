import { describe, expect, test } from 'vitest';
import type { EngineFacts } from '../../../src/runner/docker-engine.ts';
import { requireControls } from '../../../src/runner/doctor.ts';
import { engineReports, probeEngines } from '../../../src/runner/doctor-engine.ts';

const facts: EngineFacts = {
  ...{ product: 'docker', version: '28.1.0', architecture: 'x64', cgroup: 'v2, systemd' },
  ...{ hasSeccomp: true, hasSelinux: false, isRootless: true, mapsUsers: true, sharesKernel: true },
  limits: { memory: true, swap: true, pids: true, cpu: true },
};
const address = 'unix:///run/engine.sock';
const reportOf = (changes: Partial<EngineFacts>, control: string) =>
  engineReports(address, { ...facts, ...changes }).find((report) => report.control === control);

describe('what an engine is worth', () => {
  test('one that has everything holds every promise, and says what it is', () => {
    const reports = engineReports(address, facts);
    expect(reports.map(({ state }) => state)).toEqual(Array.from(reports, () => 'enforced'));
    expect(reports[0]?.detail).toBe(`${address}: docker 28.1.0 without root, x64, cgroups v2, systemd`);
    expect(() => requireControls(reports)).not.toThrow();
  });

  test.each(['memory', 'pids', 'cpu'] as const)('one that cannot limit %s breaks a promise', (name) => {
    const report = reportOf({ limits: { ...facts.limits, [name]: false } }, `engine limit of ${name}`);
    expect(report).toMatchObject({ state: 'not enforced', isRequired: true, repair: expect.stringContaining(name) });
    expect(() => requireControls(report === undefined ? [] : [report])).toThrow(`engine limit of ${name} not enforced`);
  });

  test('one without root on cgroups v1 is told to have either', () => {
    const limits = { memory: false, swap: false, pids: false, cpu: false };
    const report = reportOf({ limits, cgroup: 'v1, cgroupfs' }, 'engine limit of memory');
    expect(report).toMatchObject({ state: 'not enforced', repair: 'run the engine as root, or boot with cgroups v2' });
  });

  test('one without accounting of swap is told, not refused', () => {
    expect(reportOf({ limits: { ...facts.limits, swap: false } }, 'engine limit of swap')).toMatchObject({
      state: 'not enforced',
      isRequired: false,
    });
  });

  test.each([
    [{ hasSeccomp: false }, 'not enforced', 'has no seccomp'],
    [{ architecture: 's390x' }, 'not enforced', 'runs s390x, for which there is no filter'],
    [{ version: '20.10.24' }, 'enforced', 'Bulkhead’s own profile'],
    [{ product: 'podman', version: '5.0.0' }, 'enforced', 'Bulkhead’s own profile'],
    [{ version: '23.0.1' }, 'enforced', 'Bulkhead’s own profile'],
  ] as const)('seccomp of %j is %s', (changes, state, detail) => {
    expect(reportOf(changes, 'engine seccomp')).toMatchObject({ state, detail: expect.stringContaining(detail), isRequired: true });
  });

  test('one that is away is told, and does not keep the others’ connectors from being served', async () => {
    const reports = await probeEngines({ addresses: ['unix:///no/such/engine.sock', 'unix:///no/such/engine.sock'] });
    expect(reports).toMatchObject([{ control: 'engine', state: 'not available', detail: expect.stringContaining('/no/such/engine.sock') }]);
    expect(() => requireControls(reports)).not.toThrow();
  });
});
