import { expect, test } from 'vitest';
import { createCatalog } from '../../../src/catalog/catalog.ts';
import { openApiDocument } from '../../../src/http/openapi.ts';
import { availableEntry } from './served-app.ts';

const manifest = `
name: maps
version: 1.0.0
run: { command: [never-started] }
commands:
  - name: Find.V2
    parameters:
      type: object
      $defs:
        place: { type: object, properties: { at: { $ref: "#/$defs/point" } } }
        point: { type: array, items: { $ref: "#/definitions/number" } }
      definitions: { number: { type: number } }
      properties:
        from: { $ref: "#/$defs/place" }
        to: { anyOf: [{ $ref: "#/$defs/place" }, { type: "null" }] }
        $ref: { type: string, default: "#/$defs/none" }
        shape: { const: { $ref: "#/$defs/none" } }
`;

type Json = Readonly<Record<string, unknown>>;

function referencesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { $ref } = value as Json;
  return [...(typeof $ref === 'string' ? [$ref] : []), ...Object.values(value).flatMap(referencesIn)];
}

/** RFC 6901. */
function follow(document: unknown, reference: string): unknown {
  const steps = reference.split('/').slice(1);
  return steps.reduce<unknown>((at, step) => (at as Json)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], document);
}

test('each reference of a command’s schema leads to its definition in the document', () => {
  const document = openApiDocument(createCatalog([availableEntry('maps', manifest)]), { allows: () => true }, '1.2.3') as Json;
  const path = '/paths/~1v1~1do~1maps~1Find.V2/post/requestBody/content/application~1json/schema';
  const schema = follow(document, `#${path}`) as { readonly properties: Json };
  expect(follow(document, `#${path}/$defs/place`)).toEqual({ type: 'object', properties: { at: { $ref: `#${path}/$defs/point` } } });
  const { shape, ...properties } = schema.properties;
  for (const reference of referencesIn({ ...schema, properties })) expect(follow(document, reference), reference).toBeTypeOf('object');
  // What only looks like a reference stays as it was written.
  expect(shape).toEqual({ const: { $ref: '#/$defs/none' } });
  expect(properties['$ref']).toEqual({ type: 'string', default: '#/$defs/none' });
  for (const reference of referencesIn(document['components'])) expect(follow(document, reference), reference).toBeTypeOf('object');
});
