import type { NodePeerStatus } from '../../protocol/diameter/node/alphabet.js';
import { type DiameterMessage, FLAG } from '../../protocol/diameter/wire/codec.js';
import { commandOf } from '../../protocol/diameter/wire/commands.js';
import type { Grammarian } from '../../protocol/diameter/wire/grammar.js';
import { RESULT, resultName } from '../../protocol/diameter/wire/result-codes.js';
import type { LogFields, Logger } from '../log/events.js';
import type { MetricDescriptions } from '../service/metric-descriptions.js';
import type { Metrics } from '../service/metrics.js';
import type { Host } from '../system/host.js';
import type { DiameterEvent } from './node.js';
import type { OnTlsRefused } from './tls.js';

/** The counters of `diameterReporter`. */
export const DIAMETER_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  failovers: { help: 'Diameter requests that were resent to another peer' },
  refused_requests: {
    help: 'Diameter requests that were answered with an error, by Result-Code',
    series: [{ code: resultName(RESULT.TOO_BUSY) }],
  },
  duplicates: { help: 'Duplicate Diameter requests that got the same answer again' },
  diameter_dropped: { help: 'Diameter messages that were dropped, by reason', series: [{ code: 'unknown-answer' }] },
};

/** Registers the gauge of the configured peers. */
export function peerGauge(metrics: Metrics, peers: () => readonly NodePeerStatus[]): void {
  metrics.gauges('diameter_peer_up', 'Whether a configured Diameter peer is connected', ['peer'], () =>
    peers().map(({ host, state }) => ({ labels: { peer: host }, value: state.endsWith('-Open') ? 1 : 0 })),
  );
}

/** Minimum time between two warnings about one configured peer, or about all others, in milliseconds. */
const REFUSAL_PAUSE = 60_000;

/** What to do about a refused peer. */
const REMEDIES: Readonly<Record<string, string>> = {
  'peer-address': 'diameter.peers does not list the address for this peer: add it to from, or use TLS',
  'unknown-peer': 'diameter.peers does not list this host',
};

/** Stands for all hosts that are no peers, of which anyone can claim to be a new one. */
const STRANGERS = '';

/**
 * Returns a function that logs and counts the events of a Diameter node. It logs messages at debug, with their
 * Session-Id in the field `session`.
 */
export function diameterReporter(
  log: Logger,
  metrics: Metrics,
  session: 'session' | 'diameterSession',
  host: Host,
): (event: DiameterEvent, grammarian: Grammarian) => void {
  /** When the last warning about each peer was logged. */
  const warned = new Map<string, number>();
  /** Anyone can claim to be a configured peer, so warnings about each peer are rate-limited. */
  const isOften = (key: string) => {
    const now = host.monotonic();
    const often = now - (warned.get(key) ?? Number.NEGATIVE_INFINITY) < REFUSAL_PAUSE;
    if (!often) warned.set(key, now);
    return often;
  };
  const refusedRequest = (event: Extract<DiameterEvent, { type: 'requestRefused' }>) => {
    const { peer, commandCode, resultCode, text: reason } = event;
    const message = commandOf(commandCode, true)?.name ?? `command ${commandCode}`;
    const fields = { peer, message, resultCode: resultName(resultCode), reason };
    log[isOften(`${peer} ${resultCode}`) ? 'debug' : 'warn'](fields, 'request rejected');
  };
  const refused = ({ peer = '', address, code }: Extract<DiameterEvent, { type: 'peerRefused' }>) => {
    const often = isOften(code === 'unknown-peer' ? STRANGERS : peer);
    const detail = REMEDIES[code];
    log[often ? 'debug' : 'warn']({ peer, address, reason: code, detail }, 'peer refused');
  };
  return (event, grammarian) => {
    switch (event.type) {
      case 'message':
        if (!log.isLevelEnabled('debug')) break;
        log.debug(
          { peer: event.peer, ...diameterFields(grammarian, event.message, session) },
          event.direction === 'in' ? 'message received' : 'message sent',
        );
        break;
      case 'peerOpen':
        log.info({ peer: event.peer, product: event.capabilities.productName }, 'peer connected');
        break;
      case 'peerClosed':
        log.warn({ peer: event.peer, reason: event.reason }, 'peer disconnected');
        break;
      case 'peerSuspected':
      case 'peerTrusted':
        log.warn({ peer: event.peer }, event.type === 'peerTrusted' ? 'peer recovered' : 'peer suspected');
        break;
      case 'failedOver':
        metrics.count('failovers');
        log.warn({ peer: event.peer, toPeer: event.to }, 'request failed over');
        break;
      case 'duplicate':
        metrics.count('duplicates');
        log.debug({ peer: event.peer }, 'duplicate request answered');
        break;
      case 'dropped':
        metrics.count('diameter_dropped', { code: event.code });
        log.debug({ peer: event.peer, reason: event.code }, 'message dropped');
        break;
      case 'requestRefused':
        metrics.count('refused_requests', { code: resultName(event.resultCode) });
        refusedRequest(event);
        break;
      case 'peerRefused':
        metrics.count('diameter_dropped', { code: event.code });
        refused(event);
        break;
    }
  };
}

/** Returns a function that logs why a TLS connection failed. `peer`: the host that was connected to. */
export function refusedReporter(log: Logger): OnTlsRefused {
  return (reason, { address, peer }) => log.warn({ peer, address, reason }, 'TLS connection failed');
}

/** Log fields of a Diameter message. */
function diameterFields(
  grammarian: Grammarian,
  message: DiameterMessage,
  session: 'session' | 'diameterSession',
): LogFields {
  const request = (message.flags & FLAG.R) !== 0;
  const name = commandOf(message.commandCode, request)?.name ?? `command ${message.commandCode}`;
  const result = grammarian.find(message.avps, 'Result-Code');
  const sessionId = grammarian.find(message.avps, 'Session-Id');
  return {
    message: name,
    ...(session === 'session' ? { session: sessionId } : { diameterSession: sessionId }),
    ...(result === undefined ? {} : { resultCode: resultName(result) }),
  };
}
