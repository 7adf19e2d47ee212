import { expect, it } from 'vitest';
import { presignedUrl, type SigningInput, signedHeaders } from '../../../examples/client-isolation/connectors/aws/sign.ts';

/** The examples of the S3 API reference, "Signature Calculations": its own keys, time and results. */
const published: SigningInput = {
  credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  region: 'us-east-1',
  method: 'GET',
  url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'),
  now: new Date('2013-05-24T00:00:00Z'),
};

it('signs headers as the S3 reference does', () => {
  expect(signedHeaders({ ...published, headers: { range: 'bytes=0-9' } })['authorization']).toBe(
    'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  );
});

it('signs a query as the S3 reference does', () => {
  const list = new URL('https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J');
  expect(signedHeaders({ ...published, url: list })['authorization']).toContain(
    'Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  );
});

it('signs a link as the S3 reference does', () => {
  expect(presignedUrl(published, 86_400).searchParams.get('X-Amz-Signature')).toBe(
    'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  );
});
