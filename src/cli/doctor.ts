import type { Command } from 'commander';
import { type ControlReport, probeSandbox } from '../runner/doctor.ts';
import { probeEngines } from '../runner/doctor-engine.ts';
import { type ConfigFileOptions, readConfigFile, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { exitCodes } from './io.ts';
import { enginesOf } from './runners.ts';
import type { Terminal } from './terminal.ts';

interface DoctorOptions extends ConfigFileOptions {
  readonly json?: boolean;
}

/** `bulkhead doctor`: what holds on this machine, found by trying to get around it from inside a real sandbox. */
export function addDoctor(program: Command, context: CliContext): void {
  withConfig(program.command('doctor').description('try every protection from inside a real sandbox, and say what holds on this machine'))
    .option('--json', 'print the report as JSON')
    .action(async (options: DoctorOptions) => {
      const config = await readConfigFile(context, options);
      const { environment } = context.io;
      const engines = { addresses: enginesOf(config, environment), sshAgent: environment['SSH_AUTH_SOCK'] };
      const probes = await Promise.all([probeSandbox({ userName: config.server.sandboxUser }), probeEngines(engines)]);
      const reports = probes.flat();
      if (options.json) context.terminal.json({ controls: reports });
      else show(reports, context.terminal);
      const holds = reports.every(({ state, isRequired }) => state === 'enforced' || !isRequired);
      context.finish(holds ? exitCodes.ok : exitCodes.failed);
    });
}

const colours = { enforced: 'green', 'not enforced': 'red', 'not available': 'yellow' } as const;

function show(reports: readonly ControlReport[], terminal: Terminal): void {
  terminal.table(
    reports.map(({ control, state, detail }) => [control, terminal.style(colours[state], state), terminal.style('dim', detail)]),
  );
  for (const { control, repair } of reports) if (repair !== undefined) terminal.line(`${control}: ${repair}`);
}
