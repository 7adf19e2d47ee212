import { createHash, timingSafeEqual } from 'node:crypto';

/** A key as it is kept while the server runs: not the key, but what it hashes to. */
export interface ApiKey {
  readonly name: string;
  /** SHA-256 of the key’s UTF-8 bytes: `hashApiKey`. */
  readonly keyHash: Uint8Array;
  /** Connectors it may see and use; `*` is all. */
  readonly connectors: readonly string[];
}

/** What a request may see and use. */
export interface Access {
  /** Name of the key, for logs; undefined where the server has no keys. */
  readonly keyName?: string;
  allows(connector: string): boolean;
}

export interface ApiKeys {
  /** The access that a header’s value gives; undefined: unauthorized. A server without keys gives everything to everybody. */
  find(header: string | string[] | undefined): Access | undefined;
}

/** In the lower case in which Node hands headers over. */
export const apiKeyHeader = 'spiff-connector-proxy-api-key';

export function hashApiKey(key: string): Uint8Array {
  return createHash('sha256').update(key, 'utf8').digest();
}

/**
 * Compares hashes in constant time and always with every key, so that neither the time of a refusal nor which key it was can be
 * measured. Node reads header bytes as Latin-1; they are hashed as the bytes they were, so a key may hold any characters.
 */
export function createApiKeys(keys: readonly ApiKey[]): ApiKeys {
  const accesses = keys.map(accessOf);
  return {
    find(header) {
      if (keys.length === 0) return openAccess;
      if (typeof header !== 'string') return undefined;
      const hash = createHash('sha256').update(header, 'latin1').digest();
      let found: Access | undefined;
      for (const [index, { keyHash }] of keys.entries()) {
        if (timingSafeEqual(hash, keyHash)) found = accesses[index];
      }
      return found;
    },
  };
}

/** Of a request without a key where keys are wanted, on an open route. */
export const noAccess: Access = { allows: () => false };

const openAccess: Access = { allows: () => true };

function accessOf({ name, connectors }: ApiKey): Access {
  if (connectors.includes('*')) return { keyName: name, allows: () => true };
  const allowed = new Set(connectors);
  return { keyName: name, allows: (connector) => allowed.has(connector) };
}
