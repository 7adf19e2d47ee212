import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { signedHeaders } from '../../examples/client-isolation/connectors/aws/sign.ts';

export interface FakeS3 extends AsyncDisposable {
  readonly host: string;
}

/** The one account of a fake S3. */
export const account = { accessKeyId: 'AKIACLIENTA', secretAccessKey: 'the-secret-of-client-a' } as const;
export const region = 'eu-central-1';

/** Lists two buckets to whoever signs with the account's secret; refuses the rest in S3's words. */
export async function startFakeS3(): Promise<FakeS3> {
  const server = createServer((request, response) => {
    if (isSigned(request)) {
      response.end(
        '<ListAllMyBucketsResult><Buckets><Bucket><Name>invoices</Name></Bucket><Bucket><Name>photos</Name></Bucket></Buckets></ListAllMyBucketsResult>',
      );
    } else {
      response.writeHead(403).end('<Error><Code>SignatureDoesNotMatch</Code></Error>');
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { host: `127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

/** Signs the request that came once more, with the account's secret and the client's time. */
function isSigned({ method = '', url = '', headers }: IncomingMessage): boolean {
  const [, year, month, day, time] = /^(\d{4})(\d\d)(\d\d)T(\d{6})Z$/.exec(String(headers['x-amz-date'])) ?? [];
  if (time === undefined) return false;
  const now = new Date(`${year}-${month}-${day}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`);
  const expected = signedHeaders({ credentials: account, region, method, url: new URL(url, `http://${headers.host}`), now });
  return headers.authorization === expected['authorization'];
}
