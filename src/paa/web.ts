import type { NodePeerStatus } from '../protocol/diameter/node/alphabet.js';
import type { NasCommand, NasInput } from '../protocol/nas/alphabet.js';
import type { Nas } from '../protocol/nas/nas.js';
import type { HookView } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { ControlError } from '../runtime/service/control.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import { counterRows, factRows, hookRows, peerRows } from '../runtime/web/common-tables.js';
import type { WebPage } from '../runtime/web/page.js';
import { commandSession, describeSession } from './control-routes.js';
import type { DhcpRelayView } from './dhcp-relay.js';
import type { EnforcementRunner } from './enforcement-runner.js';

export interface PaaWebParts {
  readonly nas: Nas;
  readonly feed: (input: NasInput) => void;
  readonly log: Logger;
  readonly host: Host;
  readonly metrics: Metrics;
  readonly peers: () => readonly NodePeerStatus[];
  readonly hooks: () => readonly HookView[];
  readonly ep: EnforcementRunner | undefined;
  readonly program: string | undefined;
  /** The protocol of the AAA servers. */
  readonly aaa: 'diameter' | 'radius';
  readonly dhcpRelay: () => DhcpRelayView | undefined;
  readonly listening: () => readonly string[];
}

/** What the web page of a PAA shows and does. */
export function paaWebPage(parts: PaaWebParts): WebPage {
  const { nas, host } = parts;
  const act = (what: NasCommand) => (body: unknown, who: string) => {
    const { session } = (body ?? {}) as { session?: unknown };
    if (typeof session !== 'string' || !/^[0-9a-f]{8}$/.test(session)) throw new ControlError('name a session');
    const asked = commandSession(parts, { session }, what);
    parts.log.info({ operation: what, operator: who, session }, 'operator command');
    return asked;
  };
  return {
    daemon: 'pana-paa',
    panaSession: (diameterSession) => {
      const session = nas.sessionOf(diameterSession);
      return session === undefined ? undefined : sessionText(session);
    },
    tables: {
      facts: () =>
        factRows({
          listening: parts.listening().join(', '),
          sessions: nas.size,
          halfOpen: nas.halfOpen,
          preAuthenticated: nas.preAuthenticated,
          localHomeAddresses: nas.localHomeAgent?.used,
          protocol: parts.aaa,
        }),
      dhcpRelay: () => factRows({ ...parts.dhcpRelay() }),
      sessions: () => sessionRows(nas, host),
      enforcement: () =>
        parts.ep ? [['ep', { program: parts.program, ...parts.ep.state }]] : [['ep', { program: undefined }]],
      peers: () => peerRows(parts.peers()),
      hooks: () => hookRows(parts.hooks()),
      counters: () => counterRows(parts.metrics),
    },
    lists: {},
    actions: {
      disconnect: act('terminate'),
      reauthenticate: act('reauthenticate'),
      ping: act('ping'),
    },
  };
}

function* sessionRows(nas: Nas, host: Host): Generator<readonly [string, Readonly<Record<string, unknown>>]> {
  const wall = host.wall();
  for (const view of nas.list(host.monotonic())) {
    const { remainingSeconds, ...row } = describeSession(view);
    // A time that stays the same, so that a row changes only if the session does.
    const until = view.remaining === undefined ? undefined : Math.round((wall + view.remaining) / 2_000) * 2_000;
    yield [row.session, { ...row, until }];
  }
}
