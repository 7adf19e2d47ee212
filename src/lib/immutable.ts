type Plain = string | number | boolean | bigint | symbol | null | undefined;

/** A schema's output, readonly all the way down. Branded strings stay as they are. */
export type Immutable<T> = unknown extends T ? T : T extends Plain ? T : { readonly [K in keyof T]: Immutable<T[K]> };
