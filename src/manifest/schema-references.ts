import { isSchemaObject, keywordKind, type SchemaObject } from './parameter-schema.ts';

/**
 * A schema of parameters as a part of another document, whose references begin at that document: `pointer` is a JSON Pointer to it. Only
 * references change; a parameter, a default or a constant that looks like one does not.
 */
export function referFrom(pointer: string, schema: SchemaObject): SchemaObject {
  const rewritten = (value: unknown): unknown => (isSchemaObject(value) ? referFrom(pointer, value) : value);
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      switch (keywordKind(keyword)) {
        case 'ref':
          return [keyword, `#${pointer}${String(value).slice(1)}`];
        case 'schema':
          return [keyword, rewritten(value)];
        case 'schemas':
          return [keyword, Array.isArray(value) ? value.map(rewritten) : value];
        case 'schemaMap':
        case 'patternMap':
        case 'definitions':
          return [keyword, isSchemaObject(value) ? mapValues(value, rewritten) : value];
        default:
          return [keyword, value];
      }
    }),
  );
}

/** A subschema with what it refers to; what stands beside the reference comes first. `root` was accepted: nothing refers to itself. */
export function followReference(root: SchemaObject, schema: SchemaObject): SchemaObject {
  const { $ref: reference, ...beside } = schema;
  if (typeof reference !== 'string') return schema;
  const [, place = '', name = ''] = reference.split('/');
  const definitions = root[place];
  const target = isSchemaObject(definitions) ? definitions[name] : undefined;
  return isSchemaObject(target) ? { ...followReference(root, target), ...beside } : beside;
}

function mapValues(values: SchemaObject, map: (value: unknown) => unknown): SchemaObject {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}
