import { describe, expect, test } from 'vitest';
import { createApiKeys, hashApiKey } from '../../../src/http/api-keys.ts';

const all = { name: 'arena', keyHash: hashApiKey('s3cret'), connectors: ['*'] };
const limited = { name: 'aws-only', keyHash: hashApiKey('café ☃'), connectors: ['aws'] };
/** As Node hands over header bytes. */
const header = (key: string): string => Buffer.from(key).toString('latin1');

describe('createApiKeys', () => {
  test('without keys everybody may see everything', () => {
    expect(createApiKeys([]).find(undefined)?.allows('anything')).toBe(true);
  });

  test('a key gives the access that goes with it', () => {
    const keys = createApiKeys([all, limited]);
    expect(keys.find('s3cret')).toMatchObject({ keyName: 'arena' });
    expect(keys.find('s3cret')?.allows('smtp')).toBe(true);
    expect(keys.find(header('café ☃'))).toMatchObject({ keyName: 'aws-only' });
    expect(keys.find(header('café ☃'))?.allows('aws')).toBe(true);
    expect(keys.find(header('café ☃'))?.allows('smtp')).toBe(false);
  });

  test.each([undefined, '', 's3cre', 's3cret ', 'S3CRET', 's3cret, s3cret', 'caf\u00e9', '*'])('%j is no key', (value) => {
    expect(createApiKeys([all, limited]).find(value)).toBeUndefined();
  });
});
