import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { allocateOwned, giveBack } from '../../../src/lib/owned-memory.ts';
import { utf8Of } from '../../../src/lib/pieces.ts';
import { serveApp } from './served-app.ts';

/** About 300 KB, which comes in several chunks whatever the network does. */
const rows = JSON.stringify(Array.from({ length: 6000 }, (_, index) => ({ id: index, name: `Käufer ${index}`, big: '\ud83d\ude00' })));
const body = `{"rows": ${rows}, "spiff__task_data": {"x": [1]}, "last": 1.0}`;
const input = `{"rows": ${rows}, "last": 1.0}`;

describe('a body that comes in many chunks is read as it comes', () => {
  test.each([
    ['of known length', Buffer.from(body), {}],
    ['of unknown length', Buffer.from(body), { 'Transfer-Encoding': 'chunked' }],
    ['behind a byte order mark', Buffer.from(`\ufeff${body}`), {}],
    ['in UTF-16', Buffer.from(`\ufeff${body}`, 'utf16le'), {}],
  ])('%s', async (_, bytes, headers) => {
    await using app = await serveApp();
    expect((await app.invoke(bytes, headers)).status).toBe(200);
    expect(utf8Of(app.invocations[0]?.input ?? '')).toBe(input);
  });

  test.each([
    ['no JSON', body.replace('"id":5000,', '"id":5000 '), 'a comma or the end of an object is expected'],
    ['cut off', body.slice(0, -1), 'it ends too early'],
    ['followed by something', `${body}}`, 'something follows the value'],
  ])('one that is %s is refused in the words of a small one', async (_, text, reason) => {
    await using app = await serveApp();
    const answer = await app.invoke(text);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body).error.message).toContain(reason);
    expect(app.invocations).toEqual([]);
  });

  test('one that is not UTF-8 is refused, with the place', async () => {
    await using app = await serveApp();
    const bytes = Buffer.from(body);
    const at = bytes.indexOf('ä', 200_000);
    bytes[at] = 0xff;
    const answer = await app.invoke(bytes);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body).error.message).toMatch(/at byte \d+: it is not UTF-8/);
    expect(Math.abs(Number(/byte (\d+)/.exec(answer.body)?.[1]) - at)).toBeLessThanOrEqual(3);
  });

  test('one over the bound is refused when it is met, though its length was not told', async () => {
    await using app = await serveApp({ server: { bodyBytesMax: 100_000 } });
    expect((await app.invoke(body, { 'Transfer-Encoding': 'chunked' })).status).toBe(413);
  });

  test('a byte order mark that is split over chunks is still one', async () => {
    await using app = await serveApp();
    const bytes = Buffer.from(`\ufeff${body}`);
    const socket = connect({ port: app.port, noDelay: true });
    socket.write(`POST /v1/do/test/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    for (const part of [bytes.subarray(0, 1), bytes.subarray(1, 2), bytes.subarray(2)]) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.write(part);
    }
    const [head] = await new Promise<[Buffer]>((resolve) => socket.once('data', (chunk: Buffer) => resolve([chunk])));
    expect(head.toString('latin1', 0, 15)).toBe('HTTP/1.1 200 OK');
    socket.destroy();
    expect(utf8Of(app.invocations[0]?.input ?? '')).toBe(input);
  });

  test('the memory of one whose sender leaves serves the next', async () => {
    await using app = await serveApp({ server: { bodyBytesMax: 10_000_000 } });
    const socket = connect({ port: app.port, noDelay: true });
    const bytes = 8_000_000;
    socket.write(`POST /v1/do/test/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`);
    socket.write('{'.padEnd(1_000_000));
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await expect.poll(() => app.lines.some(({ code }) => code === 'cancelled')).toBe(true);
    const next = allocateOwned(bytes);
    expect(next.toString('latin1', 0, 3)).toBe('{  ');
    giveBack(next);
  });
});
