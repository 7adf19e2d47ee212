import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { sequenceStart } from './utf8.ts';

export interface ScanOptions {
  /** Objects and arrays within one another; a lone scalar has nesting 0, `[]` has 1. At most `nestingCapacity`. */
  readonly nestingMax: number;
  /** Also takes the NaN, Infinity and -Infinity that Python’s json module writes, and reports them as `nonFinite`. Default false. */
  readonly allowNonFinite?: boolean;
  /** Members of the top-level object, duplicates counted. Default `membersMaxDefault`. */
  readonly membersMax?: number;
}

export interface GrowingScanOptions extends ScanOptions {
  /** So many bytes of what has come may turn out to be no part of the text, and wait for what follows. Default 0, at most 4. */
  readonly heldBytes?: number;
}

/** More top-level members than any request has, few enough that their list stays small beside the text. */
export const membersMaxDefault = 65_536;

/** What a scan found; where the text itself is does not matter to it. */
export interface ScanNumbers {
  /** 0 when nothing is wrong; else as json-machine.as.ts numbers them. */
  readonly reason: number;
  readonly failureAt: number;
  /** Whether the value was complete. */
  readonly isWhole: boolean;
  /** Without white space around it. */
  readonly start: number;
  readonly end: number;
  readonly hasLineBreak: boolean;
  readonly nonFinite: boolean;
  /** Where bytes begin among which some are not UTF-8; undefined: all are. */
  readonly doubtfulFrom: number | undefined;
  /** `memberFields` numbers a member, `membersLength` in all. Valid until the next scan. */
  readonly members: ArrayLike<number>;
  readonly membersLength: number;
}

/** TypeScript knows it only as a part of browsers. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

/** What json-machine.as.ts exports. */
interface Machine {
  readonly memory: { readonly buffer: ArrayBuffer };
  progressOffset(): number;
  stackOffset(): number;
  tableOffset(): number;
  windowOffset(): number;
  windowSize(): number;
  nestingLimit(): number;
  isAscii(length: number): number;
  run(length: number): void;
  finish(): number;
}

const machine = loadMachine();
const memory = new Uint8Array(machine.memory.buffer);
const progressStart = machine.progressOffset();
const stackStart = machine.stackOffset();
const progress = new Uint32Array(machine.memory.buffer, progressStart, (stackStart - progressStart) / 4);
const table = new Uint32Array(machine.memory.buffer, machine.tableOffset(), (machine.windowOffset() - machine.tableOffset()) / 4);
const window = Buffer.from(machine.memory.buffer, machine.windowOffset(), machine.windowSize());
/** The deepest nesting that a scan can be allowed. */
export const nestingCapacity = machine.nestingLimit();

/** Places in `progress`, in the order of its class. */
const field = {
  depth: 1,
  start: 3,
  end: 4,
  tableLength: 6,
  reason: 7,
  failureAt: 8,
  hasLineBreak: 9,
  nonFinite: 10,
  nestingMax: 11,
  membersMax: 12,
  allowNonFinite: 13,
} as const;
/** Numbers that the table has of a member: where its key starts and ends, whether that has escapes, where its value starts and ends. */
export const memberFields = 5;

function loadMachine(): Machine {
  const module = new WebAssembly.Module(readFileSync(new URL('json-machine.wasm', import.meta.url)));
  return new WebAssembly.Instance(module).exports as Machine;
}

/** A text of one character a byte; undefined when it is not ASCII, or too long to be looked at in one go. */
export function scanAscii(text: string, options: ScanOptions): ScanNumbers | undefined {
  if (text.length > window.length) return undefined;
  window.write(text, 'latin1');
  if (machine.isAscii(text.length) === 0) return undefined;
  makeWay();
  begin(options);
  machine.run(text.length);
  return numbers(undefined, table, numberOf('tableLength') * memberFields);
}

function begin({ nestingMax, membersMax = membersMaxDefault, allowNonFinite = false }: ScanOptions): void {
  // A few numbers: `fill` would leave JavaScript for them.
  for (let at = 0; at < progress.length; at += 1) progress[at] = 0;
  progress[field.nestingMax] = Math.min(nestingMax, nestingCapacity);
  progress[field.membersMax] = Math.min(membersMax, 0xffff_ffff);
  progress[field.allowNonFinite] = allowNonFinite ? 1 : 0;
}

/** Ends the scan that is in the machine. */
function numbers(doubtfulFrom: number | undefined, members: ArrayLike<number>, membersLength: number): ScanNumbers {
  const isWhole = machine.finish() !== 0;
  return {
    reason: numberOf('reason'),
    failureAt: numberOf('failureAt'),
    isWhole,
    start: numberOf('start'),
    end: numberOf('end'),
    hasLineBreak: numberOf('hasLineBreak') !== 0,
    nonFinite: numberOf('nonFinite') !== 0,
    doubtfulFrom,
    members,
    membersLength,
  };
}

/** Whose progress is in the machine. There is one machine, which takes turns between the texts that are coming. */
let holder: MachineScan | undefined;

/** Puts aside what another text left in the machine. */
function makeWay(): void {
  holder?.putAside();
  holder = undefined;
}

/** The scan of a text that comes in chunks. Linear in the bytes. */
export class MachineScan {
  readonly #options: GrowingScanOptions;
  /** Numbers of the members that have ended. */
  readonly #members: number[] = [];
  /** Bytes that the machine has taken. */
  #taken = 0;
  #hasFailed = false;
  /** Up to here the bytes are UTF-8. */
  #valid = 0;
  #isInvalid = false;
  /** What has come and waits for what follows. */
  #held: Uint8Array | undefined;
  /** Progress and stack, while another text is in the machine. */
  #aside: Uint8Array | undefined;

  constructor(options: GrowingScanOptions) {
    this.#options = options;
  }

  /** `chunk` follows those of earlier calls. It is not kept. */
  advance(chunk: Uint8Array): void {
    if (this.#hasFailed) return;
    this.#hold();
    let at = 0;
    do {
      const held = this.#held?.length ?? 0;
      if (this.#held !== undefined) window.set(this.#held);
      const end = Math.min(chunk.length, at + window.length - held);
      window.set(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end), held);
      const length = held + end - at;
      const taken = sequenceStart(window, Math.max(0, length - (this.#options.heldBytes ?? 0)));
      this.#held = taken === length ? undefined : new Uint8Array(window.subarray(taken, length));
      this.#run(taken);
      at = end;
    } while (at < chunk.length && !this.#hasFailed);
  }

  /** The text is the first `length` of the bytes that came. To be called once, last. */
  end(length: number): ScanNumbers {
    this.#hold();
    const rest = length - this.#taken;
    if (this.#held !== undefined && rest > 0 && !this.#hasFailed) {
      window.set(this.#held);
      this.#run(rest);
    }
    holder = undefined;
    return numbers(this.#isInvalid ? this.#valid : undefined, this.#members, this.#members.length);
  }

  putAside(): void {
    this.#aside = memory.slice(progressStart, stackStart + numberOf('depth'));
  }

  /** Takes bytes of the window. */
  #run(length: number): void {
    this.#validate(length);
    machine.run(length);
    this.#taken += length;
    this.#hasFailed = numberOf('reason') !== 0;
    const end = numberOf('tableLength') * memberFields;
    for (let at = 0; at < end; at += 1) this.#members.push(table[at] as number);
  }

  #hold(): void {
    if (holder === this) return;
    makeWay();
    holder = this;
    if (this.#aside === undefined) begin(this.#options);
    else memory.set(this.#aside, progressStart);
    this.#aside = undefined;
  }

  #validate(length: number): void {
    if (this.#isInvalid) return;
    if (isUtf8(length === window.length ? window : window.subarray(0, length))) this.#valid += length;
    else this.#isInvalid = true;
  }
}

function numberOf(name: keyof typeof field): number {
  return progress[field[name]] as number;
}
