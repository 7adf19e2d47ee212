import { Argument, type Command } from 'commander';
import type { CliContext } from './context.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** `bulkhead completion SHELL` prints a script; it asks `bulkhead list --ids` for command ids, so they are always current. */
export function addCompletion(program: Command, { terminal }: CliContext): void {
  program
    .command('completion')
    .description('print a completion script, e.g. `source <(bulkhead completion bash)`')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .action((shell: Shell) => terminal.line(scripts[shell](subcommandsOf(program))));
}

interface Subcommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
}

function subcommandsOf(program: Command): Subcommand[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: ['--help', ...command.options.map((option) => option.long).filter((long) => long !== undefined && long !== null)],
  }));
}

const scripts: Record<Shell, (subcommands: readonly Subcommand[]) => string> = { bash, zsh, fish };

function bash(subcommands: readonly Subcommand[]): string {
  const cases = subcommands.map(({ name, options }) => `    ${name}) words="${options.join(' ')}" ;;`).join('\n');
  return `_bulkhead() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${subcommands.map(({ name }) => name).join(' ')} --help --version" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases}
  esac
  if [ "\${COMP_WORDS[1]}" = call ] && [ "$COMP_CWORD" -eq 2 ]; then words="$words $(bulkhead list --ids 2>/dev/null)"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in --config|--json-file) COMPREPLY=($(compgen -f -- "$current")) ;; esac
}
complete -F _bulkhead bulkhead`;
}

function zsh(subcommands: readonly Subcommand[]): string {
  return `autoload -U +X bashcompinit && bashcompinit\n${bash(subcommands)}`;
}

function fish(subcommands: readonly Subcommand[]): string {
  const lines = ['complete -c bulkhead -f'];
  for (const { name, description, options } of subcommands) {
    lines.push(`complete -c bulkhead -n __fish_use_subcommand -a ${name} -d '${description.replaceAll("'", "\\'")}'`);
    for (const option of options) lines.push(`complete -c bulkhead -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`);
  }
  lines.push("complete -c bulkhead -n '__fish_seen_subcommand_from call' -a '(bulkhead list --ids 2>/dev/null)'");
  return lines.join('\n');
}
