import type { Nas } from '../protocol/nas/nas.js';
import type { PaaClosed } from '../protocol/pana/session/paa-session.js';
import type { DropCode } from '../protocol/pana/session/session.js';
import { DIAMETER_COUNTERS } from '../runtime/diameter/reporter.js';
import { FAULT_COUNTERS } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions, type Metrics, pairs } from '../runtime/service/metrics.js';

/** Reasons that operators look for first; the others come when they happen. */
const DROPPED: readonly DropCode[] = [
  ...(['truncated', 'auth', 'unknown-session', 'unexpected', 'out-of-sequence', 'bad-start'] as const),
  ...(['pci-of-address', 'pci-of-network', 'pci-in-all'] as const),
  ...(['half-open-of-address', 'half-open-of-network', 'half-open-in-all'] as const),
  ...(['sessions-in-all', 'address-held', 'echo'] as const),
];

const CLOSED: readonly PaaClosed[] = [
  ...(['rejected', 'eap-timeout', 'no-progress', 'no-answer', 'lifetime-expired'] as const),
  ...(['logout', 'administrative', 'session-timeout', 'replaced', 'pushed-out', 'fault'] as const),
];

/** What pana-paa counts and times. */
export const PAA_METRICS: MetricDescriptions = {
  counters: {
    datagrams: {
      help: 'PANA datagrams that came in from clients, or went out to them, repeated ones included',
      series: each('direction', ['in', 'out']),
    },
    dropped: {
      help: 'PANA messages, or EAP in them, that changed nothing, by reason: malformed, unexpected, over a limit',
      series: each('code', DROPPED),
    },
    authorizations: {
      help: 'Authentications by result: authorized, reauthenticated, refused, postponed (no verdict of the AAA server)',
      series: each('result', ['authorized', 'reauthenticated', 'refused', 'postponed']),
    },
    sessions_ended: {
      help: 'PANA sessions that ended, by cause, those that were never authorized included',
      series: each('cause', CLOSED),
    },
    moves: { help: 'Sessions that went on from another address of their client' },
    unfit_assignments: {
      help: 'Unusable home agents or home addresses from AAA servers: access without Mobile IPv6',
    },
    aaa_failures: { help: 'EAP messages for which no AAA server gave an answer of use' },
    hook_runs: {
      help: "Runs of enforcement point's and local home agent's hooks by event and result; a hook that failed is tried again",
      series: pairs('event', ['start', 'permit', 'revoke', 'move', 'stop', 'up', 'refresh', 'down'], 'result', [
        'ok',
        'failed',
        'refused',
      ]),
    },
    ...DIAMETER_COUNTERS,
    ...FAULT_COUNTERS,
  },
  times: {
    bootstrap: { help: "Time from a client's answer that begins a session to its first authorization" },
  },
};

/** Gauges of what the NAS holds. */
export function paaGauges(metrics: Metrics, nas: Nas): void {
  metrics.gauge('sessions', 'PANA sessions under way, half-open ones included', () => nas.size);
  const halfOpen = 'PANA sessions whose first authentication is not over';
  metrics.gauge('half_open_sessions', halfOpen, () => nas.halfOpen);
}
