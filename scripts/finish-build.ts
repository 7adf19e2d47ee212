import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';

// npm sets the mode of a bin only when it installs a package; a built checkout must run too.
const bin = join(import.meta.dirname, '../dist/main.js');
const source = await readFile(bin, 'utf8');
if (!source.startsWith('#!/usr/bin/env node\n')) throw new Error('dist/main.js lost its first line, so it cannot be run as a program');
await chmod(bin, 0o755);
