import { readFile } from 'node:fs/promises';
import type { Answer } from '../answer.ts';
import type { Route } from '../router.ts';

/**
 * The API page: three files of our own that show /openapi.json. Packaged renderers were looked at and left: the usual one brings a
 * package that reports its installation, another one over twenty of its own, for a page that shows a list.
 */
export function docsRoutes(): readonly Route[] {
  const files = [
    ['/docs', 'page.html', 'text/html; charset=utf-8'],
    ['/docs/page.css', 'page.css', 'text/css; charset=utf-8'],
    ['/docs/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ] as const;
  // Open, because a browser that opens a page cannot send a key: the page holds nothing of this server and asks with the key typed in.
  return files.map(([path, file, contentType]) => ({ path, type: 'open', get: () => pageAnswer(file, contentType) }));
}

/** Nothing but this server’s own script and style may load, and nobody may put the page in a frame. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async function pageAnswer(file: string, contentType: string): Promise<Answer> {
  return {
    status: 200,
    contentType,
    headers: [
      ...['Content-Security-Policy', contentSecurityPolicy],
      ...['X-Content-Type-Options', 'nosniff'],
      ...['Referrer-Policy', 'no-referrer'],
      ...['Cache-Control', 'no-cache'],
    ],
    bytes: await readFile(new URL(`../docs-page/${file}`, import.meta.url)),
  };
}
