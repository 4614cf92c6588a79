import type { Argv } from 'yargs';
import type { ServiceLease, ServiceServer } from '../../protocol/home/records.js';
import { SERVICES } from '../../protocol/mip6/services.js';
import { table, withOptions } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { json, show, text, time, wholeNumber } from './output.js';
import { administer, places } from './store-access.js';

const name = { type: 'string', demandOption: true, description: 'as "service list" shows it' } as const;
const asItems = { ...json, description: 'print JSON: {"items": […]}' } as const;

/** `pana-aaa service`. */
export function serviceCommands(cli: Argv): Argv {
  return cli
    .command(
      'add <name>',
      'Add a home agent for Mobile IPv4 or a rendezvous server for HIP',
      (add) =>
        withOptions(add, places)
          .positional('name', { type: 'string', demandOption: true, description: 'name in commands, logs and hooks' })
          .option('type', { choices: SERVICES, demandOption: true, description: 'mip4 (Mobile IPv4), or hip' })
          .option('address', { type: 'string', demandOption: true, description: 'its address; IPv4 for mip4' })
          .option('pool', {
            type: 'string',
            description: 'mip4: home addresses of nodes, a prefix that contains address',
          })
          .option('hit', { type: 'string', description: 'hip: its Host Identity Tag' })
          .option('capacity', { type: 'number', default: 1000, description: 'maximum number of leases' })
          .option('target', {
            type: 'string',
            description: 'address at which the hook reaches it (MIP6_SERVER_TARGET)',
          })
          .option('json', json)
          .example('pana-aaa service add ha4 --type mip4 --address 192.0.2.1 --pool 192.0.2.0/24', ''),
      async (argv) => {
        const server = {
          name: String(argv['name']),
          service: argv['type'] as ServiceServer['service'],
          address: String(argv['address']),
          pool: text(argv, 'pool'),
          hit: text(argv, 'hit'),
          capacity: wholeNumber(argv, 'capacity', 1),
          target: text(argv, 'target'),
        };
        await administer(argv, 'addServiceServer', { server }, true);
        show(argv, server, () => `Added ${server.name}.`);
      },
    )
    .command(
      'set <name>',
      'Change a server',
      (set) =>
        withOptions(set, places)
          .positional('name', name)
          .option('capacity', { type: 'number', description: 'maximum number of leases; existing leases are kept' })
          .option('target', { type: 'string', description: 'address at which the hook reaches it; empty: none' })
          .option('state', {
            choices: ['up', 'draining', 'down'] as const,
            description: 'draining: no new nodes; down: its nodes get another server at their next authentication',
          })
          .option('json', json)
          .example('pana-aaa service set ha4 --state draining', ''),
      async (argv) => {
        const state = text(argv, 'state') as ServiceServer['state'] | undefined;
        const change = {
          ...(argv['capacity'] === undefined ? {} : { capacity: wholeNumber(argv, 'capacity', 1) }),
          ...(argv['target'] === undefined ? {} : { target: String(argv['target']) }),
          ...(state === undefined ? {} : { state }),
        };
        if (Object.keys(change).length === 0)
          throw new OperatorError('nothing to change: give at least one option (see --help)');
        const server = await administer(argv, 'changeServiceServer', { name: String(argv['name']), change });
        show(argv, server, () => serverTable([server]));
      },
    )
    .command(
      'list',
      'List home agents for Mobile IPv4 and rendezvous servers for HIP',
      (list) => withOptions(list, places).option('json', asItems).example('pana-aaa service list', ''),
      async (argv) => {
        const items = await administer(argv, 'listServiceServers', {});
        const none = 'No servers. "pana-aaa service add" adds one.';
        show(argv, { items, next: null }, () => (items.length === 0 ? none : serverTable(items)));
      },
    )
    .command(
      'leases [of]',
      'List which subscribers have services now',
      (list) =>
        withOptions(list, places)
          .positional('of', { type: 'string', description: 'only those of this subscriber' })
          .option('json', asItems)
          .example('pana-aaa service leases mn1@home.example', ''),
      async (argv) => {
        const items = await administer(argv, 'listServiceLeases', { of: text(argv, 'of') });
        show(argv, { items, next: null }, () => (items.length === 0 ? 'No leases.' : leaseTable(items)));
      },
    )
    .command(
      'remove <name>',
      'Remove a server',
      (remove) =>
        withOptions(remove, places)
          .positional('name', name)
          .option('force', { type: 'boolean', default: false, description: 'also end its leases' })
          .option('json', json)
          .example('pana-aaa service remove ha4', ''),
      async (argv) => {
        const given = { name: String(argv['name']), force: argv['force'] === true };
        const over = await administer(argv, 'removeServiceServer', given);
        const leases = over.length === 1 ? '1 lease' : `${over.length} leases`;
        const shown = { name: given.name, leases: over.length };
        show(argv, shown, () => `Removed ${given.name}${over.length > 0 ? ` and ${leases}` : ''}.`);
      },
    );
}

function serverTable(servers: readonly ServiceServer[]): string {
  return table(
    ['NAME', 'TYPE', 'STATE', 'ADDRESS', 'POOL OR HIT', 'LEASES'],
    servers.map(({ name, service, state, address, pool, hit, leases, capacity }) => [
      name,
      service,
      state,
      address,
      pool ?? hit ?? '',
      `${leases} of ${capacity}`,
    ]),
  );
}

function leaseTable(leases: readonly ServiceLease[]): string {
  return table(
    ['SUBSCRIBER', 'TYPE', 'SERVER', 'HOME ADDRESS', 'UNTIL'],
    leases.map(({ nai, server, address, expiresAt }) => [
      nai,
      server.service,
      server.name,
      address ?? '',
      time(expiresAt),
    ]),
  );
}
