import type { HomeEvent } from '../protocol/home/events.js';
import { serviceFields } from '../protocol/mip6/services.js';
import type { Logger } from '../runtime/log/events.js';
import type { Metrics } from '../runtime/service/metrics.js';

/** Returns a function that logs and counts the events of the home machine. */
export function homeReporter(log: Logger, metrics: Metrics): (event: HomeEvent) => void {
  return (event) => {
    switch (event.name) {
      case 'authenticated': {
        const { sessionId: session, origin: peer, nai, tls, resumed, lifetime, duration } = event;
        metrics.count('authentications', { result: 'accepted' });
        metrics.count('handshakes', { tls, kind: resumed ? 'resumed' : 'full' });
        metrics.time('authentication', duration);
        log.info(
          { session, peer, nai, tls, resumed, lifetime, duration: Math.round(duration) },
          'authentication succeeded',
        );
        break;
      }
      case 'refused': {
        const { sessionId: session, origin: peer, identity, reason, detail } = event;
        metrics.count('authentications', { result: reason });
        log.warn({ session, peer, identity, reason, detail }, 'authentication failed');
        break;
      }
      case 'notAuthorized':
        metrics.count('authentications', { result: event.reason });
        log.warn({ nai: event.nai, reason: event.reason }, 'authorization failed');
        break;
      case 'invalidPacket':
        log.debug({ session: event.sessionId, reason: event.reason }, 'EAP packet discarded');
        break;
      case 'homeAddressDelivered':
      case 'leaseGiven':
      case 'leaseReleased':
      case 'leaseTakenOver':
      case 'localAllowed':
      case 'noMobility':
      case 'unfitHomeAgent':
      case 'serviceGiven':
      case 'noService':
        reportMobility(event, log, metrics);
        break;
      case 'storeFailed':
        log.error({ nai: event.nai, peer: event.origin, reason: event.reason }, 'store operation failed');
        break;
      case 'sessionEnded':
        log.info({ session: event.sessionId, reason: event.cause, known: event.known }, 'session ended');
        break;
      case 'foreignTermination':
        log.warn(
          { session: event.sessionId, peer: event.origin, message: 'STR', reason: 'session of another PAA' },
          'request rejected',
        );
        break;
      case 'sessionsLost':
        metrics.count('sessions_lost', {}, event.sessions);
        log.warn({ peer: event.origin, count: event.sessions, reason: 'the PAA has restarted' }, 'sessions lost');
        break;
      case 'olderNotEnded':
        log.warn({ nai: event.nai, reason: event.reason }, 'older sessions not ended');
        break;
      case 'limited':
        metrics.count('limited', { of: event.of });
        break;
      case 'turnedAway': {
        const { of, clients, peer, address } = event;
        log.warn({ limit: of, count: clients, peer, address }, 'limit reached');
        break;
      }
      case 'knownSubscriber':
        metrics.count('known_subscribers');
        break;
      case 'conversationsForgotten':
        log.info({ count: event.conversations }, 'conversations expired');
    }
  };
}

type MobilityEvent = Extract<
  HomeEvent,
  {
    name:
      | 'homeAddressDelivered'
      | 'leaseGiven'
      | 'leaseReleased'
      | 'leaseTakenOver'
      | 'localAllowed'
      | 'noMobility'
      | 'unfitHomeAgent'
      | 'serviceGiven'
      | 'noService';
  }
>;

function reportMobility(event: MobilityEvent, log: Logger, metrics: Metrics): void {
  switch (event.name) {
    case 'leaseGiven': {
      const { lease, renewed, ike, root, fingerprint } = event;
      const { nai, homeAgent, homeAddress } = lease;
      metrics.count('bootstraps', { result: renewed ? 'refreshed' : 'assigned' });
      const given = { homeAgent: homeAgent.address, homeAgentName: homeAgent.name, homeAddress };
      log.info({ nai, ...given, ike, root, fingerprint }, renewed ? 'lease renewed' : 'lease assigned');
      break;
    }
    case 'leaseReleased': {
      const { nai, homeAddress } = event.lease;
      metrics.count('leases', { result: 'released' });
      log.info({ nai, homeAddress, reason: event.reason }, 'lease released');
      break;
    }
    case 'homeAddressDelivered': {
      const { nai, homeAgent, homeAddress } = event.lease;
      metrics.count('bootstraps', { result: 'ikev2' });
      const fields = { nai, peer: event.origin, homeAgent: homeAgent.address, homeAddress };
      log.info(fields, 'home address delivered');
      break;
    }
    case 'leaseTakenOver': {
      const { nai, homeAddress } = event.lease;
      metrics.count('takeovers');
      log.info({ nai, homeAddress, peer: event.origin, fromSession: event.from }, 'lease taken over');
      break;
    }
    case 'localAllowed': {
      const { homeAgent, homeAddress } = event.local;
      metrics.count('bootstraps', { result: 'local' });
      log.info({ nai: event.nai, homeAgent, homeAddress }, 'local home agent allowed');
      break;
    }
    case 'noMobility':
      metrics.count('bootstraps', { result: event.reason });
      if (event.reason !== 'not-wanted') log.warn({ nai: event.nai, reason: event.reason }, 'Mobile IPv6 unavailable');
      break;
    case 'serviceGiven': {
      const { nai, assignment, server, renewed, fingerprint } = event;
      const { service } = assignment;
      metrics.count('services', { service, result: renewed ? 'renewed' : 'assigned' });
      const fields = { nai, service, server, ...serviceFields(assignment), fingerprint };
      log.info(fields, renewed ? 'service renewed' : 'service assigned');
      break;
    }
    case 'noService': {
      const { nai, service, reason } = event;
      metrics.count('services', { service, result: reason });
      log.warn({ nai, service, reason }, 'service unavailable');
      break;
    }
    case 'unfitHomeAgent':
      log.error({ nai: event.nai, reason: event.reason }, 'home agent unusable');
  }
}
