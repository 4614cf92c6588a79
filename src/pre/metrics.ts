import type { RelayDrop } from '../protocol/pana/relay/relay.js';
import { FAULT_COUNTERS } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions, pairs } from '../runtime/service/metric-descriptions.js';

/** The reasons whose series exist from the start; the series of other reasons appear when they occur. */
const DROPPED: readonly RelayDrop[] = [
  'truncated',
  'leftover',
  'nested',
  'no-way',
  'pci-of-address',
  'pci-of-network',
  'pci-in-all',
  'messages-of-address',
  'messages-in-all',
  'messages-to-address',
  'unknown-client',
];

/** Counters of pana-pre. */
export const PRE_METRICS: MetricDescriptions = {
  counters: {
    datagrams: {
      help: 'PANA datagrams received from and sent to clients and the PAA',
      series: pairs('end', ['client', 'paa'], 'direction', ['in', 'out']),
    },
    dropped: {
      help: 'Datagrams that were not relayed, by reason: malformed, over a limit, for an unknown client, nested relays',
      series: each('code', DROPPED),
    },
    ...FAULT_COUNTERS,
  },
};
