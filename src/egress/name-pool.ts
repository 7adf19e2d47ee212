/** Loopback addresses for names under wildcards, handed out as they are looked up. */
export interface NamePool {
  /** The same name always gets the same address; undefined when all are given out. */
  addressOf(name: string): string | undefined;
  nameOf(address: string): string | undefined;
}

/** An address is never given to a second name: a client that kept it would reach another host than it means. */
export function createNamePool(namesMax: number): NamePool {
  const addresses = new Map<string, string>();
  const names = new Map<string, string>();
  return {
    addressOf(name) {
      const known = addresses.get(name);
      if (known !== undefined || addresses.size >= namesMax) return known;
      const index = addresses.size + 1;
      const address = `127.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
      addresses.set(name, address);
      names.set(address, name);
      return address;
    },
    nameOf: (address) => names.get(address),
  };
}
