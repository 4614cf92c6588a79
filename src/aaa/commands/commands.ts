import type { Argv } from 'yargs';
import { withOptions } from '../../runtime/cli/cli.js';
import type { AuditEntry } from '../../store/records.js';
import { homeAgentCommands } from './home-agent.js';
import { leaseCommands } from './lease.js';
import { details, json, list, show, text, time, withPaging } from './output.js';
import { sessionCommands } from './session.js';
import { storeCommands } from './store.js';
import { places, withStore } from './store-access.js';
import { subscriberCommands } from './subscriber.js';

/** What an operator does with the store: each command goes to the running server or, without one, to the store itself. */
export function operatorCommands(cli: Argv): Argv {
  return cli
    .command('subscriber', 'Manage subscribers', (subscriber) =>
      subscriberCommands(subscriber)
        .example('pana-aaa subscriber list', '')
        .demandCommand(1, 'Which? add, set, list, show, enable, disable, remove, import, export'),
    )
    .command('home-agent', 'Home agents that are assigned', (agent) =>
      homeAgentCommands(agent)
        .example('pana-aaa home-agent list', '')
        .demandCommand(1, 'Which? add, set, list, show, up, drain, down, remove'),
    )
    .command('lease', 'Home addresses in use, and who had them', (lease) =>
      leaseCommands(lease).example('pana-aaa lease list', '').demandCommand(1, 'Which? list, show, release, history'),
    )
    .command('session', 'List, end and re-authenticate sessions', (session) =>
      sessionCommands(session)
        .example('pana-aaa session list', '')
        .demandCommand(1, 'Which? list, show, disconnect, reauth'),
    )
    .command(
      'stats',
      'Count subscribers, sessions and leases',
      (cli) => withOptions(cli, places).option('json', json).example('pana-aaa stats --json', 'for programs'),
      (argv) =>
        withStore(argv, async (store) => {
          const counted = await store.run('statistics', {});
          const agents = await store.run('listHomeAgents', {});
          const capacity = agents.reduce((sum, agent) => sum + agent.capacity, 0);
          const working = agents.filter(({ state, failedBy }) => state === 'up' && failedBy === undefined).length;
          show(argv, { ...counted, capacity, homeAgents: agents.length, homeAgentsAssigned: working }, () =>
            details([
              ['subscribers', `${counted.subscribers}, ${counted.disabled} of them disabled`],
              ['sessions', String(counted.sessions)],
              ['leases', `${counted.leases} of ${capacity}`],
              ['leases taken over', String(counted.takeovers)],
              ['home agents', `${agents.length}, ${working} of them assigned`],
            ]),
          );
        }),
    )
    .command(
      'audit [of]',
      'Who changed what when, the newest first',
      (cli) =>
        withPaging(withOptions(cli, places))
          .positional('of', { type: 'string', description: 'only lines with this: a name, an operator, an operation' })
          .example('pana-aaa audit mn@home.example', ''),
      (argv) =>
        withStore(argv, (store) =>
          list<AuditEntry>(argv, {
            header: ['AT', 'WHO', 'WHAT', 'WITH'],
            row: ({ at, who, what, detail }) => [time(at), who, what, detail],
            filters: ['of'],
            none: 'Nothing was changed.',
            page: (range) => store.run('listAudit', { ...range, of: text(argv, 'of') }),
          }),
        ),
    )
    .command('store', 'The store itself', (store) =>
      storeCommands(store)
        .example('pana-aaa store backup /var/backups/aaa.db', '')
        .demandCommand(1, 'Which? backup, restore, rotate-secret'),
    );
}
