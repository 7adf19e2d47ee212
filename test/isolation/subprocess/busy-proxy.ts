/** A stand-in for the proxy: keeps 20 connectors busy, tells the numbers of their first processes, of the bwrap that waits, and of what spawned it, and closes on SIGTERM. */
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { startHostile } from './hostile-folder.ts';
import { spawnersOf, waitForSpares } from './waiting-bwraps.ts';

const [, , folder = '', limits = 'cgroup'] = process.argv;
const runner = createSubprocessRunner({ limits: limits === 'watchdog' ? 'watchdog' : 'cgroup' });
const hostiles = await Promise.all(Array.from({ length: 20 }, () => startHostile({ runner, folder })));
for (const hostile of hostiles) {
  await hostile.attack('stubborn');
  hostile.attack('spin', { seconds: 600 }).catch(() => {});
}
process.once('SIGTERM', () => void runner.close().then(() => process.exit(0)));
const spares = [...(await waitForSpares()), ...spawnersOf()];
const pids = hostiles.map(({ process: { label } }) => Number(label.split(' ')[1]));
process.stdout.write(`${JSON.stringify({ pids, spares })}\n`);
