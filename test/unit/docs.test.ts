import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = ['README.md', ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))];
const foldersOfTheProject = '(?:src|test|docs|scripts|bench|connector-images|examples)';

/** Code that a page shows is no prose: links and paths in it belong to whoever copies it. */
const proseOf = (page: string): string => readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '');

const matchesOf = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, path = '']) => path);

test.each(pages)('every link of %s leads somewhere', (page) => {
  const links = matchesOf(proseOf(page), /\]\((?![a-z]+:)([^)#\s]+)(?:#[^)]*)?\)/g);
  expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
});

test.each(pages)('every path of the project that %s names is there', (page) => {
  const paths = matchesOf(proseOf(page), new RegExp(`\`(${foldersOfTheProject}/[\\w./-]*)\``, 'g'));
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('the pages were found, with links and paths in them', () => {
  expect(pages).toContain('docs/architecture.md');
  expect(matchesOf(proseOf('docs/architecture.md'), /`(src\/[\w./-]+)`/g).length).toBeGreaterThan(10);
});
