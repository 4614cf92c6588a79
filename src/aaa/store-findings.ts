import { dirname } from 'node:path';
import type { HookVariables } from '../protocol/hooks/contract.js';
import type { Computer } from '../runtime/doctor/computer.js';
import { error, type Finding, findingsOf, warning } from '../runtime/doctor/finding.js';
import { folderFindings } from '../runtime/doctor/folders.js';
import { isPostgresUrl, storeName } from '../store/backend.js';
import { type PlacedAgent, placeProblem, type StoreState } from '../store/placed-agents.js';

/** Difference to the clock of the database that is a problem, in milliseconds. */
const CLOCKS_APART = 60_000;

const OTHERS = 0o077;

/** Checks the file of a store and its folder. The other checks of a store open it. */
export async function storeFileFindings(store: string, computer: Computer): Promise<Finding[]> {
  if (isPostgresUrl(store)) return [];
  const { files, user } = computer;
  const folder = await folderFindings('store', dirname(store), computer, { isPrivate: true });
  const found = await files.stat(store).catch(() => undefined);
  if (!found) return folder;
  if (!found.isFile()) return [...folder, error('store', `${store} is not a file`, 'configure another path')];
  if (!((await files.may(store, 'read')) && (await files.may(store, 'write')))) {
    return [...folder, error('store', `${user} may not read and write ${store}`, `chown ${user} ${store}*`)];
  }
  if ((found.mode & OTHERS) === 0) return folder;
  return [...folder, warning('store', `other users can read ${store}, which has secrets`, `chmod 600 ${store}*`)];
}

/** The home agents of a store, as their hooks get them; none if it cannot be read, which another check reports. */
export async function hookTargets(store: string, computer: Computer): Promise<readonly HookVariables[]> {
  const found = await lookAt(store, computer).catch(() => undefined);
  return (found?.homeAgents ?? []).map(({ name, address, host, target }) => ({
    homeAgent: address,
    homeAgentHost: host,
    homeAgentId: name,
    homeAgentTarget: target ?? undefined,
  }));
}

/** Undefined: there is no store yet; the server creates it. */
async function lookAt(store: string, { files, host }: Computer): Promise<StoreState | undefined> {
  if (isPostgresUrl(store)) {
    const { PostgresBackend } = await import('../store/postgres.js');
    return PostgresBackend.look(store, host);
  }
  const size = await files.stat(store).then(
    (found) => found.size,
    () => 0,
  );
  if (size === 0) return undefined;
  const { lookAtSqlite } = await import('../store/store-check.js');
  return lookAtSqlite(store);
}

/** Opens a store, changes nothing, and checks its schema and home agents, and the clock of a database server. */
export async function storeFindings(store: string, computer: Computer): Promise<Finding[]> {
  const { host } = computer;
  try {
    if (!isPostgresUrl(store)) {
      const state = await lookAt(store, computer);
      return state ? stateFindings(store, state) : [];
    }
    const { PostgresBackend } = await import('../store/postgres.js');
    const state = await PostgresBackend.look(store, host);
    const apart = Math.round((host.wall() - state.now) / 1000);
    return [
      ...stateFindings(store, state),
      ...state.warnings.map((text) => warning('store', text, 'turn it on')),
      ...(Math.abs(apart) * 1000 <= CLOCKS_APART
        ? []
        : [
            warning(
              'store',
              `the clock of this host is ${Math.abs(apart)} s ${apart > 0 ? 'ahead of' : 'behind'} that of the database`,
              'synchronise both with NTP',
            ),
          ]),
    ];
  } catch (failure) {
    const remedy = isPostgresUrl(store)
      ? 'is PostgreSQL running, and does it let this user in? Compare with psql'
      : 'restore a backup: pana-aaa store restore FILE';
    return findingsOf(failure, 'store', remedy).map((one) => ({ ...one, where: 'store' }));
  }
}

function stateFindings(store: string, { pending, homeAgents = [] }: StoreState): Finding[] {
  const updated = `the server brings ${storeName(store)} up to date at its next start (${pending} migration${pending === 1 ? '' : 's'})`;
  return [
    ...(pending > 0 ? [warning('store', updated, 'back it up before: an older version cannot use it afterwards')] : []),
    ...homeAgents.flatMap(agentFindings),
    ...twinFindings(homeAgents),
  ];
}

function agentFindings(agent: PlacedAgent): Finding[] {
  const problem = placeProblem(agent);
  if (problem === undefined) return [];
  return [error(`home agent ${agent.name}`, problem, 'remove it, and add it with the prefix of its home link')];
}

/** Home addresses of two home agents must not come from one prefix. */
function twinFindings(agents: readonly PlacedAgent[]): Finding[] {
  return agents.flatMap((agent, i) => {
    const twin = agents.slice(0, i).find(({ prefix }) => prefix === agent.prefix);
    if (!twin) return [];
    const what = `it has the same prefix as ${twin.name}: ${agent.prefix}`;
    return [warning(`home agent ${agent.name}`, what, 'unless both are on one home link, correct one of them')];
  });
}
