import type { NetworkRule } from './host-pattern.ts';

/**
 * What a connector may reach. `none`: nothing. `observe`: everything, each step outside the rules on record, private ranges still
 * refused. `unrestricted`: every public address, still through the egress gateway. `unsafe-host`: the host's own network, past the gateway.
 */
export type NetworkPolicy =
  | { readonly type: 'none' }
  | { readonly type: 'rules'; readonly rules: readonly NetworkRule[] }
  | { readonly type: 'observe'; readonly rules: readonly NetworkRule[] }
  | { readonly type: 'unrestricted' }
  | { readonly type: 'unsafe-host' };

/** Whether there is a way out, and the egress gateway is it. With `none` and `unsafe-host` the kernel alone refuses, or nothing does. */
export function isThroughGateway(network: NetworkPolicy): network is Exclude<NetworkPolicy, { readonly type: 'none' | 'unsafe-host' }> {
  return network.type !== 'none' && network.type !== 'unsafe-host';
}
