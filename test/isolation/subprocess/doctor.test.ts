import { describe, expect, it } from 'vitest';
import { limitReports, probeSandbox, requireControls } from '../../../src/runner/doctor.ts';

describe('the probe', () => {
  it('finds every control enforced here, and says how', async () => {
    const reports = await probeSandbox();
    expect(reports.filter(({ state, isRequired }) => isRequired && state !== 'enforced')).toEqual([]);
    expect(reports.map(({ control }) => control)).toEqual(
      expect.arrayContaining([
        ...[
          'sandbox',
          'metadata service',
          'host loopback',
          'abstract sockets',
          'raw sockets',
          'vsock',
          'write to /usr',
          'write to own code',
        ],
        ...['other connectors’ files', 'machine settings', 'environment of the proxy', 'new user namespaces', 'ptrace', 'capabilities'],
        ...['system call filter', 'size of /tmp', 'number of processes', 'memory', 'network rules', 'limit of memory', 'limit of cpu'],
      ]),
    );
    expect(() => requireControls(reports)).not.toThrow();
  });

  it('tells a soft limit as what it is', async () => {
    const reports = await probeSandbox({ limits: 'watchdog' });
    expect(reports).toContainEqual(
      expect.objectContaining({ control: 'limit of memory', detail: 'soft (watchdog)', repair: expect.stringContaining('Delegate=yes') }),
    );
    expect(reports).toContainEqual(expect.objectContaining({ control: 'limit of cpu', state: 'not available', isRequired: false }));
    expect(reports).toContainEqual(expect.objectContaining({ control: 'memory', state: 'enforced' }));
  });

  it('tells a limit of memory that leaves out swap', () => {
    expect(limitReports({ memory: 'hard (cgroup), swap not counted' })).toEqual([
      {
        ...{ control: 'limit of memory', state: 'enforced', detail: 'hard (cgroup), swap not counted', isRequired: false },
        repair: expect.stringContaining('swapaccount=1'),
      },
    ]);
  });

  it.runIf(process.getuid?.() === 0)('reports a machine without the sandbox user, and refuses to serve', async () => {
    const reports = await probeSandbox({ userName: 'no-such-user' });
    expect(reports).toMatchObject([{ control: 'sandbox', state: 'not available', detail: expect.stringContaining('useradd') }]);
    expect(() => requireControls(reports)).toThrow(expect.objectContaining({ code: 'sandbox_unavailable' }));
  });
});
