import { type Duplex, Readable, Writable } from 'node:stream';

/** The three streams of a container, taken out of and put into the one that an attach gives. */
export interface AttachedStreams {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the engine's side is over: the container ended, or the engine did. Never rejects. */
  readonly ended: Promise<void>;
  destroy(): void;
}

/** Each piece of output comes behind 8 bytes: which stream (0 to 2), three of padding, and the piece's length. */
const headerBytes = 8;
const stderrStream = 2;

/**
 * Splits an attach stream with back-pressure: pieces are handed on as they come and nothing is kept but a header. Both outputs share
 * the one stream, so one that nobody reads holds the other up too.
 */
export function attachedStreams(raw: Duplex): AttachedStreams {
  const blocked = new Set<Readable>();
  const output = () =>
    new Readable({
      read() {
        if (blocked.delete(this) && blocked.size === 0) raw.resume();
      },
      destroy(error, callback) {
        if (blocked.delete(this) && blocked.size === 0) raw.resume();
        callback(error);
      },
    });
  const [stdout, stderr] = [output(), output()];
  const hand = (stream: number, piece: Buffer) => {
    const target = stream === stderrStream ? stderr : stdout;
    if (target.destroyed || target.push(piece)) return;
    blocked.add(target);
    raw.pause();
  };
  const split = splitter(hand, () => raw.destroy());
  raw.on('data', split);
  const ended = new Promise<void>((resolve) => {
    const finish = () => {
      stdout.push(null);
      stderr.push(null);
      resolve();
    };
    raw.once('end', finish).once('close', finish);
  });
  // A broken pipe is a symptom; the container's end says why.
  for (const stream of [raw, stdout, stderr]) stream.on('error', () => {});
  return { stdin: endOf(raw), stdout, stderr, ended, destroy: () => raw.destroy() };
}

/** Cuts chunks at the engine's frame borders; a stream number that does not exist is no attach stream at all. */
export function splitter(hand: (stream: number, piece: Buffer) => void, onFault: () => void): (chunk: Buffer) => void {
  const header = Buffer.alloc(headerBytes);
  let headerLength = 0;
  let left = 0;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const taken = chunk.copy(header, headerLength, at, at + headerBytes - headerLength);
        at += taken;
        headerLength += taken;
        if (headerLength < headerBytes) return;
        headerLength = 0;
        left = header.readUInt32BE(4);
        if ((header[0] ?? 0) > stderrStream) return onFault();
      }
      const piece = chunk.subarray(at, at + left);
      at += piece.length;
      left -= piece.length;
      if (piece.length > 0) hand(header[0] ?? 0, piece);
    }
  };
}

/**
 * A Writable whose end half-closes the target, or closes it where there is no half; what the target has not taken stays in
 * `writableLength`, so that whoever writes can bound it.
 */
export function endOf(target: Writable, close: (target: Writable) => void = (writable) => writable.end()): Writable {
  const stdin = new Writable({
    decodeStrings: true,
    write(chunk: Buffer, _encoding, callback) {
      target.write(chunk, callback);
    },
    writev(chunks, callback) {
      target.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), callback);
    },
    final(callback) {
      close(target);
      callback();
    },
  });
  stdin.on('error', () => {});
  return stdin;
}
