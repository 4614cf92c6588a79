import type { GatewayEvent } from '../../protocol/nas/radius/alphabet.js';
import type { EndpointName } from '../../protocol/radius/client/alphabet.js';
import { codeName } from '../../protocol/radius/wire/codec.js';
import { ERROR_CAUSE } from '../../protocol/radius/wire/dictionary.js';
import type { LogFields, Logger } from '../log/events.js';
import { each, type MetricDescriptions } from '../service/metric-descriptions.js';
import type { Metrics } from '../service/metrics.js';
import type { Host } from '../system/host.js';

/** The counters of `radiusReporter`. */
export const RADIUS_CLIENT_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  radius_retransmissions: { help: 'RADIUS requests that were sent again, because no answer came' },
  radius_failovers: { help: 'RADIUS requests that moved to another server' },
  radius_dropped: {
    help: 'RADIUS packets of servers that were dropped, by reason: forged, without Message-Authenticator, stale, replayed',
    series: each('code', ['forged', 'no-message-authenticator', 'unknown-answer']),
  },
  radius_server_requests: {
    help: 'Disconnect-Requests and CoA-Requests that were answered, by result',
    series: each('result', ['ack', 'nak']),
  },
  radius_accounting_lost: { help: 'Accounting-Requests that were given up, because no server acknowledged them' },
};

/** Minimum time between two warnings of one kind about a server, in milliseconds. */
const PAUSE = 60_000;

/** What to do about dropped packets. */
const REMEDIES: Readonly<Record<string, string>> = {
  forged: 'do both ends have the same secret?',
  'no-message-authenticator': 'the server must send Message-Authenticator in each answer: update it',
  'no-event-timestamp': 'the server must send Event-Timestamp in its requests',
  stale: 'synchronise the clocks of both hosts with NTP',
  'unknown-server': 'radius.servers has no server with this address',
};

/** A server discards packets of strangers and with another secret, and does not say so. */
const SILENCE = 'does it run, and is this host a client of it with the same secret?';

/** Returns a function that logs and counts the events of the RADIUS gateway. */
export function radiusReporter(log: Logger, metrics: Metrics, host: Host): (event: GatewayEvent) => void {
  /** When the last warning of each kind was logged. Addresses of strangers share one entry. */
  const warned = new Map<string, number>();
  const warn = (kind: string, fields: object) => {
    const now = host.monotonic();
    const isOften = now - (warned.get(kind) ?? Number.NEGATIVE_INFINITY) < PAUSE;
    if (!isOften) warned.set(kind, now);
    log[isOften ? 'debug' : 'warn'](fields, 'message dropped');
  };
  return (event) => {
    switch (event.type) {
      case 'packet':
        if (log.isLevelEnabled('debug')) log.debug(fieldsOf(event), MESSAGES[event.direction]);
        break;
      case 'serverUp':
        log.info({ peer: peerOf(event) }, 'peer connected');
        break;
      case 'serverSuspected':
        log.warn({ peer: peerOf(event) }, 'peer suspected');
        break;
      case 'serverDown':
        log.warn({ peer: peerOf(event), reason: 'no answer to Status-Server', detail: SILENCE }, 'peer disconnected');
        break;
      case 'retransmitted':
        metrics.count('radius_retransmissions');
        break;
      case 'failedOver':
        metrics.count('radius_failovers');
        log.warn({ peer: event.from, toPeer: event.to }, 'request failed over');
        break;
      case 'dropped': {
        const { code: reason } = event;
        metrics.count('radius_dropped', { code: reason });
        // An answer to a retransmission that was not needed any more.
        if (reason === 'unknown-answer') log.debug({ peer: peerOf(event), reason }, 'message dropped');
        else warn(`${event.server} ${reason}`, { peer: peerOf(event), reason, detail: REMEDIES[reason] });
        break;
      }
      case 'dynamic': {
        const { server: peer, code, sessionId: diameterSession, errorCause } = event;
        metrics.count('radius_server_requests', { result: errorCause === undefined ? 'ack' : 'nak' });
        const message = codeName(code);
        if (errorCause === undefined || errorCause === ERROR_CAUSE['Request-Initiated']) {
          log.info({ peer, message, diameterSession }, 'request accepted');
        } else log.warn({ peer, message, reason: nameOfCause(errorCause) }, 'request rejected');
        break;
      }
      case 'dynamicDropped': {
        const { address, code: reason } = event;
        metrics.count('radius_dropped', { code: reason });
        const kind = reason === 'unknown-server' ? reason : `${address} ${reason}`;
        warn(kind, { address, reason, detail: REMEDIES[reason] });
        break;
      }
      case 'accountingLost':
        for (let i = 0; i < event.records; i += 1) metrics.count('radius_accounting_lost');
        log.warn({ count: event.records, reason: event.reason }, 'accounting records lost');
    }
  };
}

const MESSAGES = { in: 'message received', out: 'message sent' } as const;

function fieldsOf({ server, service, code, sessionId }: Extract<GatewayEvent, { type: 'packet' }>): LogFields {
  const peer = service === 'dynamic' ? server : peerOf({ server, service });
  return { peer, message: codeName(code), diameterSession: sessionId };
}

function peerOf({ server, service }: EndpointName): string {
  return service === 'authentication' ? server : `${server} (${service})`;
}

function nameOfCause(errorCause: number): string {
  const [name] = Object.entries(ERROR_CAUSE).find(([, value]) => value === errorCause) ?? [`Error-Cause ${errorCause}`];
  return name;
}
