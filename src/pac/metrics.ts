import type { PeerFailure } from '../protocol/eap/tls-peer.js';
import type { PacClosed } from '../protocol/pana/session/pac-interface.js';
import type { DropCode } from '../protocol/pana/session/session.js';
import { FAULT_COUNTERS } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions, pairs } from '../runtime/service/metrics.js';

/** Reasons that operators look for first; the others come when they happen. */
const DROPPED: readonly DropCode[] = ['truncated', 'auth', 'unknown-session', 'unexpected', 'out-of-sequence'];

const CLOSED: readonly PacClosed[] = [
  ...(['authentication-rejected', 'authorization-rejected', 'eap-failed', 'no-progress', 'no-answer'] as const),
  ...(['lifetime-expired', 'terminated-by-paa', 'terminated', 'fault'] as const),
];

const FAILED: readonly PeerFailure[] = [
  ...([
    'server-certificate',
    'server-name',
    'extended-master-secret',
    'tls-alert',
    'fragments',
    'too-many-rounds',
    'refused',
  ] as const),
  'protocol',
];

/** What pana-pac counts and times. */
export const PAC_METRICS: MetricDescriptions = {
  counters: {
    datagrams: {
      help: 'PANA datagrams that came in from PAAs, or went out to them, repeated ones included',
      series: each('direction', ['in', 'out']),
    },
    dropped: {
      help: 'PANA messages, or EAP in them, that changed nothing, by reason: malformed, unexpected, not protected',
      series: each('code', DROPPED),
    },
    eap_failures: {
      help: 'Authentications that failed, by reason: the server is not trusted, refuses, or breaks the protocol',
      series: each('reason', FAILED),
    },
    sessions: {
      help: 'What became of sessions: authorized, reauthenticated, replaced by one with another PAA, or why they ended',
      series: each('result', ['authorized', 'reauthenticated', 'replaced', 'moved', ...CLOSED]),
    },
    moves: { help: 'Times that the session went on from another address of this node' },
    hook_runs: {
      help: "Runs of the mobile node's hook by event and result; a hook that failed is tried again",
      series: pairs('event', ['up', 'refresh', 'move', 'down', 'reconfigure'], 'result', ['ok', 'failed', 'refused']),
    },
    ...FAULT_COUNTERS,
  },
  times: {
    bootstrap: { help: 'Time from the beginning of a session with a PAA to its first authorization' },
  },
};
