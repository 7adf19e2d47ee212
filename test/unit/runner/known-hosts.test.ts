import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fingerprintOf, judgeHostKey, keyType, knownHostName, knownKeyTypes } from '../../../src/runner/known-hosts.ts';
import { makeHostKey } from '../../helpers/ssh-engine.ts';

const [mine, other] = [makeHostKey('ed25519').public.trim(), makeHostKey('ed25519').public.trim()];
const ecdsa = makeHostKey('ecdsa').public.trim();
const key = Buffer.from(mine.split(' ')[1] ?? '', 'base64');
const host = 'engine.example';

test.each([
  ['its name', `${host} ${mine}`, 'known'],
  ['its name, with a comment behind', `${host} ${mine} somebody@somewhere`, 'known'],
  ['its name in another case, among others', `10.0.0.1,Engine.Example\t${mine}\r`, 'known'],
  ['a pattern', `*.example ${mine}`, 'known'],
  ['a pattern of single characters', `engine.exampl? ${mine}`, 'known'],
  ['a pattern that excludes it', `*.example,!engine.example ${mine}`, 'unknown'],
  ['a name with a dot that is no wildcard', `engine-example ${mine}`, 'unknown'],
  ['the name of another host', `other.example ${mine}`, 'unknown'],
  ['its name with another port', `[${host}]:2222 ${mine}`, 'unknown'],
  ['a remark', `# ${host} ${mine}`, 'unknown'],
  ['a line that is cut off', `${host} ssh-ed25519`, 'unknown'],
  ['another kind of key', `${host} ${ecdsa}`, 'unknown'],
  ['another key of its kind', `${host} ${other}`, 'changed'],
  ['the key, and another one before it', `${host} ${other}\n${host} ${mine}`, 'known'],
  ['an authority with that key', `@cert-authority ${host} ${mine}`, 'unknown'],
  ['the key as revoked', `${host} ${mine}\n@revoked * ${mine}`, 'revoked'],
  ['another key as revoked', `${host} ${mine}\n@revoked * ${other}`, 'known'],
  ['nothing', '', 'unknown'],
])('a file that has %s', (_, text, verdict) => {
  expect(judgeHostKey([text], host, key)).toBe(verdict);
});

test('a key may be in the second of two files, and be revoked by it', () => {
  expect(judgeHostKey(['', `${host} ${mine}`], host, key)).toBe('known');
  expect(judgeHostKey([`${host} ${mine}`, `@revoked ${host} ${mine}`], host, key)).toBe('revoked');
});

test.each([
  ['Engine.Example', 22, 'engine.example'],
  ['engine.example', 2222, '[engine.example]:2222'],
  ['::1', 2222, '[::1]:2222'],
])('%s at port %i is written as %s', (name, port, expected) => {
  expect(knownHostName(name, port)).toBe(expected);
  expect(judgeHostKey([`${expected} ${mine}`], expected, key)).toBe('known');
});

test('the kinds that are known of a host', () => {
  const text = `${host} ${ecdsa}\n${host} ${mine}\nother.example ${other}\n@revoked ${host} ssh-rsa AAAA`;
  expect(knownKeyTypes([text], host)).toEqual(['ecdsa-sha2-nistp256', 'ssh-ed25519']);
});

test('hashed names and fingerprints are those of ssh-keygen', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  const file = join(folder, 'known_hosts');
  await writeFile(file, `${host} ${mine}\n[${host}]:2222 ${other}\n`);
  const shown = execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' });
  expect(shown).toContain(fingerprintOf(key));
  execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'pipe' });
  const hashed = await readFile(file, 'utf8');
  expect(hashed).not.toContain(host);
  expect(judgeHostKey([hashed], host, key)).toBe('known');
  expect(judgeHostKey([hashed], knownHostName(host, 2222), key)).toBe('changed');
  expect(judgeHostKey([hashed], 'other.example', key)).toBe('unknown');
  await rm(folder, { recursive: true });
});

test('the kind of a key is its first field', () => {
  expect(keyType(key)).toBe('ssh-ed25519');
  expect(keyType(Buffer.alloc(2))).toBe('');
});
