import { formatAddress } from '../protocol/bytes/address.js';
import { resultName } from '../protocol/diameter/wire/result-codes.js';
import { capabilityNames, type MobilityAssignment } from '../protocol/mip6/assignment.js';
import type { ServerWish } from '../protocol/nas/aaa-messages.js';
import type { NasEvent, NasInput, NasSubject } from '../protocol/nas/alphabet.js';
import type { LogFields, Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { Rarely } from '../runtime/log/rarely.js';
import type { FaultPlace, Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';

/** The entry point of each input of the NAS. */
const PLACES: Readonly<Record<NasInput['type'], FaultPlace>> = {
  datagram: 'datagram',
  tick: 'timer',
  answer: 'diameter',
  unreachable: 'diameter',
  serverRequest: 'diameter',
  permitted: 'hook',
  invite: 'control',
  command: 'control',
  configure: 'control',
  stop: 'control',
};

/** The command that a server uses for each request. */
const REQUESTS: Readonly<Record<ServerWish, string>> = { abort: 'ASR', reauthenticate: 'RAR' };

/** The entry point of an input, for the barrier. */
export function placeOfInput(type: NasInput['type']): FaultPlace {
  return PLACES[type];
}

/** Returns a function that logs and counts the events of the NAS. `now`: the monotonic clock in milliseconds. */
export function nasReporter(log: Logger, metrics: Metrics, guard: Guard, now: () => number): (event: NasEvent) => void {
  const strangers = new Rarely();
  const unusable = (event: NasSubject & { readonly reason: string }) =>
    log.warn({ ...fieldsOf(event), reason: event.reason }, 'AAA answer rejected');
  return (event) => {
    switch (event.type) {
      case 'dropped': {
        // Anyone can send a datagram that is dropped, so this must be cheap.
        const { code: reason, from } = event;
        metrics.count('dropped', { code: reason });
        if (log.isLevelEnabled('debug')) {
          log.debug({ reason, address: from?.address, port: from?.port }, 'message dropped');
        }
        const count = reason === 'unknown-relay' ? strangers.due(now()) : undefined;
        if (count !== undefined) log.warn({ address: from?.address, port: from?.port, count }, 'relay not allowed');
        break;
      }
      case 'authorized':
      case 'reauthenticated': {
        metrics.count('authorizations', { result: event.type });
        if (event.type === 'authorized' && !event.preAuthenticated) metrics.time('bootstrap', event.elapsed);
        const { grant, kind } = event;
        log.info(
          {
            ...fieldsOf(event),
            lifetime: grant.lifetime === undefined ? undefined : Math.round(grant.lifetime / 1000),
            ...(grant.assignment && assignmentFields(grant.assignment)),
            homeAgentKind: kind,
            encryption: event.encryption ?? 'none',
            preAuthenticated: event.preAuthenticated || undefined,
          },
          event.type === 'authorized' ? 'session authorized' : 'session reauthenticated',
        );
        break;
      }
      case 'preAuthenticated': {
        metrics.count('authorizations', { result: 'pre-authenticated' });
        const { lifetime } = event.grant;
        log.info(
          {
            ...fieldsOf(event),
            lifetime: lifetime === undefined ? undefined : Math.round(lifetime / 1000),
            encryption: event.encryption ?? 'none',
          },
          'session pre-authenticated',
        );
        break;
      }
      case 'refused':
        metrics.count('authorizations', { result: 'refused' });
        log.info({ ...fieldsOf(event), identity: event.identity, ...resultOf(event.resultCode) }, 'session refused');
        break;
      case 'postponed':
        metrics.count('authorizations', { result: 'postponed' });
        log.warn({ ...fieldsOf(event), ...resultOf(event.resultCode) }, 'reauthentication postponed');
        break;
      case 'noMobility':
        metrics.count('unfit_assignments');
        log.warn({ ...fieldsOf(event), reason: event.reason }, 'Mobile IPv6 unavailable');
        break;
      case 'noAnswer':
        metrics.count('aaa_failures');
        log.warn({ ...fieldsOf(event), reason: event.reason }, 'AAA server not responding');
        break;
      case 'unusable':
        metrics.count('aaa_failures');
        unusable(event);
        break;
      case 'unkeyed':
        unusable(event);
        break;
      case 'ended':
        metrics.count('sessions_ended', { cause: event.cause });
        // A flood of session starts must not fill the log.
        log[event.cause === 'pushed-out' ? 'debug' : 'info'](
          { ...fieldsOf(event), reason: event.cause },
          'session ended',
        );
        break;
      case 'moved':
        metrics.count('moves');
        log.info({ ...fieldsOf(event), fromAddress: event.from }, 'session moved');
        break;
      case 'terminating':
        log.info(fieldsOf(event), 'session terminating');
        break;
      case 'otherServer':
        log.warn(
          { ...fieldsOf(event), peer: event.peer, message: REQUESTS[event.wish], reason: 'session of another server' },
          'request rejected',
        );
        break;
      case 'localHomeAgent':
        log.info(
          { ...fieldsOf(event), ...assignmentFields(event.assignment), fingerprint: event.fingerprint },
          event.isRefresh ? 'local home agent refreshed' : 'local home agent granted',
        );
        break;
      case 'uninvited':
        log.warn({ address: event.peer.address, port: event.peer.port }, 'invitation unanswered');
        break;
      case 'fault':
        guard.fault(placeOfInput(event.during), event.error);
    }
  };
}

function fieldsOf({ sessionId, address, nai }: NasSubject): LogFields {
  return { session: sessionText(sessionId), address, nai };
}

function resultOf(resultCode: number | undefined): LogFields {
  return resultCode === undefined ? { reason: 'no-answer' } : { resultCode: resultName(resultCode) };
}

/** The log fields of an assignment. */
function assignmentFields({ homeAgent, homeAddress, capability }: MobilityAssignment): LogFields {
  return {
    homeAgent: formatAddress(homeAgent),
    homeAddress: homeAddress && formatAddress(homeAddress),
    capability: capabilityNames(capability).join(' '),
  };
}
