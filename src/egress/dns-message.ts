/** One question of a DNS query (RFC 1035 §4), and the few answers the responder gives. Pure bytes. */
export interface DnsQuestion {
  /** Lower case, without the trailing dot. Bytes outside printable ASCII make the query unreadable. */
  readonly name: string;
  readonly type: number;
  /** The query's first bytes up to the end of the question: what an answer repeats, in the client's own capitals. */
  readonly echo: Buffer;
}

export type DnsAnswer =
  | { readonly type: 'address'; readonly address: string }
  /** The name exists, with nothing of this type. */
  | { readonly type: 'empty' }
  | { readonly type: 'no-such-name' }
  | { readonly type: 'failure' };

export const dnsTypeA = 1;
const headerBytes = 12;
const queryBytesMax = 512 + 1024;
/** Names keep their address for the worker's life, so a client may keep the answer as long as it likes. */
const ttlSeconds = 300;

export function readDnsQuestion(query: Uint8Array): DnsQuestion | undefined {
  const bytes = Buffer.from(query.buffer, query.byteOffset, query.byteLength);
  if (bytes.length < headerBytes || bytes.length > queryBytesMax) return undefined;
  const flags = bytes.readUInt16BE(2);
  const isPlainQuery = (flags & 0xf800) === 0;
  if (!isPlainQuery || bytes.readUInt16BE(4) !== 1 || bytes.readUInt16BE(6) !== 0) return undefined;
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = bytes[at]; length !== 0; length = bytes[at]) {
    // 64 and above are pointers, which a question has no use for.
    if (length === undefined || length > 63 || at + 1 + length >= bytes.length || at - headerBytes > 253) return undefined;
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  if (at + 5 > bytes.length || bytes.readUInt16BE(at + 3) !== 1) return undefined;
  const name = labels.join('.').toLowerCase();
  if (/[^\x21-\x7e]/.test(name)) return undefined;
  return { name, type: bytes.readUInt16BE(at + 1), echo: bytes.subarray(0, at + 5) };
}

export function writeDnsAnswer({ echo }: DnsQuestion, answer: DnsAnswer): Buffer {
  const head = Buffer.from(echo);
  const wantsRecursion = head.readUInt16BE(2) & 0x0100;
  head.writeUInt16BE(0x8480 | wantsRecursion | responseCodes[answer.type], 2);
  head.writeUInt16BE(answer.type === 'address' ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  return answer.type === 'address' ? Buffer.concat([head, addressRecord(answer.address)]) : head;
}

const responseCodes = { address: 0, empty: 0, failure: 2, 'no-such-name': 3 } as const satisfies Record<DnsAnswer['type'], number>;

function addressRecord(address: string): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc000 | headerBytes, 0);
  record.writeUInt16BE(dnsTypeA, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(ttlSeconds, 6);
  record.writeUInt16BE(4, 10);
  record.set(address.split('.').map(Number), 12);
  return record;
}
