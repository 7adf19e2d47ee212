import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SeenType, seenType } from '../../../src/lib/json-scan.ts';
import type { JsonSchema } from '../../../src/manifest/manifest.ts';
import { compileParameters, describeParameters, type ParameterCheck } from '../../../src/manifest/parameters.ts';

function compile(parameters: JsonSchema): ParameterCheck {
  const compiled = compileParameters({ parameters });
  if (!compiled.ok) expect.fail(JSON.stringify(compiled.faults));
  return compiled.check;
}

function faultsOf(parameters: JsonSchema, input: object): readonly string[] {
  return compile(parameters).check(Object.keys(input), typesOf(Object.values(input)), () => input);
}

function typesOf(values: readonly unknown[]): (index: number) => SeenType {
  return (index) => {
    const text = JSON.stringify(values[index]);
    return seenType(text, { valueStart: 0, valueEnd: text.length });
  };
}

const ofProperties = (properties: Record<string, unknown>, more: Record<string, unknown> = {}): JsonSchema => ({
  type: 'object',
  properties,
  ...more,
});

describe('what modelers see', () => {
  it.each([
    [{ type: 'string' }, 'str'],
    [{ type: 'integer' }, 'int'],
    [{ type: 'boolean' }, 'bool'],
    [{ type: ['string', 'null'] }, 'str'],
    [{ anyOf: [{ type: 'integer' }, { type: 'null' }] }, 'int'],
    [{ oneOf: [{ type: 'null' }, { type: 'boolean' }] }, 'bool'],
    [{ type: 'number' }, 'any'],
    [{ type: 'object' }, 'any'],
    [{ type: 'array', items: { type: 'string' } }, 'any'],
    [{ type: ['string', 'integer'] }, 'any'],
    [{ anyOf: [{ type: 'string' }, { type: 'object' }] }, 'any'],
    [{ type: 'null' }, 'any'],
    [{}, 'any'],
    [true, 'any'],
    [{ 'x-spiff-type': 'str' }, 'str'],
    [{ type: 'array', 'x-spiff-type': 'int' }, 'int'],
  ])('%j is shown as %s', (schema, type) => {
    expect(describeParameters({ parameters: ofProperties({ a: schema }) })).toEqual([{ id: 'a', type, required: false }]);
  });

  it.each([
    [{ $ref: '#/$defs/name' }, 'str'],
    [{ $ref: '#/$defs/other' }, 'str'],
    [{ $ref: '#/$defs/name', type: 'integer' }, 'int'],
    [{ anyOf: [{ $ref: '#/$defs/name' }, { type: 'null' }] }, 'str'],
    [{ $ref: '#/$defs/anything' }, 'any'],
  ])('%j is shown as what it refers to, %s', (schema, type) => {
    const $defs = { name: { type: 'string' }, other: { $ref: '#/$defs/name' }, anything: true };
    expect(describeParameters({ parameters: ofProperties({ a: schema }, { $defs }) })).toEqual([{ id: 'a', type, required: false }]);
  });

  it('keeps the order of properties, and lets x-spiff-required say otherwise', () => {
    const properties = {
      url: { 'x-spiff-type': 'str' },
      headers: { 'x-spiff-required': false },
      data: { 'x-spiff-required': true },
      a: {},
    };
    expect(describeParameters({ parameters: ofProperties(properties, { required: ['headers', 'url'] }) })).toEqual([
      { id: 'url', type: 'str', required: true },
      { id: 'headers', type: 'any', required: false },
      { id: 'data', type: 'any', required: true },
      { id: 'a', type: 'any', required: false },
    ]);
  });

  it('shows nothing for a command without parameters', () => {
    expect(describeParameters({ parameters: { type: 'object' } })).toEqual([]);
  });
});

describe('compileParameters', () => {
  it('refuses a schema that requires what it does not know', () => {
    const compiled = compileParameters({ parameters: { type: 'object', required: ['a', 'b'], properties: { a: {} } } }, ['p']);
    expect(compiled).toMatchObject({ ok: false, faults: [{ path: ['p', 'required', 1], message: 'is no parameter' }] });
    expect(compileParameters({ parameters: { type: 'object', required: ['b'], additionalProperties: true } }).ok).toBe(true);
  });
});

describe('names', () => {
  const schema = ofProperties({ smtp_host: { type: 'string' }, email_to: {} }, { required: ['smtp_host', 'email_to'] });

  it('are checked without parsing when the schema says nothing more of those that are there', () => {
    const check = compile(
      ofProperties({ a: {}, b: { description: 'x', 'x-spiff-type': 'str' }, c: { type: 'integer' } }, { required: ['a'] }),
    );
    const [typeAt, parse] = [() => expect.fail('looked at'), () => expect.fail('parsed')];
    expect(check.check(['a', 'b'], typeAt, parse)).toEqual([]);
    expect(check.check(['b', 'd'], typeAt, parse)).toEqual(['parameter "a" is missing', 'parameter "d" is unknown']);
  });

  it('that are missing or unknown are all told, with a suggestion', () => {
    expect(faultsOf(schema, { smtp_hots: 'x' })).toEqual([
      'parameter "smtp_host" is missing',
      'parameter "email_to" is missing',
      'parameter "smtp_hots" is unknown; did you mean "smtp_host"?',
    ]);
  });

  it('that are unknown are shown short, and not without end', () => {
    const input = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${'x'.repeat(100_000)}${index}`, 1]));
    const faults = faultsOf(ofProperties({}), input);
    expect(faults).toHaveLength(21);
    expect(faults.at(-1)).toBe('80 more parameters are unknown');
    expect(faults.join('').length).toBeLessThan(3000);
  });

  it.each([1, 8, 9, 30])('are found among %d, whatever their number', (count) => {
    const properties = Object.fromEntries(Array.from({ length: count }, (_, at) => [`p${at}`, { type: 'integer' }]));
    const schema = ofProperties(properties, { required: Object.keys(properties) });
    const { [`p${count - 1}`]: last, ...others } = Object.fromEntries(Object.keys(properties).map((name, at) => [name, at]));
    expect(faultsOf(schema, { ...others, [`p${count - 1}`]: last })).toEqual([]);
    expect(faultsOf(schema, others)).toEqual([`parameter "p${count - 1}" is missing`]);
    expect(faultsOf(schema, { ...others, [`p${count - 1}`]: 'text' })[0]).toContain(`parameter "p${count - 1}"`);
    expect(faultsOf(schema, { ...others, [`p${count - 1}`]: last, px: 1 })).toEqual([expect.stringContaining('"px" is unknown')]);
  });

  it('are no members of Object', () => {
    expect(faultsOf(ofProperties({}), { constructor: 1, toString: 1 })).toEqual([
      'parameter "constructor" is unknown',
      'parameter "toString" is unknown',
    ]);
    expect(faultsOf(ofProperties({ constructor: { type: 'string' } }), {})).toEqual([]);
  });

  it.each([
    [{ additionalProperties: true }, { z: 1 }, []],
    [{ additionalProperties: { type: 'string' } }, { z: 1 }, ['parameter "z" is not of type string']],
    [{ additionalProperties: false }, { z: 1 }, ['parameter "z" is unknown']],
    [{ patternProperties: { '^x_': { type: 'integer' } } }, { x_a: 'no', y: 1 }, ['parameter "y" is unknown']],
    [{ patternProperties: { '^x_': { type: 'integer' } } }, { x_a: 'no' }, ['parameter "x_a" is not of type integer']],
  ])('with %j', (more, input, faults) => expect(faultsOf(ofProperties({}, more), input)).toEqual(faults));
});

describe('values', () => {
  const secret = 'hunter2-hunter2';

  it('are not parsed where their type is all that the schema asks for', () => {
    const check = compile(
      ofProperties(
        { a: { type: 'string', description: 'x' }, b: { type: ['object', 'null'] }, c: { type: 'number' }, d: { type: 'integer' } },
        { patternProperties: { '^x_': { type: 'array' } }, additionalProperties: { type: 'boolean' } },
      ),
    );
    const values = { a: '', b: null, c: 1, d: -12, x_y: [], z: false };
    expect(check.check(Object.keys(values), typesOf(Object.values(values)), () => expect.fail('parsed'))).toEqual([]);
  });

  it('are judged alike whether parsed or not', () => {
    const types = fc.subarray(['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'], { minLength: 1 });
    fc.assert(
      fc.property(types, fc.jsonValue(), fc.constantFrom({}, { minimum: 1 }, { maxLength: 3 }), (type, a, more) => {
        const check = compile(ofProperties({ a: { type, ...more } }));
        const parsed = check.check(
          ['a'],
          () => 'none' as SeenType,
          () => ({ a }),
        );
        expect(check.check(['a'], typesOf([a]), () => ({ a }))).toEqual(parsed);
      }),
    );
  });

  it.each([
    [{ type: 'string' }, 5, 'is not of type string'],
    [{ type: ['integer', 'null'] }, secret, 'is not of type integer or null'],
    [{ type: 'integer' }, 1.5, 'is not of type integer'],
    [{ minimum: 1 }, 0, 'does not meet "minimum" 1 of the schema'],
    [{ maxLength: 3 }, secret, 'does not meet "maxLength" 3 of the schema'],
    [{ enum: ['a', 'b'] }, secret, 'is not one of the values that the schema lists'],
    [{ const: 'a' }, secret, 'is not one of the values that the schema lists'],
    [{ pattern: '^[a-z]+$' }, secret, 'does not match the schema’s pattern, or is too long for it'],
    [{ format: 'email' }, secret, 'is not a email as the schema’s format asks'],
    [{ type: 'object', required: ['x'] }, { y: secret }, 'lacks a member that the schema requires'],
    [{ type: 'object', properties: { x: { type: 'string' } } }, { x: 1 }, 'at /x is not of type string'],
    [{ type: 'array', items: { type: 'integer' } }, [1, 2, secret, secret], 'at /2 is not of type integer'],
    [{ anyOf: [{ type: 'integer' }, { type: 'boolean' }] }, secret, 'does not meet "anyOf" of the schema'],
    [{ not: { type: 'string' } }, secret, 'does not meet "not" of the schema'],
    [{ $ref: '#/$defs/port' }, secret, 'is not of type integer'],
    [false, secret, 'may not be given'],
  ] as const)('%j refuses without showing the value', (schema, value, fault) => {
    const faults = faultsOf(ofProperties({ p: schema }, { $defs: { port: { type: 'integer' } } }), { p: value });
    expect(faults).toEqual([`parameter "p" ${fault}`]);
    expect(faults.join()).not.toContain(secret);
  });

  it('are told one fault a parameter, all parameters at once', () => {
    const schema = ofProperties({ a: { type: 'string' }, b: { type: 'array', items: { type: 'string' } }, c: {} });
    expect(faultsOf(schema, { a: 1, b: new Array(100_000).fill(1), c: 1 })).toEqual([
      'parameter "a" is not of type string',
      'parameter "b" at /0 is not of type string',
    ]);
  });

  it('are checked together when the schema has conditions between parameters', () => {
    const schema = ofProperties({ user: {}, password: {} }, { dependentRequired: { user: ['password'] } });
    expect(faultsOf(schema, { user: secret })[0]).toMatch(/^the parameters together do not fit the schema of the command: /);
    expect(faultsOf(schema, { user: secret, password: secret })).toEqual([]);
    expect(faultsOf(ofProperties({ a: {} }, { minProperties: 1 }), {})).toHaveLength(1);
  });

  it('that nest deeper than can be followed are refused, not fatal', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 200_000; level += 1) deep = [deep];
    const schema = ofProperties({ a: { not: { enum: [[[[1]]]] } } });
    const faults = faultsOf(schema, { a: deep });
    expect(faults.length).toBeLessThanOrEqual(1);
  });

  it('are the parameter’s own, never inherited', () => {
    expect(faultsOf(ofProperties({ toString: { type: 'string' } }), { toString: 'x' })).toEqual([]);
  });
});
