import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Discovery, discoveredText, namesBeyond, namesIn, undiscoveredText } from '../../../src/cli/discovered-manifest.ts';

function found(...names: readonly string[]): Discovery {
  const parameters = { type: 'object', additionalProperties: true, properties: { a: { 'x-spiff-type': 'str', 'x-spiff-required': true } } };
  const commands = names.map((name) => ({ name, description: 'From the package', parameters, context: ['task_data'] }));
  return { commands, auths: [] } as unknown as Discovery;
}

const written = `# by hand
name: edge   # the name
run: { packages: [./connector_edge] }
commands:
  - name: A
    description: By hand
    parameters: { type: object, properties: { a: { description: Secret, writeOnly: true, x-spiff-type: any }, gone: {} } }
    context: []
  - { name: Gone }
requests: { secrets: [TOKEN] }
`;

describe('a discovered manifest', () => {
  const text = discoveredText(written, found('A', 'B'));

  it('keeps keys and comments around what was found', () => {
    expect(text).toContain('# by hand\nname: edge # the name\n');
    expect(parse(text)).toMatchObject({ run: { packages: ['./connector_edge'] }, requests: { secrets: ['TOKEN'] } });
  });

  it('keeps what the author said of commands and parameters that are still there', () => {
    const [a, b, ...others] = parse(text).commands;
    expect(others).toEqual([]);
    expect(a).toMatchObject({ name: 'A', description: 'By hand', context: [] });
    expect(a.parameters.properties).toEqual({
      a: { description: 'Secret', writeOnly: true, 'x-spiff-type': 'str', 'x-spiff-required': true },
    });
    expect(b).toMatchObject({ name: 'B', description: 'From the package', context: ['task_data'] });
  });

  it('says nothing of auths where there never were any, and empties a list that was', () => {
    expect(parse(text)).not.toHaveProperty('auths');
    expect(parse(discoveredText(`${written}auths: [{ name: Old }]\n`, found('A'))).auths).toEqual([]);
  });

  it('is the same when nothing changed', () => {
    expect(discoveredText(text, found('A', 'B'))).toBe(text);
  });
});

it('can be checked without what is not discovered yet', () => {
  expect(parse(undiscoveredText(`${written}auths: wrong\n`) ?? '')).toEqual({
    ...parse(written),
    commands: [{ name: 'none' }],
  });
  expect(undiscoveredText('name: [')).toBeUndefined();
  expect(undiscoveredText('- a list')).toBeUndefined();
});

it('knows names of commands in any text', () => {
  expect(namesIn(written, 'commands')).toEqual(['A', 'Gone']);
  expect(namesIn('commands: 7', 'commands')).toEqual([]);
  expect(namesBeyond(['A', 'B', 'B'], ['A'])).toEqual(['B']);
});
