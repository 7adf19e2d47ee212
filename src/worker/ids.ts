import { randomFillSync } from 'node:crypto';
import { cutTexts } from '../lib/cut-texts.ts';
import { decimalAt } from '../lib/decimal.ts';

const idBytes = 12;
const drawnAtOnce = 256;

/** Characters of 96 random bits. */
const randomCharacters = 16;

/** The id of a request. */
export interface RequestId {
  /** What goes out, and comes back with the answer. */
  readonly text: string;
  /** Its beginning. */
  readonly random: string;
}

/**
 * Ids of 96 random bits, so that a process that was not asked cannot answer, and behind them the slot of what waits for the answer.
 * They are drawn, and made characters, many at once.
 */
export function createIdSource(): (slot: number) => RequestId {
  const bytes = Buffer.allocUnsafeSlow(drawnAtOnce * idBytes);
  const next = cutTexts(randomCharacters, () => randomFillSync(bytes).toString('base64url'));
  return (slot) => {
    const random = next();
    return { text: random + slot, random };
  };
}

/** Of an id that may be made up: then any number, or none. */
export function slotOf(id: string): number {
  return decimalAt(id, randomCharacters);
}

/**
 * Whether it is the id of what waits in the slot that it names. A number in as many digits has the same digits; to compare the whole texts
 * would have the engine put ours together first.
 */
export function isIdInSlot(id: string, { text, random }: RequestId): boolean {
  return id.length === text.length && id.startsWith(random);
}
