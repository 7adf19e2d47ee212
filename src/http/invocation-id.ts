import { randomUUID } from 'node:crypto';
import type { InvocationId } from '../worker/invocation.ts';

const drawnAtOnce = 256;
const characters = 36;

/**
 * Version 4 UUIDs. Node puts one together of twenty texts, which the engine keeps apart and walks again for each text that holds the id; cut
 * out of a text of many it is one piece.
 */
export function createInvocationIds(): () => InvocationId {
  let drawn = '';
  let offset = 0;
  return () => {
    if (offset === drawn.length) {
      drawn = Array.from({ length: drawnAtOnce }, () => randomUUID()).join('');
      offset = 0;
    }
    offset += characters;
    return drawn.slice(offset - characters, offset) as InvocationId;
  };
}
