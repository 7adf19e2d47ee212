/** What a seccomp filter sees of a system call. */
export interface FilteredCall {
  readonly number: number;
  readonly architecture: number;
  readonly args: readonly number[];
}

/** Runs a classic BPF program on one call, as the kernel would; knows the instructions that our filters use and refuses others. */
export function runFilter(program: Buffer, call: FilteredCall): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number >>> 0, 0);
  data.writeUInt32LE(call.architecture >>> 0, 4);
  for (const [index, value] of call.args.entries()) data.writeUInt32LE(value >>> 0, 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const [code, jumpTrue, jumpFalse, operand] = [
      program.readUInt16LE(at * 8),
      program.readUInt8(at * 8 + 2),
      program.readUInt8(at * 8 + 3),
      program.readUInt32LE(at * 8 + 4),
    ];
    const jump = (condition: boolean) => {
      at += condition ? jumpTrue : jumpFalse;
    };
    if (code === 0x06) return operand;
    if (code === 0x20) accumulator = data.readUInt32LE(operand);
    else if (code === 0x54) accumulator = (accumulator & operand) >>> 0;
    else if (code === 0x15) jump(accumulator === operand);
    else if (code === 0x35) jump(accumulator >= operand);
    else if (code === 0x45) jump((accumulator & operand) >>> 0 !== 0);
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('the program ran off its end');
}
