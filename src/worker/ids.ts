import { randomFillSync } from 'node:crypto';
import { decimalAt } from '../lib/decimal.ts';

const idBytes = 12;
const poolIds = 256;

/** Characters of 96 random bits. */
const randomCharacters = 16;

/**
 * Ids of 96 random bits, so that a process that was not asked cannot answer, and behind them the slot of what waits for the answer.
 * Random bytes are drawn for many ids at once.
 */
export function createIdSource(): (slot: number) => string {
  const pool = Buffer.alloc(idBytes * poolIds);
  let offset = pool.length;
  return (slot) => {
    if (offset === pool.length) {
      randomFillSync(pool);
      offset = 0;
    }
    offset += idBytes;
    return pool.toString('base64url', offset - idBytes, offset) + slot;
  };
}

/** Of an id that may be made up: then any number, or none. */
export function slotOf(id: string): number {
  return decimalAt(id, randomCharacters);
}
