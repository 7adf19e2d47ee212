import { readdirSync, readFileSync } from 'node:fs';

/** One exchange with the reference implementation, as it was recorded. */
export interface Fixture {
  readonly name: string;
  readonly instance: 'base' | 'keyed' | 'edge' | 'broken' | 'slow';
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
    readonly body_base64?: string;
  };
  readonly response: {
    readonly status: number | null;
    readonly content_type: string | null;
    readonly body: string | null;
    readonly headers?: Readonly<Record<string, string>>;
  };
}

export function readFixtures(): readonly Fixture[] {
  const folder = new URL('fixtures/', import.meta.url);
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Fixture);
}
