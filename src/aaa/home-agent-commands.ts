import type { Argv } from 'yargs';
import { print, table, withOptions } from '../runtime/cli.js';
import { OperatorError } from '../runtime/failure.js';
import type { HomeAgent, HomeAgentChange, Ike, Lease } from '../runtime/store/records.js';
import { type Argument, administer, json, places, show, text } from './administration.js';

/** The versions of IKE that an option names. Throws OperatorError. */
function ikeOf(given: unknown): Ike[] {
  const ike = String(given)
    .split(',')
    .map((version) => version.trim());
  const unknown = ike.find((version) => version !== 'ikev1' && version !== 'ikev2');
  if (unknown !== undefined) throw new OperatorError(`--ike: "${unknown}" is not ikev1 or ikev2`);
  return ike as Ike[];
}

/** A change of one home agent's state. */
function onHomeAgent(name: string, state: HomeAgent['state'], description: string, done: string) {
  return [
    `${name} <name>`,
    description,
    (cli: Argv) =>
      withOptions(cli, places)
        .positional('name', { type: 'string', demandOption: true, description: 'as "home-agent list" shows it' })
        .example(`pana-aaa home-agent ${name} ha1`, ''),
    async (argv: Argument) => {
      const agent = await administer<HomeAgent>(argv, 'changeHomeAgent', {
        name: String(argv['name']),
        change: { state },
      });
      print(`${agent.name} ${done}.`);
    },
  ] as const;
}

/** `pana-aaa home-agent`. */
export function homeAgentCommands(cli: Argv): Argv {
  return cli
    .command(...onHomeAgent('up', 'up', 'Assign a home agent again', 'is assigned again'))
    .command(
      ...onHomeAgent('drain', 'draining', 'Assign a home agent no more, and leave its nodes', 'gets no new nodes'),
    )
    .command(
      ...onHomeAgent(
        'down',
        'down',
        'Move the nodes of a home agent to others: RAR for each session',
        'is down: the running server moves its nodes',
      ),
    )
    .command(
      'set <name>',
      'Change a home agent',
      (set) =>
        withOptions(set, places)
          .positional('name', { type: 'string', demandOption: true, description: 'as "home-agent list" shows it' })
          .option('capacity', { type: 'number', description: 'leases at most' })
          .option('weight', { type: 'number', description: 'share of the load' })
          .option('target', { type: 'string', description: 'where its hook reaches it; empty: nowhere' })
          .option('ike', { type: 'string', description: 'versions of IKE: ikev1, ikev2 or both' })
          .example('pana-aaa home-agent set ha1 --capacity 5000', ''),
      async (argv) => {
        const change: HomeAgentChange = {
          ...(argv['capacity'] === undefined ? {} : { capacity: Number(argv['capacity']) }),
          ...(argv['weight'] === undefined ? {} : { weight: Number(argv['weight']) }),
          ...(argv['target'] === undefined ? {} : { target: String(argv['target']) }),
          ...(argv['ike'] === undefined ? {} : { ike: ikeOf(argv['ike']) }),
        };
        const agent = await administer<HomeAgent>(argv, 'changeHomeAgent', { name: String(argv['name']), change });
        print(homeAgentTable([agent]));
      },
    )
    .command(
      'remove <name>',
      'Remove a home agent',
      (remove) =>
        withOptions(remove, places)
          .positional('name', { type: 'string', demandOption: true, description: 'as "home-agent list" shows it' })
          .option('force', { type: 'boolean', default: false, description: 'with its leases' })
          .example('pana-aaa home-agent remove ha1', ''),
      async (argv) => {
        const given = { name: String(argv['name']), force: argv['force'] === true };
        const over = await administer<Lease[]>(argv, 'removeHomeAgent', given);
        const leases = over.length === 1 ? '1 lease' : `${over.length} leases`;
        print(`Removed ${given.name}${over.length > 0 ? ` and ${leases}` : ''}.`);
      },
    )
    .command(
      'add <name>',
      'Add a home agent',
      (add) =>
        withOptions(add, places)
          .positional('name', { type: 'string', demandOption: true, description: 'name for people and hooks' })
          .option('address', { type: 'string', demandOption: true, description: 'its IPv6 address' })
          .option('host', { type: 'string', demandOption: true, description: 'its FQDN, which it shows in IKE' })
          .option('prefix', { type: 'string', demandOption: true, description: 'home link prefix, a /64' })
          .option('capacity', { type: 'number', default: 1000, description: 'leases at most' })
          .option('weight', { type: 'number', default: 1, description: 'share of the load' })
          .option('target', { type: 'string', description: 'where its hook reaches it (MIP6_HA_TARGET)' })
          .option('ike', { type: 'string', default: 'ikev1', description: 'versions of IKE: ikev1, ikev2 or both' })
          .example(
            'pana-aaa home-agent add ha1 --address 2001:db8:1::1 --host ha1.home.example --prefix 2001:db8:1::/64',
            '',
          ),
      async (argv) => {
        const agent = {
          name: String(argv['name']),
          address: String(argv['address']),
          host: String(argv['host']),
          prefix: String(argv['prefix']),
          capacity: Number(argv['capacity']),
          weight: Number(argv['weight']),
          target: text(argv, 'target'),
          ike: ikeOf(argv['ike']),
        };
        await administer(argv, 'addHomeAgent', { agent });
        print(`Added ${agent.name}.`);
      },
    )
    .command(
      'list',
      'List home agents with their load',
      (list) => withOptions(list, places).option('json', json).example('pana-aaa home-agent list', ''),
      async (argv) => {
        const agents = await administer<HomeAgent[]>(argv, 'listHomeAgents', {});
        show(argv, agents, () => homeAgentTable(agents));
      },
    );
}

const BAR = 20;

function bar(part: number): string {
  const filled = Math.min(BAR, Math.round(part * BAR));
  return `${'#'.repeat(filled)}${'.'.repeat(BAR - filled)} ${Math.round(part * 100)} %`;
}

function homeAgentTable(agents: readonly HomeAgent[]): string {
  if (agents.length === 0) return 'No home agents: "pana-aaa home-agent add" adds one.';
  return table(
    ['NAME', 'STATE', 'ADDRESS', 'PREFIX', 'IKE', 'LEASES', 'LOAD'],
    agents.map(({ name, state, address, prefix, ike, leases, capacity }) => [
      name,
      state,
      address,
      prefix,
      ike.join(','),
      `${leases} of ${capacity}`,
      bar(leases / capacity),
    ]),
  );
}
