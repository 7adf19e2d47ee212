import { describe, expect, it } from 'vitest';
import { acceptParameterSchema, parameterSchemaLimits } from '../../../src/manifest/parameter-schema.ts';

const nested = (levels: number): unknown => (levels === 0 ? {} : { items: nested(levels - 1) });
const doubling = Object.fromEntries(
  Array.from({ length: 8 }, (_, index) => [`d${index}`, { anyOf: new Array(4).fill({ $ref: `#/$defs/d${index + 1}` }) }]),
);
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, {}]));

describe('acceptParameterSchema refuses', () => {
  it.each([
    [{ type: 'array' }, 'type', /not of type object/],
    [{ properties: {} }, '', /not of type object/],
    ['text', '', /not a JSON Schema/],
    [{ type: 'object', properties: { a: 'string' } }, 'properties.a', /not a JSON Schema/],
    [{ type: 'object', properties: [] }, 'properties', /not a mapping/],
    [{ type: 'object', properties: many(parameterSchemaLimits.propertiesMax + 1) }, 'properties', /at most 256/],
    [{ type: 'object', propertis: {} }, 'propertis', /not a keyword/],
    [{ type: 'object', required: 'a' }, 'required', /not a list of names/],
    [{ type: 'object', properties: { a: { type: 'str' } } }, 'properties.a.type', /not a type/],
    [{ type: 'object', properties: { a: { type: [] } } }, 'properties.a.type', /not a type/],
    [{ type: 'object', properties: { a: { enum: 'x' } } }, 'properties.a.enum', /not a list/],
    [{ type: 'object', properties: { a: { minLength: -1 } } }, 'properties.a.minLength', /not a whole number/],
    [{ type: 'object', properties: { a: { minimum: '1' } } }, 'properties.a.minimum', /not a number/],
    [{ type: 'object', properties: { a: { anyOf: {} } } }, 'properties.a.anyOf', /not a list of schemas/],
    [{ type: 'object', properties: { a: { uniqueItems: true } } }, 'properties.a.uniqueItems', /compares every pair/],
    [{ type: 'object', properties: { a: { nullable: true } } }, 'properties.a.nullable', /not JSON Schema/],
    [{ type: 'object', properties: { a: { $id: 'x' } } }, 'properties.a.$id', /not supported/],
    [{ type: 'object', properties: { a: { $dynamicRef: '#x' } } }, 'properties.a.$dynamicRef', /not supported/],
    [{ type: 'object', properties: { a: { pattern: '(a+)+' } } }, 'properties.a.pattern', /repeats a group/],
    [{ type: 'object', patternProperties: { '(a+)+': {} } }, 'patternProperties.(a+)+', /repeats a group/],
    [{ type: 'object', properties: { a: { $ref: 'https://example.com/s.json' } } }, 'properties.a.$ref', /outside of this schema/],
    [{ type: 'object', properties: { a: { $ref: 'file:///etc/passwd' } } }, 'properties.a.$ref', /outside of this schema/],
    [{ type: 'object', properties: { a: { $ref: '#/$defs/b' } } }, 'properties.a.$ref', /refers to nothing/],
    [{ type: 'object', properties: { a: { $ref: '#/properties/a' } } }, 'properties.a.$ref', /refers to nothing/],
    [{ type: 'object', properties: { a: { $ref: '#/$defs/toString' } }, $defs: {} }, 'properties.a.$ref', /refers to nothing/],
    [{ type: 'object', $defs: { a: { items: { $ref: '#/$defs/a' } } } }, '$defs.a.items.$ref', /refers to itself/],
    [{ type: 'object', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } }, '$defs.a.$ref.$ref', /refers to itself/],
    [{ type: 'object', $defs: { ...doubling, d8: {} } }, undefined, /more than 4096 subschemas/],
    [{ type: 'object', properties: { a: nested(parameterSchemaLimits.depthMax + 1) } }, undefined, /nests deeper than 32/],
    [{ type: 'object', properties: { a: { 'x-spiff-type': 'string' } } }, 'properties.a.x-spiff-type', /not a type that modelers see/],
    [{ type: 'object', properties: { a: { 'x-spiff-required': 'yes' } } }, 'properties.a.x-spiff-required', /not true or false/],
  ])('%.80j', (schema, path, message) => {
    const startedAt = performance.now();
    const result = acceptParameterSchema(schema, []);
    if (result.ok) expect.fail('accepted');
    expect(result.faults[0]?.message).toMatch(message);
    expect(result.faults[0]?.repair).not.toBe('');
    if (path !== undefined) expect(result.faults[0]?.path.join('.')).toBe(path);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  it('all of it at once', () => {
    const result = acceptParameterSchema({ type: 'object', properties: { a: { type: 'x' }, b: { pattern: '[' } }, foo: 1 }, ['parameters']);
    if (result.ok) expect.fail('accepted');
    expect(result.faults.map(({ path }) => path.join('.'))).toEqual([
      'parameters.properties.a.type',
      'parameters.properties.b.pattern',
      'parameters.foo',
    ]);
  });
});

describe('acceptParameterSchema accepts', () => {
  it('annotations, which the interpreter does not get', () => {
    const result = acceptParameterSchema(
      {
        type: 'object',
        title: 't',
        $schema: 's',
        'x-own': 1,
        properties: { a: { description: 'd', writeOnly: true, default: 1, examples: [1], 'x-spiff-type': 'any' } },
      },
      [],
    );
    expect(result).toEqual({ ok: true, checked: { type: 'object', properties: { a: {} } } });
  });

  it('references, which are written out and joined to conditions beside them', () => {
    const schema = {
      type: 'object',
      properties: { a: { $ref: '#/$defs/b', allOf: [{ minLength: 1 }] } },
      $defs: { b: { type: 'string' } },
    };
    expect(acceptParameterSchema(schema, [])).toEqual({
      ok: true,
      checked: { type: 'object', properties: { a: { allOf: [{ type: 'string' }, { minLength: 1 }] } } },
    });
  });
});
