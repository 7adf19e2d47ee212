/** One instruction of classic BPF, see Linux `include/uapi/linux/filter.h`; jumps count instructions to skip. */
export interface BpfInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly operand: number;
}

const opcodes = { loadWord: 0x20, and: 0x54, jumpEqual: 0x15, jumpAtLeast: 0x35, jumpAnySet: 0x45, return: 0x06 } as const;

const instructionBytes = 8;
/** Jumps are one byte. */
const jumpMax = 255;
/** BPF_MAXINSNS of the kernel. */
const instructionsMax = 4096;

export function load(offset: number): BpfInstruction {
  return instruction(opcodes.loadWord, offset);
}

export function and(mask: number): BpfInstruction {
  return instruction(opcodes.and, mask);
}

export function returns(value: number): BpfInstruction {
  return instruction(opcodes.return, value);
}

/** Runs `body` when the loaded word equals the operand; else goes on behind it. */
export function whenEqual(operand: number, body: readonly BpfInstruction[]): readonly BpfInstruction[] {
  return [instruction(opcodes.jumpEqual, operand, 0, body.length), ...body];
}

export function unlessEqual(operand: number, body: readonly BpfInstruction[]): readonly BpfInstruction[] {
  return [instruction(opcodes.jumpEqual, operand, body.length, 0), ...body];
}

export function whenAtLeast(operand: number, body: readonly BpfInstruction[]): readonly BpfInstruction[] {
  return [instruction(opcodes.jumpAtLeast, operand, 0, body.length), ...body];
}

export function whenAnySet(mask: number, body: readonly BpfInstruction[]): readonly BpfInstruction[] {
  return [instruction(opcodes.jumpAnySet, mask, 0, body.length), ...body];
}

/** The program as the kernel takes it (`struct sock_filter[]`); both architectures are little endian. */
export function assemble(program: readonly BpfInstruction[]): Buffer {
  if (program.length > instructionsMax) throw new RangeError(`A BPF program of ${program.length} instructions is over ${instructionsMax}.`);
  const bytes = Buffer.alloc(program.length * instructionBytes);
  for (const [index, { code, jumpTrue, jumpFalse, operand }] of program.entries()) {
    const offset = index * instructionBytes;
    bytes.writeUInt16LE(code, offset);
    bytes.writeUInt8(jumpTrue, offset + 2);
    bytes.writeUInt8(jumpFalse, offset + 3);
    bytes.writeUInt32LE(operand >>> 0, offset + 4);
  }
  return bytes;
}

function instruction(code: number, operand: number, jumpTrue = 0, jumpFalse = 0): BpfInstruction {
  if (jumpTrue > jumpMax || jumpFalse > jumpMax) throw new RangeError('A BPF jump skips at most 255 instructions.');
  return { code, jumpTrue, jumpFalse, operand };
}
