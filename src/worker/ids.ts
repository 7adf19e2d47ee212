import { randomFillSync } from 'node:crypto';

const idBytes = 12;
const poolIds = 256;

/** Ids of 96 random bits, 16 characters: a process that was not asked cannot answer. Random bytes are drawn for many ids at once. */
export function createIdSource(): () => string {
  const pool = Buffer.alloc(idBytes * poolIds);
  let offset = pool.length;
  return () => {
    if (offset === pool.length) {
      randomFillSync(pool);
      offset = 0;
    }
    offset += idBytes;
    return pool.toString('base64url', offset - idBytes, offset);
  };
}
