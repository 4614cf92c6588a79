import type { Page } from '../../runtime/store/records.js';
import { type Argument, type StoreAccess, withStore } from './store-access.js';

/** Names in one answer: nobody reads more. */
const MANY = 200;

/** Names of the store that fit where the last word of a command line stands; none where the store cannot be asked. */
export async function namesFor(words: readonly string[]): Promise<readonly string[]> {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const wanted = kindOf(before);
  if (!wanted) return [];
  try {
    return await withStore(placesIn(before), (store) => wanted(store, last));
  } catch {
    return [];
  }
}

type Names = (store: StoreAccess, last: string) => Promise<readonly string[]>;

const subscribers: Names = async (store, last) =>
  (await pageAt(last, (range) => store.run('listSubscribers', range))).map(({ nai }) => nai);

const homeAgents: Names = async (store) => (await store.run('listHomeAgents', {})).map(({ name }) => name);

const leases: Names = async (store, last) =>
  (await pageAt(last, (range) => store.run('listLeases', range))).map(({ homeAddress }) => homeAddress);

const sessions: Names = async (store, last) =>
  (await pageAt(last, (range) => store.run('listSessions', range))).map(({ sessionId }) => sessionId);

const both =
  (...kinds: readonly Names[]): Names =>
  async (store, last) =>
    (await Promise.all(kinds.map((kind) => kind(store, last)))).flat();

/** What comes behind a beginning, in order: it itself comes behind the same without its last character. */
async function pageAt<T>(
  last: string,
  list: (range: { readonly from: string | undefined; readonly limit: number }) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const from =
    last === '' ? undefined : `${last.slice(0, -1)}${String.fromCharCode(last.charCodeAt(last.length - 1) - 1)}~`;
  return (await list({ from, limit: MANY })).items;
}

/** By command, and by flag. */
function kindOf(before: readonly string[]): Names | undefined {
  if (before.at(-1) === '--home-agent') return homeAgents;
  const isValue = (i: number) => PLACE.test(before[i - 1] ?? '') && !before[i - 1]?.includes('=');
  const [group, command, ...positionals] = before.filter((word, i) => !word.startsWith('-') && !isValue(i));
  if (before.at(-1)?.startsWith('-') || positionals.length > 0) return undefined;
  const one = KINDS[group ?? ''];
  return command !== undefined && one?.commands.includes(command) ? one.names : undefined;
}

const KINDS: Readonly<Record<string, { readonly commands: readonly string[]; readonly names: Names }>> = {
  subscriber: { commands: ['set', 'show', 'enable', 'disable', 'remove'], names: subscribers },
  'home-agent': { commands: ['set', 'show', 'up', 'drain', 'down', 'remove'], names: homeAgents },
  lease: { commands: ['show', 'release', 'list', 'history'], names: both(subscribers, leases) },
  session: { commands: ['list', 'show', 'disconnect', 'reauth'], names: both(subscribers, sessions) },
};

/** Flags that say where the store is. */
const PLACE = /^--?(store|control\.socket|config|c)(?:=(.*))?$/;

/** Where the store is, as far as the command line says. */
function placesIn(before: readonly string[]): Argument {
  const places: Record<string, string> = {};
  for (const [i, word] of before.entries()) {
    const [, flag, value = before[i + 1]] = PLACE.exec(word) ?? [];
    if (flag !== undefined && value !== undefined) places[flag === 'c' ? 'config' : flag] = value;
  }
  return places;
}
