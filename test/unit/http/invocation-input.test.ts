import { describe, expect, test } from 'vitest';
import { type InvocationInput, readInput } from '../../../src/http/invocation-input.ts';
import { allocateOwned } from '../../../src/lib/owned-memory.ts';
import { utf8Of } from '../../../src/lib/pieces.ts';
import { compileParameters } from '../../../src/manifest/parameters.ts';

const parameters = { type: 'object', required: ['rows'], properties: { rows: { type: 'array', minItems: 2 } }, additionalProperties: true };
const compiled = compileParameters({ parameters });
if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults));
const rules = { parameters: compiled.check, context: ['task_data', 'task_id'], nestingMax: 16, messageBytesMax: 10_000_000 } as const;

function read(text: string): { readonly bytes: Buffer } & InvocationInput {
  const bytes = allocateOwned(Buffer.byteLength(text));
  bytes.write(text);
  return { bytes, ...readInput({ bytes }, rules) };
}

/** More than a part that is held as a text. */
const many = JSON.stringify(Array.from({ length: 5000 }, (_, index) => `é${index}`));

describe('the input of a large body', () => {
  test('lies in the body’s memory, beside the engine’s data, of whatever size', () => {
    const { bytes, input, engineData } = read(`{"spiff__task_id":"t", "rows":${many},"spiff__task_data":${many},\n"last":1}`);
    expect(utf8Of(input)).toBe(`{"rows":${many}, "last":1}`);
    expect(input).toMatchObject({ buffer: bytes.buffer });
    expect([engineData.taskId, utf8Of(engineData.taskData ?? '')]).toEqual(['"t"', many]);
  });

  test('lets go of memory that nearly all was the engine’s, and that none of it lies in', () => {
    const { bytes, input } = read(`{"rows":[1,2],"spiff__other":${many},"rows":[3,4]}`);
    expect(utf8Of(input)).toBe('{"rows":[3,4]}');
    expect(bytes).toHaveLength(0);
    const disordered = read(`{"rows":[1,2],"a":0,"rows":${many}}`);
    expect(utf8Of(disordered.input)).toBe(`{"rows":${many},"a":0}`);
    expect(disordered.bytes).toHaveLength(0);
  });

  test('is checked before it is moved', () => {
    expect(() => read(`{"spiff__task_id":1,"rows":[1],"other":${many}}`)).toThrow(/rows/);
    expect(() => read(`{"spiff__task_id":1,"rows":${many},"rows":3}`)).toThrow(/rows/);
  });
});
