import type { Gap } from '../../runtime/cli/completion.js';
import type { Page } from '../../store/records.js';
import { type StoreAccess, withStore } from './store-access.js';

/** Largest number of names in one answer. */
const MANY = 200;

/** Names in the store that complete a command line; none if the store cannot be reached. */
export async function namesFor(gap: Gap): Promise<readonly string[]> {
  const kind = kindOf(gap);
  if (!kind) return [];
  try {
    return await withStore(gap.flags, (store) => kind(store, gap.last));
  } catch {
    return [];
  }
}

type Kind = (store: StoreAccess, last: string) => Promise<readonly string[]>;

const subscribers: Kind = async (store, last) =>
  (await pageAt(last, (range) => store.run('listSubscribers', range))).map(({ nai }) => nai);

const homeAgents: Kind = async (store) => (await store.run('listHomeAgents', {})).map(({ name }) => name);

const servers: Kind = async (store) => (await store.run('listServiceServers', {})).map(({ name }) => name);

const leases: Kind = async (store, last) =>
  (await pageAt(last, (range) => store.run('listLeases', range))).map(({ homeAddress }) => homeAddress);

const sessions: Kind = async (store, last) =>
  (await pageAt(last, (range) => store.run('listSessions', range))).map(({ sessionId }) => sessionId);

const both =
  (first: Kind, second: Kind): Kind =>
  async (store, last) => [...(await first(store, last)), ...(await second(store, last))];

/**
 * Lists names, beginning with those that start with `last`. The page starts after a text that sorts just before `last`.
 */
async function pageAt<T>(
  last: string,
  list: (range: { readonly from: string | undefined; readonly limit: number }) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const before = String.fromCharCode(last.charCodeAt(last.length - 1) - 1);
  return (await list({ from: last === '' ? undefined : `${last.slice(0, -1)}${before}~`, limit: MANY })).items;
}

function kindOf({ commands: [group = '', command = ''], positionals, flag }: Gap): Kind | undefined {
  if (flag === 'home-agent') return homeAgents;
  if (flag !== undefined || positionals.length > 0) return undefined;
  const one = KINDS[group];
  return one?.commands.includes(command) ? one.names : undefined;
}

const KINDS: Readonly<Record<string, { readonly commands: readonly string[]; readonly names: Kind }>> = {
  subscriber: { commands: ['set', 'show', 'enable', 'disable', 'remove'], names: subscribers },
  'home-agent': { commands: ['set', 'show', 'up', 'drain', 'down', 'remove'], names: homeAgents },
  service: { commands: ['set', 'remove'], names: servers },
  lease: { commands: ['show', 'release', 'list', 'history'], names: both(subscribers, leases) },
  session: { commands: ['list', 'show', 'disconnect', 'reauth'], names: both(subscribers, sessions) },
};
