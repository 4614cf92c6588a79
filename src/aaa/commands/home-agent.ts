import type { Argv } from 'yargs';
import type { HomeAgent, Ike } from '../../protocol/home/records.js';
import { table, withOptions } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import type { HomeAgentChange } from '../../store/records.js';
import { details, json, show, text, wholeNumber } from './output.js';
import { type Argument, administer, places, withStore } from './store-access.js';

const name = { type: 'string', demandOption: true, description: 'as "home-agent list" shows it' } as const;

/** `pana-aaa home-agent`. */
export function homeAgentCommands(cli: Argv): Argv {
  return cli
    .command(
      'add <name>',
      'Add a home agent',
      (add) =>
        withOptions(add, places)
          .positional('name', { type: 'string', demandOption: true, description: 'name in commands, logs and hooks' })
          .option('address', { type: 'string', demandOption: true, description: 'its IPv6 address' })
          .option('host', { type: 'string', demandOption: true, description: 'its FQDN, which is its identity in IKE' })
          .option('prefix', { type: 'string', demandOption: true, description: 'prefix of the home link, a /64' })
          .option('capacity', { type: 'number', default: 1000, description: 'maximum number of leases' })
          .option('weight', { type: 'number', default: 1, description: 'share of the load, relative to its capacity' })
          .option('target', { type: 'string', description: 'address at which the hook reaches it (MIP6_HA_TARGET)' })
          .option('ike', {
            type: 'string',
            default: 'ikev2',
            description: 'IKE versions: ikev2, ikev1 (racoon) or both',
          })
          .option('json', json)
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
          capacity: wholeNumber(argv, 'capacity', 1),
          weight: wholeNumber(argv, 'weight', 1),
          target: text(argv, 'target'),
          ike: ikeOf(argv['ike']),
        };
        await administer(argv, 'addHomeAgent', { agent }, true);
        show(argv, agent, () => `Added ${agent.name}.`);
      },
    )
    .command(
      'set <name>',
      'Change a home agent',
      (set) =>
        withOptions(set, places)
          .positional('name', name)
          .option('capacity', { type: 'number', description: 'maximum number of leases; existing leases are kept' })
          .option('weight', { type: 'number', description: 'share of the load, relative to its capacity' })
          .option('target', { type: 'string', description: 'address at which the hook reaches it; empty: none' })
          .option('ike', { type: 'string', description: 'IKE versions: ikev2, ikev1 (racoon) or both' })
          .option('json', json)
          .example('pana-aaa home-agent set ha1 --capacity 5000', ''),
      async (argv) => {
        const change: HomeAgentChange = {
          ...(argv['capacity'] === undefined ? {} : { capacity: wholeNumber(argv, 'capacity', 1) }),
          ...(argv['weight'] === undefined ? {} : { weight: wholeNumber(argv, 'weight', 1) }),
          ...(argv['target'] === undefined ? {} : { target: String(argv['target']) }),
          ...(argv['ike'] === undefined ? {} : { ike: ikeOf(argv['ike']) }),
        };
        if (Object.keys(change).length === 0)
          throw new OperatorError('nothing to change: give at least one option (see --help)');
        const agent = await administer(argv, 'changeHomeAgent', { name: String(argv['name']), change });
        show(argv, agent, () => homeAgentTable([agent]));
      },
    )
    .command(
      'list',
      'List home agents and their load',
      (list) =>
        withOptions(list, places)
          .option('state', { choices: ['up', 'draining', 'down', 'silent'], description: 'only those in this state' })
          .option('json', { ...json, description: 'print JSON: {"items": […]}' })
          .example('pana-aaa home-agent list', '')
          .example('pana-aaa home-agent list --state silent', 'home agents that do not answer probes'),
      async (argv) => {
        const agents = await administer(argv, 'listHomeAgents', {});
        const wanted = agents.filter((agent) => argv['state'] === undefined || isIn(agent, String(argv['state'])));
        const none = agents.length === 0 ? 'No home agents. "pana-aaa home-agent add" adds one.' : 'No match.';
        show(argv, { items: wanted, next: null }, () => (wanted.length === 0 ? none : homeAgentTable(wanted)));
      },
    )
    .command(
      'show <name>',
      'Show a home agent',
      (cli) =>
        withOptions(cli, places)
          .positional('name', name)
          .option('json', json)
          .example('pana-aaa home-agent show ha1', ''),
      async (argv) => {
        const agents = await administer(argv, 'listHomeAgents', {});
        const agent = agents.find((one) => one.name === argv['name']);
        if (!agent) throw new OperatorError(`no home agent ${argv['name']}: "home-agent list" lists the home agents`);
        show(argv, agent, () =>
          details([
            ['name', agent.name],
            ['state', agent.state],
            ['probe', agent.failedBy === undefined ? undefined : `no answer, according to ${agent.failedBy}`],
            ['address', agent.address],
            ['host', agent.host],
            ['prefix', agent.prefix],
            ['IKE', agent.ike.join(', ')],
            ['target of the hook', agent.target ?? 'none'],
            ['weight', String(agent.weight)],
            ['leases', `${agent.leases} of ${agent.capacity}`],
            ['load', bar(agent.leases / agent.capacity)],
          ]),
        );
      },
    )
    .command(...onHomeAgent('up', 'up', 'Resume assigning a home agent', () => 'is assigned again.'))
    .command(
      ...onHomeAgent('drain', 'draining', 'Stop assigning a home agent; its nodes stay', () => 'gets no new nodes.'),
    )
    .command(
      ...onHomeAgent(
        'down',
        'down',
        'Move the nodes of a home agent to others: RAR for each session',
        (throughServer) =>
          throughServer
            ? 'is down: the running server moves its nodes.'
            : 'is down. No server runs: its nodes move at their next authentication.',
      ),
    )
    .command(
      'remove <name>',
      'Remove a home agent',
      (remove) =>
        withOptions(remove, places)
          .positional('name', name)
          .option('force', { type: 'boolean', default: false, description: 'also remove its leases' })
          .option('json', json)
          .example('pana-aaa home-agent remove ha1', ''),
      async (argv) => {
        const given = { name: String(argv['name']), force: argv['force'] === true };
        const over = await administer(argv, 'removeHomeAgent', given);
        const leases = over.length === 1 ? '1 lease' : `${over.length} leases`;
        const shown = { name: given.name, leases: over.length };
        show(argv, shown, () => `Removed ${given.name}${over.length > 0 ? ` and ${leases}` : ''}.`);
      },
    );
}

/** Parses the IKE versions of an option. Throws OperatorError. */
function ikeOf(given: unknown): Ike[] {
  const ike = String(given)
    .split(',')
    .map((version) => version.trim());
  const unknown = ike.find((version) => version !== 'ikev1' && version !== 'ikev2');
  if (unknown !== undefined) throw new OperatorError(`--ike: "${unknown}" is not ikev1 or ikev2`);
  return ike as Ike[];
}

/** A command that changes the state of one home agent. */
function onHomeAgent(
  command: string,
  state: HomeAgent['state'],
  description: string,
  done: (throughServer: boolean) => string,
) {
  return [
    `${command} <name>`,
    description,
    (cli: Argv) =>
      withOptions(cli, places)
        .positional('name', name)
        .option('json', json)
        .example(`pana-aaa home-agent ${command} ha1`, ''),
    (argv: Argument) =>
      withStore(argv, async (store) => {
        const agent = await store.run('changeHomeAgent', { name: String(argv['name']), change: { state } });
        show(argv, agent, () => `${agent.name} ${done(store.throughServer)}`);
      }),
  ] as const;
}

function isIn({ state, failedBy }: HomeAgent, wanted: string): boolean {
  return wanted === 'silent' ? failedBy !== undefined : state === wanted;
}

const BAR = 20;

function bar(part: number): string {
  const filled = Math.min(BAR, Math.round(part * BAR));
  return `${'#'.repeat(filled)}${'.'.repeat(BAR - filled)} ${Math.round(part * 100)} %`;
}

function homeAgentTable(agents: readonly HomeAgent[]): string {
  return table(
    ['NAME', 'STATE', 'ADDRESS', 'PREFIX', 'IKE', 'WEIGHT', 'LEASES', 'LOAD'],
    agents.map(({ name, state, failedBy, address, prefix, ike, weight, leases, capacity }) => [
      name,
      failedBy === undefined ? state : `${state}, no answer`,
      address,
      prefix,
      ike.join(','),
      String(weight),
      `${leases} of ${capacity}`,
      bar(leases / capacity),
    ]),
  );
}
