import type { NodePeerStatus } from '../protocol/diameter/node/alphabet.js';
import type { Nas } from '../protocol/nas/nas.js';
import type { PaaClosed } from '../protocol/pana/session/paa-interface.js';
import type { DropCode } from '../protocol/pana/session/session.js';
import { DIAMETER_COUNTERS, peerGauge } from '../runtime/diameter/reporter.js';
import { hookGauges } from '../runtime/hooks/reporter.js';
import type { HookView } from '../runtime/hooks/runner.js';
import { RADIUS_CLIENT_COUNTERS } from '../runtime/radius/reporter.js';
import { FAULT_COUNTERS } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions, pairs } from '../runtime/service/metric-descriptions.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { DHCP_COUNTERS } from './dhcp-relay.js';

/** The reasons whose series exist from the start; the series of other reasons appear when they occur. */
const DROPPED: readonly DropCode[] = [
  'truncated',
  'auth',
  'unknown-session',
  'unexpected',
  'out-of-sequence',
  'unknown-relay',
  'bad-start',
  'pci-of-address',
  'pci-of-network',
  'pci-in-all',
  'half-open-of-address',
  'half-open-of-network',
  'half-open-in-all',
  'sessions-in-all',
  'pre-authentication',
  'pre-authenticated-in-all',
  'half-open-pre-authenticated',
  'address-held',
  'echo',
];

const CLOSED: readonly PaaClosed[] = [
  'rejected',
  'eap-timeout',
  'no-progress',
  'no-answer',
  'lifetime-expired',
  'logout',
  'administrative',
  'session-timeout',
  'replaced',
  'pushed-out',
  'fault',
];

/** Counters and timers of pana-paa. */
export const PAA_METRICS: MetricDescriptions = {
  counters: {
    datagrams: {
      help: 'PANA datagrams received from and sent to clients, including retransmissions',
      series: each('direction', ['in', 'out']),
    },
    dropped: {
      help: 'Dropped PANA messages or EAP packets, by reason: malformed, unexpected, over a limit',
      series: each('code', DROPPED),
    },
    authorizations: {
      help: 'Authentications by result: authorized (for a pre-authenticated client when it comes), reauthenticated, pre-authenticated, refused, postponed (no verdict of the AAA server)',
      series: each('result', ['authorized', 'reauthenticated', 'pre-authenticated', 'refused', 'postponed']),
    },
    sessions_ended: {
      help: 'PANA sessions that ended, by cause, including those never authorized',
      series: each('cause', CLOSED),
    },
    moves: { help: 'Sessions that moved to another address of their client' },
    unfit_assignments: {
      help: 'Unusable home agents or home addresses from AAA servers; the client gets access without Mobile IPv6',
    },
    aaa_failures: { help: 'EAP messages without a usable answer from an AAA server' },
    hook_runs: {
      help: 'Runs of the hooks of the enforcement point and of the local home agent, by event and result; failed hooks are retried',
      series: pairs(
        'event',
        ['start', 'permit', 'revoke', 'move', 'check', 'stop', 'up', 'refresh', 'down'],
        'result',
        ['ok', 'failed', 'refused'],
      ),
    },
    ...DHCP_COUNTERS,
    ...DIAMETER_COUNTERS,
    ...RADIUS_CLIENT_COUNTERS,
    ...FAULT_COUNTERS,
  },
  times: {
    bootstrap: { help: 'Time from the PAN[S] of a client to its first authorization' },
  },
};

export interface PaaMeasuredParts {
  readonly nas: Pick<Nas, 'size' | 'halfOpen' | 'preAuthenticated' | 'encrypting'>;
  /** Diameter peers. */
  readonly peers: () => readonly NodePeerStatus[];
  /** RADIUS servers. */
  readonly servers: () => readonly NodePeerStatus[];
  /** Number of Accounting-Requests that wait. */
  readonly accounting: () => number;
  readonly hooks: () => readonly HookView[];
}

/** Registers gauges of the state of the PAA. */
export function registerGauges(metrics: Metrics, { nas, peers, servers, accounting, hooks }: PaaMeasuredParts): void {
  metrics.gauge('sessions', 'PANA sessions, including half-open ones', () => nas.size);
  const halfOpen = 'PANA sessions whose first authentication is not complete';
  metrics.gauge('half_open_sessions', halfOpen, () => nas.halfOpen);
  const encrypting = 'Authenticated PANA sessions that encrypt AVPs (RFC 6786)';
  metrics.gauge('encrypted_sessions', encrypting, () => nas.encrypting);
  const early = 'PANA sessions of clients that are authenticated and have not come to this network yet';
  metrics.gauge('pre_authenticated_sessions', early, () => nas.preAuthenticated);
  peerGauge(metrics, peers);
  metrics.gauges('radius_server_up', 'Whether a configured RADIUS server answers', ['peer'], () =>
    servers().map(({ host, state }) => ({ labels: { peer: host }, value: state === 'Open' ? 1 : 0 })),
  );
  metrics.gauge('radius_accounting_waiting', 'Accounting-Requests that no server has acknowledged yet', accounting);
  hookGauges(metrics, hooks);
}
