import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** The whole body of a message; rejects as soon as it is longer than `bytesMax`. */
export async function bodyOf(message: IncomingMessage, bytesMax: number): Promise<Buffer> {
  let length = 0;
  message.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > bytesMax) message.destroy(new Error(`more than ${bytesMax} bytes`));
  });
  return await buffer(message);
}
