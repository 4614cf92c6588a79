import type { PeerFailure } from '../protocol/eap/tls-peer.js';
import type { PacClosed } from '../protocol/pana/session/pac-interface.js';
import type { DropCode } from '../protocol/pana/session/session.js';
import { hookGauges } from '../runtime/hooks/reporter.js';
import type { HookView } from '../runtime/hooks/runner.js';
import { FAULT_COUNTERS } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions, pairs } from '../runtime/service/metric-descriptions.js';
import type { Metrics } from '../runtime/service/metrics.js';

/** The reasons whose series exist from the start; the series of other reasons appear when they occur. */
const DROPPED: readonly DropCode[] = ['truncated', 'auth', 'unknown-session', 'unexpected', 'out-of-sequence'];

const CLOSED: readonly PacClosed[] = [
  'authentication-rejected',
  'authorization-rejected',
  'eap-failed',
  'no-progress',
  'no-answer',
  'lifetime-expired',
  'terminated-by-paa',
  'terminated',
  'fault',
];

const FAILED: readonly PeerFailure[] = [
  'server-certificate',
  'server-name',
  'extended-master-secret',
  'tls-alert',
  'fragments',
  'too-many-rounds',
  'refused',
  'protocol',
];

/** Counters and timers of pana-pac. */
export const PAC_METRICS: MetricDescriptions = {
  counters: {
    datagrams: {
      help: 'PANA datagrams received from and sent to PAAs, including retransmissions',
      series: each('direction', ['in', 'out']),
    },
    dropped: {
      help: 'Dropped PANA messages or EAP packets, by reason: malformed, unexpected, not protected',
      series: each('code', DROPPED),
    },
    eap_failures: {
      help: 'Failed authentications, by reason: the server is not trusted, refuses, or violates the protocol',
      series: each('reason', FAILED),
    },
    sessions: {
      help: 'Sessions by outcome: authorized, reauthenticated, pre-authenticated or failed to be, replaced by a session with another PAA, or the cause of their end',
      series: each('result', [
        'authorized',
        'reauthenticated',
        'pre-authenticated',
        'pre-authentication-failed',
        'replaced',
        'moved',
        ...CLOSED,
      ]),
    },
    network_events: {
      help: 'Events that the kernel reported about links, addresses and routes; unreadable: lines of the monitor that are no event; lost: the monitor ended, or reported more than 1,000 events a second',
      series: each('kind', ['link', 'address', 'router', 'prefix', 'route', 'unreadable', 'lost']),
    },
    network_changes: {
      help: 'Signs that this node may be on another link; its PAA is then asked for the session',
      series: each('reason', ['link-up', 'router', 'prefix', 'wake', 'events-lost']),
    },
    moves: { help: 'Moves of the session to another address of this node' },
    hook_runs: {
      help: 'Runs of the hook of the mobile node, by event and result; failed hooks are retried',
      series: pairs('event', ['up', 'refresh', 'move', 'down', 'reconfigure'], 'result', ['ok', 'failed', 'refused']),
    },
    ...FAULT_COUNTERS,
  },
  times: {
    bootstrap: { help: 'Time from the start of a session with a PAA to its first authorization' },
  },
};

export interface PacMeasuredParts {
  readonly hasSession: () => boolean;
  /** Number of PAAs. */
  readonly preAuthenticated: () => number;
  readonly hasHomeAddress: () => boolean;
  readonly hooks: () => readonly HookView[];
}

/** Registers gauges of the state of the node. */
export function registerGauges(
  metrics: Metrics,
  { hasSession, preAuthenticated, hasHomeAddress, hooks }: PacMeasuredParts,
): void {
  metrics.gauge('session_open', 'Whether this node has an authorized session with a PAA', () => Number(hasSession()));
  const early = 'PAAs to which this node may move, and with which it is authenticated';
  metrics.gauge('pre_authenticated_sessions', early, preAuthenticated);
  metrics.gauge('home_address_assigned', 'Whether this node has a home agent and a home address', () =>
    Number(hasHomeAddress()),
  );
  hookGauges(metrics, hooks);
}
