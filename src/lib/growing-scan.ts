import { type GrowingScanOptions, MachineScan } from './json-machine.ts';
import { type ScanResult, scanResult } from './json-scan.ts';

/**
 * The scan of a text that is still coming: what has come is scanned as it comes, so that the last byte of a large text does not cost a
 * stall of the event loop. The result is that of `scanJson`, however the text is split. Linear in the bytes. Each chunk is read where it
 * is, and while it is still in the processor’s cache, not as a part of the whole: a view of large memory costs more than a copy of 64 KB.
 */
export class GrowingScan {
  readonly #options: GrowingScanOptions;
  readonly #scan: MachineScan;
  #sent = 0;

  constructor(options: GrowingScanOptions) {
    this.#options = options;
    this.#scan = new MachineScan(options);
  }

  /** `chunk` follows those of earlier calls. It is not kept. */
  advance(chunk: Uint8Array): void {
    this.#sent += chunk.length;
    this.#scan.advance(chunk);
  }

  /** `bytes` are the whole text: all chunks but what was held back, and what came since. To be called once. */
  finish(bytes: Uint8Array): ScanResult {
    if (this.#sent < bytes.length) this.advance(this.#sent === 0 ? bytes : bytes.subarray(this.#sent));
    return scanResult(bytes, this.#scan.end(bytes.length), this.#options);
  }
}
