import { z } from 'zod';
import type { NodePeerStatus } from '../protocol/diameter/node/alphabet.js';
import type { HookView } from '../runtime/hooks/runner.js';
import { ControlError } from '../runtime/service/control.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { counterRows, factRows, hookRows, peerRows } from '../runtime/web/common-tables.js';
import type { WebPage } from '../runtime/web/page.js';
import type { OperationName } from '../store/operations.js';
import type { Administrator } from './administrator.js';
import type { StoreCalls } from './measured-store.js';
import type { RadiusClientView } from './radius-client-tally.js';

/** Rows of a list that one request gets. */
const MAX_ROWS = 200;

/** The lists of the page: the operation of each, and the filters that a page may set. */
const LISTS = {
  sessions: ['listSessions', ['of', 'paa', 'homeAgent']],
  subscribers: ['listSubscribers', ['match', 'homeAgent']],
  leases: ['listLeases', ['of', 'homeAgent']],
  history: ['leaseHistory', ['of']],
  audit: ['listAudit', ['of']],
} as const satisfies Readonly<Record<string, readonly [OperationName, readonly string[]]>>;

const ON_HOME_AGENT = z.strictObject({ name: z.string().min(1).max(1_024) });
const ON_SESSIONS = z.strictObject({ of: z.string().min(1).max(1_024) });

export interface AaaWebParts {
  readonly administrator: Pick<Administrator, 'administer' | 'onSessions'>;
  readonly store: StoreCalls;
  readonly metrics: Metrics;
  readonly peers: () => readonly NodePeerStatus[];
  readonly radiusClients: () => readonly RadiusClientView[];
  readonly hooks: () => readonly HookView[];
  readonly conversations: () => number;
  readonly listening: () => readonly string[];
}

/** What the web page of an AAA server shows and does. */
export function aaaWebPage(parts: AaaWebParts): WebPage {
  const { administrator, store } = parts;
  const lists = Object.entries(LISTS).map(([name, [operation, filters]]) => [
    name,
    (query: URLSearchParams) => {
      const given = [...filters, 'from'].flatMap((filter) => {
        const value = query.get(filter);
        return value === null || value === '' ? [] : [[filter, value]];
      });
      const args = { ...Object.fromEntries(given), limit: MAX_ROWS };
      return administrator.administer({ operation, arguments: args, who: 'web' });
    },
  ]);
  const onSessions = (what: 'disconnect' | 'reauthenticate') => (body: unknown, who: string) =>
    administrator.onSessions({ ...parsed(ON_SESSIONS, body, 'name a session or subscriber'), who }, what);
  const setState = (state: 'up' | 'draining') => (body: unknown, who: string) => {
    const { name } = parsed(ON_HOME_AGENT, body, 'name a home agent');
    return administrator.administer({
      operation: 'changeHomeAgent',
      arguments: { name, change: { state } },
      who,
    });
  };
  return {
    daemon: 'pana-aaa',
    tables: {
      facts: () => factRows({ listening: parts.listening().join(', '), conversations: parts.conversations() }),
      homeAgents: async () =>
        (await store.run('listHomeAgents', {})).map((agent) => [agent.name, { ...agent }] as const),
      store: async () => factRows({ ...(await store.run('statistics', {})) }),
      peers: () => peerRows(parts.peers()),
      radiusClients: () => parts.radiusClients().map((client) => [client.name, { ...client }] as const),
      hooks: () => hookRows(parts.hooks()),
      counters: () => counterRows(parts.metrics),
    },
    lists: Object.fromEntries(lists),
    actions: {
      disconnect: onSessions('disconnect'),
      reauthenticate: onSessions('reauthenticate'),
      drain: setState('draining'),
      up: setState('up'),
    },
  };
}

function parsed<T>(schema: z.ZodType<T>, body: unknown, message: string): T {
  const result = schema.safeParse(body);
  if (!result.success) throw new ControlError(message);
  return result.data;
}
