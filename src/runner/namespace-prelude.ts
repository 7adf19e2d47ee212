import { parseAddress } from '../egress/address.ts';
import type { ListenerPlan } from '../egress/listener-plan.ts';
import { descriptors, type NetworkPlan } from './sandbox-plan.ts';

/** Connections that wait while the proxy is busy. */
const backlog = 64;

/** Numbers from the same tables as sandbox/syscalls.ts. */
export const preludeCalls = {
  x64: { sendmsg: 46, prctl: 157, capset: 126, prlimit64: 302 },
  arm64: { sendmsg: 211, prctl: 167, capset: 91, prlimit64: 261 },
} as const;

/** Steps of namespace-helper/prelude.pl: what to bind, byte for byte, and what to tell Node about it. */
export function listenerSteps({ listeners, localRoutes }: NetworkPlan): readonly string[] {
  return [
    `channel ${descriptors.ipc}`,
    ...localRoutes.map((route) => `route ${routeRequest(route).toString('hex')}`),
    ...listeners.map(listenLine),
    'renounce',
  ];
}

const families = { ipv4: 2, ipv6: 10 } as const;
const socketTypes = { tcp: 1, udp: 2 } as const;

/** Node’s channel: what a parent gets from `process.send(message, handle)`, see lib/internal/child_process.js of Node. */
function listenLine({ transport, address, port }: ListenerPlan, index: number): string {
  const family = addressBytes(address).length === 16 ? families.ipv6 : families.ipv4;
  const message = JSON.stringify({
    cmd: 'NODE_HANDLE',
    type: transport === 'tcp' ? 'net.Server' : 'dgram.Socket',
    dgramType: family === families.ipv6 ? 'udp6' : 'udp4',
    msg: { index },
  });
  const waiting = transport === 'tcp' ? backlog : 0;
  return `listen ${family} ${socketTypes[transport]} ${waiting} ${socketAddress(address, port).toString('hex')} ${message}`;
}

/** struct sockaddr_in and sockaddr_in6, see ip(7), ipv6(7). */
function socketAddress(address: string, port: number): Buffer {
  const bytes = addressBytes(address);
  const isV6 = bytes.length === 16;
  const head = [int16(isV6 ? families.ipv6 : families.ipv4), Buffer.from([port >> 8, port & 0xff])];
  return Buffer.concat([...head, Buffer.alloc(isV6 ? 4 : 0), bytes, Buffer.alloc(isV6 ? 4 : 8)]);
}

/** RTM_NEWROUTE as of `ip route add local ADDRESS dev lo`: what the connector dials by address lands on its own listeners. See rtnetlink(7). */
export function routeRequest(route: string): Buffer {
  const [address = '', prefix] = route.split('/');
  const destination = addressBytes(address);
  const isV6 = destination.length === 16;
  const constants = { newRoute: 24, flags: 0x605, tableLocal: 255, bootProtocol: 3, hostScope: 254, localType: 2, loopback: 1 } as const;
  const bits = prefix === undefined ? destination.length * 8 : Number(prefix);
  const { tableLocal, bootProtocol, hostScope, localType } = constants;
  const message = Buffer.from([
    isV6 ? families.ipv6 : families.ipv4,
    bits,
    0,
    0,
    tableLocal,
    bootProtocol,
    hostScope,
    localType,
    0,
    0,
    0,
    0,
  ]);
  const attributes = [attribute(1, destination), attribute(4, int32(constants.loopback))];
  const body = Buffer.concat([message, ...attributes]);
  const header = Buffer.concat([int32(16 + body.length), int16(constants.newRoute), int16(constants.flags), int32(1), int32(0)]);
  return Buffer.concat([header, body]);
}

/** Lengths of attributes with 4 and 16 bytes need no padding. */
function attribute(type: number, value: Buffer): Buffer {
  return Buffer.concat([int16(4 + value.length), int16(type), value]);
}

/** Both architectures are little endian. */
function int16(value: number): Buffer {
  return Buffer.from([value & 0xff, value >> 8]);
}

function int32(value: number): Buffer {
  return Buffer.concat([int16(value & 0xffff), int16(value >>> 16)]);
}

function addressBytes(address: string): Buffer {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new RangeError(`The gateway planned a listener on ${address}, which is no address.`);
  return Buffer.from(parsed.bytes);
}
