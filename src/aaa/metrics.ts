import type { NodePeerStatus } from '../protocol/diameter/node/alphabet.js';
import type { HomeAgent } from '../protocol/home/records.js';
import { SERVICES } from '../protocol/mip6/services.js';
import { DIAMETER_COUNTERS, peerGauge } from '../runtime/diameter/reporter.js';
import type { ServerJudge } from '../runtime/eap/engine.js';
import type { EapServerOptions } from '../runtime/eap/server.js';
import { hookGauges } from '../runtime/hooks/reporter.js';
import type { HookView } from '../runtime/hooks/runner.js';
import { FAULT_COUNTERS } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions, pairs } from '../runtime/service/metric-descriptions.js';
import type { Metrics, Sample } from '../runtime/service/metrics.js';
import type { CancelTimer, Host } from '../runtime/system/host.js';
import { datedCertificates, nextEnds } from '../runtime/tls/expiry.js';
import { STORE_CLASSES } from '../store/operation.js';
import type { StoreStatistics } from '../store/records.js';
import type { StoreCalls } from './measured-store.js';
import { RADIUS_COUNTERS } from './radius-server.js';

/** How long the list of home agents and the counts of whole tables are cached, in milliseconds. */
const HOME_AGENTS_FRESH = 5_000;
const STATISTICS_FRESH = 60_000;

/** How long a scrape waits for the store, in milliseconds. */
const PATIENCE = 2_000;

/** Buckets in seconds. Most calls wait for at most one commit. */
const STORE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Counters and histograms of pana-aaa. */
export const AAA_METRICS: MetricDescriptions = {
  counters: {
    authentications: {
      help: 'EAP conversations that ended, by result: accepted, or why they were refused',
      series: each('result', ['accepted']),
    },
    bootstraps: {
      help: 'Accepted nodes by Mobile IPv6 outcome: assigned, refreshed, local, or the reason for none',
      series: each('result', ['assigned', 'refreshed', 'local', 'not-wanted', 'no-home-agent', 'store']),
    },
    handshakes: {
      help: 'TLS handshakes of accepted nodes, by version of TLS, full or resumed',
      series: pairs('tls', ['TLSv1.2', 'TLSv1.3'], 'kind', ['full', 'resumed']),
    },
    services: {
      help: 'Requests for Mobile IPv4 and HIP by outcome: assigned, renewed, released at the end, or the reason for none',
      series: pairs('service', SERVICES, 'result', [
        'assigned',
        'renewed',
        'released',
        'not-granted',
        'no-server',
        'pool-full',
      ]),
    },
    leases: { help: 'Leases that ended: released, or expired', series: each('result', ['released', 'expired']) },
    takeovers: { help: 'Leases that a newer session of the same subscriber took over' },
    moves: { help: 'Sessions that were re-authenticated because their home agent is down' },
    sessions_revoked: { help: 'Sessions that ended because their certificate was revoked' },
    sessions_lost: { help: 'Sessions that ended because their PAA restarted' },
    limited: {
      help: 'Authentications refused without a check: certificate with too many failures, no free conversation, TLS engine too busy',
      series: each('of', ['certificate', 'conversations', 'engine']),
    },
    workers_ended: { help: 'Worker threads that ended while the server ran, with the handshakes in them' },
    known_subscribers: { help: 'Nodes admitted because of an earlier authentication while the store was unavailable' },
    probes: { help: 'Results of the probe hook for home agents', series: each('result', ['alive', 'failed']) },
    hook_runs: {
      help: "Runs of the home agents' hook, by event and result; failed hooks are retried",
      series: pairs('event', ['up', 'refresh', 'down'], 'result', ['ok', 'failed', 'refused']),
    },
    duties_resumed: {
      help: 'Duties of a server that ended, resumed by this server, by event: hooks down, lost keys, sessions to disconnect',
      series: each('event', ['down', 'up', 'disconnect']),
    },
    store_failures: {
      help: 'Failed store operations, by class',
      series: each('class', STORE_CLASSES),
    },
    store_refused: {
      help: 'Failed store operations that were refused because the store is overloaded, by class',
      series: each('class', STORE_CLASSES),
    },
    clock_steps: { help: 'Steps of the wall clock after which this server shifted the times in the store' },
    reloads: { help: 'Reloads of certificates, keys and CRLs' },
    ...DIAMETER_COUNTERS,
    ...RADIUS_COUNTERS,
    ...FAULT_COUNTERS,
  },
  times: {
    authentication: { help: 'Time from the first EAP packet of an accepted node to its success' },
    store: {
      help: 'Duration of store operations, by class',
      labels: ['class'],
      buckets: STORE_BUCKETS,
    },
  },
};

export interface MeasuredParts {
  readonly host: Host;
  readonly store: StoreCalls;
  readonly conversations: () => number;
  /** Number of worker threads that run. */
  readonly workers: () => number;
  readonly hooks: () => readonly HookView[];
  readonly peers: () => readonly NodePeerStatus[];
  readonly storeWorks: () => boolean;
  readonly credentials: () => Pick<EapServerOptions<never>, 'caPem' | 'certificatePem'>;
  readonly revocation: () => ServerJudge['revocation'];
}

/** Registers gauges of the server's state. Queries to the store are cached. */
export function registerGauges(metrics: Metrics, parts: MeasuredParts): void {
  const agents = cached(
    parts.host,
    HOME_AGENTS_FRESH,
    (): Promise<HomeAgent[]> => parts.store.run('listHomeAgents', {}),
  );
  const statistics = cached(
    parts.host,
    STATISTICS_FRESH,
    (): Promise<StoreStatistics> => parts.store.run('statistics', {}),
  );
  const ofAgents = (name: string, help: string, read: (agent: HomeAgent) => number) =>
    metrics.gauges(name, help, ['home_agent'], async () =>
      (await agents()).map((agent) => ({ labels: { home_agent: agent.name }, value: read(agent) })),
    );

  metrics.gauge('conversations', 'EAP conversations in progress', parts.conversations);
  metrics.gauge('workers', 'Worker threads that run', parts.workers);
  metrics.gauge('sessions', 'Sessions in the store, counted once a minute', async () => (await statistics()).sessions);
  metrics.gauge(
    'subscribers',
    'Subscribers in the store, counted once a minute',
    async () => (await statistics()).subscribers,
  );
  metrics.gauge('leases', 'Leases on all home agents', async () =>
    (await agents()).reduce((sum, agent) => sum + agent.leases, 0),
  );
  metrics.gauge(
    'duties',
    'Follow-up work of committed transactions that is not done yet, counted once a minute',
    async () => (await statistics()).duties,
  );
  ofAgents('home_agent_leases', 'Leases on a home agent', (agent) => agent.leases);
  ofAgents('home_agent_capacity', 'Maximum number of leases on a home agent', (agent) => agent.capacity);
  metrics.gauges(
    'home_agent_state',
    'State of a home agent: 1 for the current one of up, draining, down (set by an operator) and dead (found by probes)',
    ['home_agent', 'state'],
    async () => (await agents()).flatMap(statesOf),
  );

  hookGauges(metrics, () => parts.hooks());
  peerGauge(metrics, parts.peers);
  metrics.gauge('store_up', 'Whether the database answered the last operation of the store', () =>
    parts.storeWorks() ? 1 : 0,
  );

  const lists = () => (parts.revocation()?.inForce(parts.host.wall()) ?? []).map(({ list }) => list);
  const ofCrl = (name: string, help: string, which: 'thisUpdate' | 'nextUpdate') =>
    metrics.gauge(name, help, () => seconds(earliestOf(lists().map((list) => list[which]))));
  ofCrl('crl_this_update_timestamp_seconds', 'Issue time of the oldest CRL in use', 'thisUpdate');
  ofCrl('crl_next_update_timestamp_seconds', 'Time at which the first CRL in use expires', 'nextUpdate');
  metrics.gauge('crl_lists', 'CRLs in use, one per CA', () => lists().length);
  metrics.gauge('crl_certificates', 'Certificates revoked by the CRLs in use', () =>
    parts.revocation() === undefined ? undefined : lists().reduce((sum, { serials }) => sum + serials.size, 0),
  );
  metrics.gauges(
    'certificate_not_after_timestamp_seconds',
    "Expiry of the EAP server's certificate, and of the first CA",
    ['certificate'],
    () => {
      const { certificatePem, caPem } = parts.credentials();
      return [
        { labels: { certificate: 'server' }, value: earliest(certificatePem, parts.host.wall()) },
        { labels: { certificate: 'ca' }, value: earliest(caPem, parts.host.wall()) },
      ];
    },
  );
}

function statesOf({ name, state, failedBy }: HomeAgent): Sample[] {
  const now = state !== 'down' && failedBy !== undefined ? 'dead' : state;
  return ['up', 'draining', 'down', 'dead'].map((each) => ({
    labels: { home_agent: name, state: each },
    value: each === now ? 1 : 0,
  }));
}

function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.floor(milliseconds / 1000);
}

/** The earliest of several times; undefined if there is none. */
function earliestOf(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** The next expiry among certificates in PEM, in seconds since 1970. */
function earliest(pem: string, now: number): number {
  return nextEnds(datedCertificates('', '', pem), now).get('') ?? Number.NaN;
}

/** Caches the result of `ask` for `fresh` milliseconds. Rejects if there is no result within PATIENCE. */
function cached<T>(host: Host, fresh: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return async () => {
    const now = host.monotonic();
    // Cache failures too, so that a failing store is not queried more often.
    if (!last || now - last.at >= fresh) last = { at: now, answer: ask() };
    let cancel: CancelTimer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      cancel = host.after(PATIENCE, () => reject(new Error('the store does not respond in time')));
    });
    try {
      return await Promise.race([last.answer, late]);
    } finally {
      cancel?.();
    }
  };
}
