import type { FaultAt, FaultPath } from '../lib/faults.ts';

/**
 * A connector's environment is readable by all it runs, and shows in crash dumps: a secret belongs in `secrets`. Only names whose last
 * word says so are refused; TOKEN_URL is none.
 */
const secretName =
  /(?:^|_)(?:SECRET|SECRETS|PASSWORD|PASSWD|PASSPHRASE|TOKEN|APIKEY|API_KEY|SECRET_KEY|PRIVATE_KEY|ACCESS_KEY|CREDENTIAL|CREDENTIALS)$/i;

/** They change how the connector's own runtime loads code. Set inside the sandbox, after every helper, so they endanger the connector alone. */
const loaderName =
  /^(?:LD_|DYLD_|GCONV_PATH$|NODE_OPTIONS$|NODE_PATH$|PYTHONPATH$|PYTHONSTARTUP$|PERL5OPT$|PERL5LIB$|RUBYOPT$|RUBYLIB$|JAVA_TOOL_OPTIONS$|BASH_ENV$|ENV$)/;

const proxyName = /^(?:https?|all|no)_proxy$/i;

export function environmentFaults(environment: Readonly<Record<string, string>>, path: FaultPath): readonly FaultAt[] {
  return Object.keys(environment)
    .filter((name) => secretName.test(name))
    .map((name) => ({
      path: [...path, name],
      key: true,
      message: 'looks like a secret by its name',
      repair: `write ${name} under secrets, with { env: … }, { file: … } or { command: … }; the connector finds it in initialize`,
    }));
}

export function environmentWarnings(environment: Readonly<Record<string, string>>, path: FaultPath): readonly FaultAt[] {
  return Object.keys(environment).flatMap((name): readonly FaultAt[] => {
    const at = { path: [...path, name], key: true };
    if (loaderName.test(name))
      return [{ ...at, message: 'changes what code the connector loads', repair: 'remove it unless that is meant' }];
    if (proxyName.test(name))
      return [
        {
          ...at,
          message: 'takes the place of what leads to the egress gateway, for connectors with rules',
          repair: 'remove it unless that is meant',
        },
      ];
    return [];
  });
}
