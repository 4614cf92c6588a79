import type { Argv } from 'yargs';
import { withOptions } from '../../runtime/cli/cli.js';
import type { AuditEntry } from '../../store/records.js';
import { homeAgentCommands } from './home-agent.js';
import { leaseCommands } from './lease.js';
import { details, json, list, show, text, time, withPaging } from './output.js';
import { serviceCommands } from './service.js';
import { sessionCommands } from './session.js';
import { storeCommands } from './store.js';
import { places, withStore } from './store-access.js';
import { subscriberCommands } from './subscriber.js';

/** Operator commands on the store. Each goes to the running server; if no server runs, it opens the store itself. */
export function operatorCommands(cli: Argv): Argv {
  return cli
    .command('subscriber', 'Manage subscribers', (subscriber) =>
      subscriberCommands(subscriber)
        .example('pana-aaa subscriber list', '')
        .demandCommand(1, 'Name a command: add, set, list, show, enable, disable, remove, import, export'),
    )
    .command('home-agent', 'Manage home agents', (agent) =>
      homeAgentCommands(agent)
        .example('pana-aaa home-agent list', '')
        .demandCommand(1, 'Name a command: add, set, list, show, up, drain, down, remove'),
    )
    .command('service', 'Manage the servers of Mobile IPv4 and HIP', (service) =>
      serviceCommands(service)
        .example('pana-aaa service list', '')
        .demandCommand(1, 'Name a command: add, set, list, leases, remove'),
    )
    .command('lease', 'List, release and look up leases of home addresses', (lease) =>
      leaseCommands(lease)
        .example('pana-aaa lease list', '')
        .demandCommand(1, 'Name a command: list, show, release or history'),
    )
    .command('session', 'List, terminate and re-authenticate sessions', (session) =>
      sessionCommands(session)
        .example('pana-aaa session list', '')
        .demandCommand(1, 'Name a command: list, show, watch, disconnect, reauth'),
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
      'List administrative changes, newest first',
      (cli) =>
        withPaging(withOptions(cli, places))
          .positional('of', {
            type: 'string',
            description: 'only changes that contain this text: a name, an operator, an operation',
          })
          .example('pana-aaa audit mn@home.example', ''),
      (argv) =>
        withStore(argv, (store) =>
          list<AuditEntry>(argv, {
            header: ['AT', 'WHO', 'WHAT', 'WITH'],
            row: ({ at, who, what, detail }) => [time(at), who, what, detail],
            filters: ['of'],
            none: 'No changes.',
            page: (range) => store.run('listAudit', { ...range, of: text(argv, 'of') }),
          }),
        ),
    )
    .command('store', 'Back up or restore the store', (store) =>
      storeCommands(store)
        .example('pana-aaa store backup /var/backups/aaa.db', '')
        .demandCommand(1, 'Name a command: backup, restore, rotate-secret'),
    );
}
