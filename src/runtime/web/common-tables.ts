import type { NodePeerStatus } from '../../protocol/diameter/node/alphabet.js';
import type { HookView } from '../hooks/runner.js';
import type { Metrics } from '../service/metrics.js';
import type { Rows } from './page.js';

/** Single values by name. */
export function factRows(facts: Readonly<Record<string, unknown>>): Rows {
  return Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [[name, { name, value }]]));
}

export function peerRows(peers: readonly NodePeerStatus[]): Rows {
  return peers.map((peer) => [peer.host, { ...peer, up: peer.state.endsWith('Open') }]);
}

/** Unfinished hooks. Several of one subject and event are one row. */
export function hookRows(hooks: readonly HookView[]): Rows {
  return hooks.map((hook) => [`${hook.role} ${hook.subject} ${hook.event}`, { ...hook }]);
}

export async function counterRows(metrics: Metrics): Promise<Rows> {
  return Object.entries(await metrics.counters()).map(([name, value]) => [name, { name, value }]);
}
