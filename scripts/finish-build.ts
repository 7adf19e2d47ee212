import { chmod, cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What the compiler leaves to do: files that are no TypeScript, and the mode of the bin, which npm sets only when it installs a package. */
const root = join(import.meta.dirname, '..');
const bin = join(root, 'dist/main.js');

await cp(join(root, 'src'), join(root, 'dist'), { recursive: true, filter: (source) => !source.endsWith('.ts') });
const source = await readFile(bin, 'utf8');
if (!source.startsWith('#!/usr/bin/env node\n')) throw new Error('dist/main.js lost its first line, so it cannot be run as a program');
await chmod(bin, 0o755);
