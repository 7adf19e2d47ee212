/** One regular file of an archive. */
export interface TarEntry {
  /** Relative, at most 255 bytes. */
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  readonly content: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

const blockBytes = 512;

/** An archive of regular files in the ustar format (POSIX.1-1988), owned by root and without times, so that equal files give equal bytes. */
export async function* tarOf(entries: readonly TarEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield headerOf(entry);
    let written = 0;
    for await (const chunk of entry.content()) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== entry.size) throw new Error(`${entry.path} changed while it was read: ${written} bytes instead of ${entry.size}`);
    yield Buffer.alloc(-written & (blockBytes - 1));
  }
  yield Buffer.alloc(2 * blockBytes);
}

function headerOf({ path, mode, size }: TarEntry): Buffer {
  const header = Buffer.alloc(blockBytes);
  const [prefix, name] = splitPath(path);
  header.write(name, 0);
  writeOctal(header, mode, 100, 8);
  writeOctal(header, 0, 108, 8);
  writeOctal(header, 0, 116, 8);
  writeOctal(header, size, 124, 12);
  writeOctal(header, 0, 136, 12);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  header.write(prefix, 345);
  // The sum is taken with its own field blank.
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function writeOctal(header: Buffer, value: number, at: number, width: number): void {
  header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at);
}

/** Names hold 100 bytes; what is before may go into a prefix of 155, cut at a slash. */
function splitPath(path: string): readonly [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ['', path];
  const cut = path.indexOf('/', path.length - 101);
  if (cut < 1 || cut > 155) throw new Error(`${path} is too long for an archive`);
  return [path.slice(0, cut), path.slice(cut + 1)];
}
