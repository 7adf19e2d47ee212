import { describe, expect, it } from 'vitest';
import { faultText } from '../../../src/lib/faults.ts';
import { manifestLimits } from '../../../src/manifest/manifest.ts';
import { readManifest } from '../../../src/manifest/read-manifest.ts';

const valid = `name: smtp
version: 1.2.0
description: Send mail
run: { command: [node, main.ts] }
commands:
  - name: SendEmail
    parameters:
      type: object
      required: [smtp_host]
      properties: { smtp_host: { type: string }, smtp_password: { type: string, writeOnly: true } }
    context: [task_id]
requests:
  network: ["smtp.example.com:587"]
  secrets: [SMTP_PASSWORD]
`;

function faultsOf(text: string): readonly string[] {
  const result = readManifest({ text, file: 'connector.yaml' });
  return result.ok ? expect.fail('accepted') : result.faults.map(faultText);
}

const edit = (from: string, to: string): string => {
  expect(valid).toContain(from);
  return valid.replace(from, to);
};

describe('readManifest', () => {
  it('reads a manifest, with defaults, rules parsed and parameters compiled', () => {
    const result = readManifest({ text: valid, file: 'connector.yaml' });
    if (!result.ok) expect.fail(result.faults.map(faultText).join('\n'));
    const { manifest, checks } = result;
    expect(manifest).toMatchObject({
      name: 'smtp',
      protocol: 'bulkhead/1',
      run: { command: ['node', 'main.ts'], environment: {} },
      commands: [{ name: 'SendEmail', description: '', context: ['task_id'] }],
      requests: { network: [{ text: 'smtp.example.com:587' }], secrets: ['SMTP_PASSWORD'] },
    });
    expect(
      checks.get(manifest.commands[0]?.name ?? expect.fail())?.check(
        [],
        () => 'null',
        () => ({}),
      ),
    ).toEqual(['parameter "smtp_host" is missing']);
  });

  it('reads the same as JSON, as an image label has it', () => {
    const text = JSON.stringify({ name: 'a', commands: [{ name: 'B' }] });
    expect(readManifest({ text, file: 'label' })).toMatchObject({
      ok: true,
      manifest: { name: 'a', version: '0.0.0', commands: [{ parameters: { type: 'object' } }] },
    });
  });

  it.each([
    ['an unknown key', 'name: smtp\n', 'nmae: smtp\n', 'connector.yaml:1:1: nmae: is not known here; did you mean name?'],
    ['a missing key', 'name: smtp\n', '', 'connector.yaml:1:1: name: is missing; add name'],
    ['a bad name', 'name: smtp\n', 'name: Smtp\n', 'connector.yaml:1:7: name: is not a connector name; write 1 to 64'],
    ['a number as version', 'version: 1.2.0', 'version: 1.2', 'connector.yaml:2:10: version: is not text; write text, in quotes'],
    ['an unknown dialect', 'description: Send mail', 'protocol: grpc', 'connector.yaml:3:11: protocol: is not one of bulkhead/1, oneshot'],
    ['a command line that is text', '[node, main.ts]', '"node main.ts"', 'connector.yaml:4:17: run.command: is not a list; write [a, b]'],
    ['an empty command line', '[node, main.ts]', '[]', 'connector.yaml:4:8: run.command: is empty; write the program'],
    ['a bad command name', 'SendEmail', '9Send', 'connector.yaml:6:11: commands[0].name: is not a command name; write 1 to 128'],
    [
      'an unknown key of a command',
      '    context:',
      '    contxt:',
      'connector.yaml:11:5: commands[0].contxt: is not known here; did you mean context?',
    ],
    ['unknown engine data', '[task_id]', '[task]', 'connector.yaml:11:15: commands[0].context[0]: is not one of task_data'],
    [
      'a schema of the wrong type',
      'type: object',
      'type: array',
      'connector.yaml:8:13: commands[0].parameters.type: is not of type object',
    ],
    [
      'a misspelt keyword',
      'required:',
      'requird:',
      'connector.yaml:9:7: commands[0].parameters.requird: is not a keyword of JSON Schema; did you mean required?',
    ],
    ['a doubtful rule', 'smtp.example.com:587', '*:587', 'connector.yaml:13:13: requests.network[0]: matches every host; name the hosts'],
    [
      'a rule without a port',
      'smtp.example.com:587',
      'smtp.example.com',
      'connector.yaml:13:13: requests.network[0]: names no port; add one, e.g. smtp.example.com:443',
    ],
    ['a bad secret name', '[SMTP_PASSWORD]', '[SMTP-PASSWORD]', 'connector.yaml:14:13: requests.secrets[0]: is not a name; write 1 to 128'],
    ['a secret twice', '[SMTP_PASSWORD]', '[A, A]', 'connector.yaml:14:16: requests.secrets[1]: is there twice; keep one'],
    ['a key twice', 'version: 1.2.0', 'name: smtp', 'connector.yaml:2:1: has this key twice; keep one of them'],
    [
      'a command twice',
      '    context: [task_id]\n',
      '  - name: SendEmail\n',
      'connector.yaml:11:11: commands[1].name: is there twice; keep one',
    ],
  ])('refuses %s', (_, from, to, fault) => {
    expect(faultsOf(edit(from, to)).filter((text) => text.startsWith(fault))).toHaveLength(1);
  });

  it.each([
    ['bytes of the file', `${valid}# ${'x'.repeat(manifestLimits.fileBytesMax)}`, /larger than 262144 bytes/],
    [
      'commands',
      `name: a\ncommands: [${Array.from({ length: manifestLimits.commandsMax + 1 }, (_, index) => `{ name: C${index} }`).join(', ')}]`,
      /more than 512 entries/,
    ],
    ['no commands', 'name: a\ncommands: []', /is empty; describe at least one command/],
    [
      'a description',
      `name: a\ndescription: ${'x'.repeat(manifestLimits.descriptionCharsMax + 1)}\ncommands: [{ name: B }]`,
      /longer than 4096 characters/,
    ],
    [
      'arguments',
      `name: a\nrun: { command: [${new Array(manifestLimits.argumentsMax + 1).fill('x').join(', ')}] }\ncommands: [{ name: B }]`,
      /more than 64 entries/,
    ],
    [
      'requests',
      `name: a\nrequests: { secrets: [${new Array(manifestLimits.secretRequestsMax + 1).fill('x').join(', ')}] }\ncommands: [{ name: B }]`,
      /more than 64 entries/,
    ],
    [
      'nesting',
      `name: a\ncommands: [{ name: B, parameters: ${'['.repeat(manifestLimits.depthMax)}${']'.repeat(manifestLimits.depthMax)} }]`,
      /nests deeper than 48/,
    ],
  ])('bounds %s', (_, text, fault) => expect(faultsOf(text).join('\n')).toMatch(fault));

  it.each(['', '- a', 'text', '42', 'null'])('refuses %j, which is no manifest', (text) =>
    expect(faultsOf(text)[0]).toMatch(/is not a mapping|is missing/),
  );

  it('tells all faults at once, in the order of lines', () => {
    const faults = faultsOf(
      edit('name: smtp', 'nmae: smtp')
        .replace('SendEmail', '9')
        .replace('type: object', 'type: x')
        .replace('[task_id]', '[x]')
        .replace(':587', ''),
    );
    expect(faults.map((fault) => fault.split(':')[1])).toEqual(['1', '1', '6', '8', '8', '11', '13']);
  });

  it('never shows a value that it found', () => {
    expect(faultsOf(edit('name: smtp', 'name: HUNTER2-SECRET').replace('1.2.0', '[HUNTER2-SECRET]')).join()).not.toContain('HUNTER2');
  });
});
