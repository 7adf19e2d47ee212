import { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';

/**
 * The one channel of a connection, as a socket for Node's HTTP client. The library's own channel does not do for one: it calls nobody back who
 * writes after its end, and when it is destroyed its connection stays until what came is read and the host has answered.
 */
export class ChannelSocket extends Duplex {
  readonly #client: Client;
  readonly #channel: ClientChannel;
  #pending: (() => void) | undefined;
  #isClosed = false;

  /** The connection goes with it. */
  constructor(client: Client, channel: ClientChannel) {
    super({ allowHalfOpen: true });
    this.#client = client;
    this.#channel = channel;
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.once('end', () => this.#end());
    channel.once('close', () => client.end()).on('error', () => {});
    // The complaints of the command: unread, they would hold up the rest.
    channel.stderr.resume();
    client.once('close', () => {
      this.#isClosed = true;
      this.#end();
      this.#written();
    });
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#pending = callback;
    if (this.#isClosed) this.#written();
    else this.#channel.write(chunk, () => this.#written());
  }

  override _final(callback: () => void): void {
    if (!this.#isClosed) this.#channel.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#client.destroy();
    callback(error);
  }

  /** As of a socket: ends it, and destroys it once all is written. */
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy()).end();
  }

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #end(): void {
    if (!this.readableEnded && !this.destroyed) this.push(null);
  }

  #written(): void {
    const callback = this.#pending;
    this.#pending = undefined;
    callback?.();
  }
}
