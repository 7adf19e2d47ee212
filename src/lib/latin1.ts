/** Every byte as one character: Node writes such a text back as the bytes it was, and texts are put together for nothing. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
