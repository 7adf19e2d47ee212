/** A listener that a runner makes inside the connector's network namespace. Its index in `EgressSession.listeners` is its identity. */
export interface ListenerPlan {
  readonly transport: 'tcp' | 'udp';
  /** `0.0.0.0` for hosts: the namespace has loopback only, and the address a client dialled (`localAddress`) says which host it means. */
  readonly address: string;
  readonly port: number;
  readonly role: 'host' | 'proxy' | 'dns';
}
