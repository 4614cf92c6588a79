import { formatAddress } from '../protocol/bytes/address.js';
import { resultName } from '../protocol/diameter/wire/result-codes.js';
import { capabilityNames, type MobilityAssignment } from '../protocol/mip6/assignment.js';
import type { NasEvent, NasInput, NasSubject } from '../protocol/nas/alphabet.js';
import type { Logger } from '../runtime/log/log.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import type { FaultPlace, Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';

/** Where an input of the NAS came in. */
const PLACES: Readonly<Record<NasInput['type'], FaultPlace>> = {
  datagram: 'datagram',
  tick: 'timer',
  answer: 'diameter',
  unreachable: 'diameter',
  serverAsks: 'diameter',
  permitted: 'hook',
  invite: 'control',
  command: 'control',
  configure: 'control',
  stop: 'control',
};

/** The entry point that an input came through, for the barrier. */
export function placeOfInput(type: NasInput['type']): FaultPlace {
  return PLACES[type];
}

/** Logs and counts what happens at the NAS. */
export function nasReporter(log: Logger, metrics: Metrics, guard: Guard): (event: NasEvent) => void {
  const unusable = (event: NasSubject & { readonly reason: string }) =>
    log.warn({ ...fieldsOf(event), reason: event.reason }, 'success of the AAA server cannot be used');
  return (event) => {
    switch (event.type) {
      case 'dropped': {
        // Anybody can send a datagram that is dropped: this is all that one may cost.
        const { code, from } = event;
        metrics.count('dropped', { code });
        if (log.isLevelEnabled('debug')) log.debug({ code, address: from?.address, port: from?.port }, 'dropped');
        break;
      }
      case 'authorized':
      case 'reauthenticated': {
        metrics.count('authorizations', { result: event.type });
        if (event.type === 'authorized') metrics.time('bootstrap', event.elapsed);
        const { grant, kind } = event;
        log.info(
          {
            ...fieldsOf(event),
            lifetime: grant.lifetime === undefined ? undefined : Math.round(grant.lifetime / 1000),
            ...(grant.assignment && assignmentFields(grant.assignment)),
            homeAgentKind: kind,
          },
          event.type,
        );
        break;
      }
      case 'refused':
        metrics.count('authorizations', { result: 'refused' });
        log.info({ ...fieldsOf(event), identity: event.identity, resultCode: resultText(event.resultCode) }, 'refused');
        break;
      case 'postponed':
        metrics.count('authorizations', { result: 'postponed' });
        log.warn({ ...fieldsOf(event), resultCode: resultText(event.resultCode) }, 'reauthentication postponed');
        break;
      case 'noMobility':
        metrics.count('unfit_assignments');
        log.warn({ ...fieldsOf(event), reason: event.reason }, 'no Mobile IPv6');
        break;
      case 'noAnswer':
        metrics.count('aaa_failures');
        log.warn({ ...fieldsOf(event), reason: event.reason }, 'no answer from the AAA server');
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
        // A flood of starts must not fill the log.
        log[event.cause === 'pushed-out' ? 'debug' : 'info'](
          { ...fieldsOf(event), cause: event.cause },
          'session ended',
        );
        break;
      case 'moved':
        metrics.count('moves');
        log.info({ ...fieldsOf(event), from: event.from }, 'client moved');
        break;
      case 'otherServer':
        log.warn({ ...fieldsOf(event), peer: event.peer, wish: event.wish }, 'session of another server');
        break;
      case 'localHomeAgent':
        log.info(
          { ...fieldsOf(event), ...assignmentFields(event.assignment), fingerprint: event.fingerprint },
          event.isRefresh ? 'local home agent refreshed' : 'local home agent granted',
        );
        break;
      case 'uninvited':
        log.warn({ address: event.peer.address, port: event.peer.port }, 'no answer to an invitation');
        break;
      case 'fault':
        guard.fault(placeOfInput(event.during), event.error);
    }
  };
}

function fieldsOf({ sessionId, address, nai }: NasSubject): Record<string, unknown> {
  return { session: sessionText(sessionId), address, nai };
}

function resultText(resultCode: number | undefined): string {
  return resultCode === undefined ? 'no answer' : resultName(resultCode);
}

/** What a log says of an assignment. */
function assignmentFields({ homeAgent, homeAddress, capability }: MobilityAssignment): Record<string, unknown> {
  return {
    homeAgent: formatAddress(homeAgent),
    homeAddress: homeAddress && formatAddress(homeAddress),
    capability: capabilityNames(capability).join(' '),
  };
}
