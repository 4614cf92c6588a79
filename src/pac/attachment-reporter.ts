import type { AttachmentEvent } from '../protocol/attachment/alphabet.js';
import type { PacAuthorized } from '../protocol/pana/session/pac-interface.js';
import type { Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import type { Attempt } from './attempt.js';

/** Logs and counts an event of the Attachment machine. */
export function reportAttachment(event: AttachmentEvent, log: Logger, metrics: Metrics): void {
  switch (event.type) {
    case 'no-paa':
      log.warn({ reason: 'pana.paa is empty, and neither DHCP nor a default router provides a PAA' }, 'PAA not found');
      break;
    case 'no-way':
      log.warn({ address: event.paa, reason: event.reason }, 'PAA unreachable');
      break;
    case 'waiting':
      log.info({ duration: Math.round(event.milliseconds) }, 'session retry scheduled');
      break;
    case 'silent':
      log.warn({ address: event.paa }, 'PAA not responding');
      break;
    case 'answers-again':
      log.info({ address: event.paa }, 'PAA responding again');
      break;
    case 'ended': {
      const { paa: address, cause: reason } = event;
      metrics.count('sessions', { result: reason });
      if (event.authorized) log.info({ address, reason }, 'session ended');
      else log.warn({ address, reason }, 'session refused');
    }
  }
}

interface Reporting {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly surroundings: { readonly host: Host };
}

/** Logs and counts an authorization. `preAuthenticated`: the node was pre-authenticated, and has come. */
export function reportAuthorized(
  attempt: Pick<Attempt, 'paa' | 'startedAt'>,
  { sessionId, reauthentication, lifetime, algorithms }: PacAuthorized,
  { log, metrics, surroundings }: Reporting,
  preAuthenticated?: boolean,
): void {
  const duration = surroundings.host.monotonic() - attempt.startedAt;
  metrics.count('sessions', { result: reauthentication ? 'reauthenticated' : 'authorized' });
  if (!reauthentication) metrics.time('bootstrap', duration);
  log.info(
    {
      session: sessionText(sessionId),
      address: attempt.paa,
      lifetime: lifetime === undefined ? undefined : Math.round(lifetime / 1000),
      ...(reauthentication ? {} : { duration: Math.round(duration) }),
      protection: algorithms?.integrity.name ?? 'none',
      encryption: algorithms?.encryption?.name ?? 'none',
      preAuthenticated,
    },
    reauthentication ? 'session reauthenticated' : 'session authorized',
  );
}
