import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { noAuditLog } from '../../../src/egress/audit.ts';
import { readClientHello } from '../../../src/egress/client-hello.ts';
import { readDnsQuestion } from '../../../src/egress/dns-message.ts';
import { createEgressGateway } from '../../../src/egress/gateway.ts';
import { silentLogger } from '../../../src/log.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';

const bytes = fc.uint8Array({ maxLength: 400 });
const pieces = fc.constantFrom(
  'GET ',
  'CONNECT ',
  'POST ',
  'http://',
  'a.ok.example',
  'evil.example',
  'evil.example:80',
  'ok.example:80',
  '127.0.0.1',
  '[::1]',
  '@',
  ':80',
  ':443',
  '/',
  '/x?y',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0\r\n',
  'Host: a.ok.example\r\n',
  'Host: evil.example\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: keep-alive\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: websocket\r\n',
  '\r\n',
  '\n',
  '0\r\n\r\n',
  'abc',
  '\x05\x01\x00',
  '\x05\x01\x00\x03\x0ca.ok.example\x00\x50',
  '\x05\x01\x00\x03\x0cevil.example\x00\x50',
  '\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50',
  '\x00',
  '\x16\x03\x01',
);
const texts = fc.array(pieces, { minLength: 1, maxLength: 20 }).map((parts) => Buffer.from(parts.join(''), 'latin1'));
const request = fc
  .tuple(
    fc.constantFrom('GET', 'CONNECT', 'POST', 'TRACE'),
    fc.constantFrom('', 'http://', 'HTTP://', 'ws://'),
    fc.array(pieces, { maxLength: 4 }),
  )
  .map(([method, scheme, host]) => Buffer.from(`${method} ${scheme}${host.join('')} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1'));

const requestTo = (host: string) => Buffer.from(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

it('whatever is sent to the proxy port, nothing throws or hangs, and no name outside the rules is ever resolved', async () => {
  const lookups: string[] = [];
  const gateway = createEgressGateway({
    audit: noAuditLog,
    log: silentLogger,
    limits: { headTimeoutMs: 50, connectionsMax: 10_000 },
    resolve: async (name) => {
      lookups.push(name);
      throw new Error('no network in this test');
    },
  });
  let denials = 0;
  const session = gateway.open({
    connector: 'x' as ConnectorName,
    network: { type: 'rules', rules: [networkRule('*.ok.example:80')] },
    onDenied: () => {
      denials += 1;
    },
    invocations: () => [],
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(bytes, texts, request), { minLength: 1, maxLength: 3 }), fc.boolean(), async (chunks, ends) => {
      const [client, server] = duplexPair();
      const closed = new Promise<void>((resolve) => server.once('close', resolve));
      client.on('error', () => {}).resume();
      session.accept(0, server);
      for (const chunk of chunks) client.write(chunk);
      if (ends) client.end();
      // A client that stays without a whole request is ended by the time-out, so this settles in every case.
      client.once('end', () => client.end());
      await closed;
      client.destroy();
      expect(lookups.filter((name) => !name.endsWith('.ok.example'))).toEqual([]);
    }),
    // The examples see to it that both verdicts are reached, whatever the seed.
    {
      numRuns: 400,
      examples: [
        [[requestTo('a.ok.example')], true],
        [[requestTo('evil.example')], true],
      ],
    },
  );
  expect(lookups.length).toBeGreaterThan(0);
  expect(denials).toBeGreaterThan(0);
  await gateway.close();
}, 60_000);

it('a ClientHello reader takes any bytes, and a prefix never says less than TLS', () => {
  const start = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from([22, 3, 1, 0, 50, 1, 0, 0, 46, 3, 3]),
    Buffer.from([22, 3, 1, 0, 1, 1, 22, 3, 1]),
  );
  fc.assert(
    fc.property(start, bytes, (head, tail) => {
      const all = Buffer.concat([head, tail]);
      const whole = readClientHello(all).type;
      for (let length = 1; length < all.length; length += 7) {
        const part = readClientHello(all.subarray(0, length)).type;
        if (whole === 'hello') expect(['incomplete', 'hello']).toContain(part);
      }
    }),
  );
});

it('a DNS reader takes any bytes', () => {
  const header = Buffer.from([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  fc.assert(
    fc.property(bytes, fc.boolean(), (tail, isQuery) => {
      const question = readDnsQuestion(isQuery ? Buffer.concat([header, tail]) : tail);
      if (question) expect(question.name).toMatch(/^[\x21-\x7e]*$/);
    }),
    { numRuns: 2_000 },
  );
});
