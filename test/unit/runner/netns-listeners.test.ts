import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { EgressSession } from '../../../src/egress/gateway.ts';
import { connectionsMax, questionsMax, takeListeners } from '../../../src/runner/netns-listeners.ts';

/** What of a child process matters here: it emits messages with handles. */
const channel = () => Object.assign(new EventEmitter(), { connected: false }) as unknown as ChildProcess;

function sessionThat(changes: Partial<EgressSession>): EgressSession {
  return {
    listeners: [],
    hosts: [],
    localRoutes: [],
    environment: {},
    accept: (_index, socket) => void socket.destroy(),
    answerDns: async () => undefined,
    close: () => {},
    ...changes,
  };
}

async function udp() {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

async function tcp() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

it('answers questions with the session, and drops those over the limit', async () => {
  const child = channel();
  let asked = 0;
  const release = Promise.withResolvers<void>();
  const answerDns = async (query: Uint8Array) => {
    asked++;
    await release.promise;
    return Buffer.from(`re: ${Buffer.from(query)}`);
  };
  const listeners = takeListeners(child, sessionThat({ answerDns }));
  const [responder, client] = [await udp(), await udp()];
  child.emit('message', { index: 0 }, responder);
  const answers: string[] = [];
  client.on('message', (message) => answers.push(message.toString()));
  for (let question = 0; question < questionsMax + 20; question++) {
    client.send(`q${question}`, responder.address().port, '127.0.0.1');
    await sleep(1);
  }
  await expect.poll(() => asked).toBe(questionsMax);
  release.resolve();
  await expect.poll(() => answers.length).toBe(questionsMax);
  expect(answers).toContain('re: q0');
  client.close();
  listeners.close();
});

it('hands connections on with their index, half open, and refuses those over the limit', async () => {
  const child = channel();
  const taken: [number, boolean][] = [];
  const listeners = takeListeners(child, sessionThat({ accept: (index, socket) => void taken.push([index, socket.allowHalfOpen]) }));
  const server = await tcp();
  child.emit('message', { index: 7 }, server);
  const clients = Array.from({ length: connectionsMax + 5 }, () =>
    connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {}),
  );
  await expect.poll(() => taken.length).toBe(connectionsMax);
  await sleep(50);
  expect(taken).toHaveLength(connectionsMax);
  expect(taken[0]).toEqual([7, true]);
  for (const client of clients) client.destroy();
  listeners.close();
});

it('closes what it has, and what comes later', async () => {
  const child = channel();
  const listeners = takeListeners(child, sessionThat({}));
  const [early, late] = [await tcp(), await tcp()];
  child.emit('message', { index: 0 }, early);
  listeners.close();
  listeners.close();
  child.emit('message', { index: 1 }, late);
  await expect.poll(() => [early.listening, late.listening]).toEqual([false, false]);
});
