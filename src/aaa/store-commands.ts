import type { Argv } from 'yargs';
import { type OptionFlags, optionsOf, print, table, withOptions } from '../runtime/cli.js';
import { callDaemon } from '../runtime/control.js';
import { OperatorError } from '../runtime/failure.js';
import type { HomeAgent, Ike, Lease, Subscriber } from '../runtime/store/operations.js';
import type { OperationName } from '../runtime/store/store.js';
import { type AaaOptions, aaaSchema } from './options.js';

export const flags: OptionFlags<typeof aaaSchema> = { prefix: 'PANA_AAA', schema: aaaSchema };

/** The keys that the store's commands need; a whole configuration is not. */
const places = { ...flags, schema: aaaSchema.pick({ store: true, control: true }) };

type Argument = Readonly<Record<string, unknown>>;

/**
 * Runs an operation of the store: by the daemon if one runs, so that both never disagree, else on the file itself. Of the
 * configuration only `store` and `control.socket` matter.
 */
async function administer<T>(argv: Argument, operation: OperationName, given: object): Promise<T> {
  const options = await placesOf(argv);
  try {
    const body = { operation, arguments: given };
    return (await callDaemon(options.control.socket, 'POST', '/store', body)) as T;
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
  }
  const [{ Store }, { mkdir }, { dirname }] = await Promise.all([
    import('../runtime/store/store.js'),
    import('node:fs/promises'),
    import('node:path'),
  ]);
  await mkdir(dirname(options.store), { recursive: true, mode: 0o700 });
  const store = await Store.open(options.store);
  try {
    return (await store.run(operation, given as never)) as T;
  } finally {
    await store.close();
  }
}

function placesOf(argv: Argument): Promise<Pick<AaaOptions, 'store' | 'control'>> {
  const given = argv['config'] ?? process.env[`${flags.prefix}_CONFIG`];
  if (given !== undefined) return optionsOf(argv, flags);
  return optionsOf(argv, places);
}

function text(argv: Argument, name: string): string | undefined {
  const value = argv[name];
  return value === undefined ? undefined : String(value);
}

function show(argv: Argument, rows: readonly object[], lines: () => string): void {
  print(argv['json'] === true ? JSON.stringify(rows) : lines());
}

const json = { type: 'boolean', description: 'JSON for programs' } as const;

export function storeCommands(cli: Argv): Argv {
  return cli
    .command('subscriber', 'Subscribers: who may come in', (subscriber) =>
      subscriberCommands(subscriber)
        .example('pana-aaa subscriber list', '')
        .demandCommand(1, 'Which? add, list, remove'),
    )
    .command('home-agent', 'Home agents that are assigned', (agent) =>
      homeAgentCommands(agent).example('pana-aaa home-agent list', '').demandCommand(1, 'Which? add, list'),
    )
    .command('lease', 'Home addresses in use', (lease) =>
      lease
        .command(
          'list',
          'List leases',
          (list) => withOptions(list, places).option('json', json).example('pana-aaa lease list', ''),
          async (argv) => {
            const leases = await administer<Lease[]>(argv, 'listLeases', {});
            show(argv, leases, () => leaseTable(leases));
          },
        )
        .example('pana-aaa lease list', '')
        .demandCommand(1, 'Which? list'),
    );
}

function subscriberCommands(cli: Argv): Argv {
  return cli
    .command(
      'add <nai>',
      'Add a subscriber',
      (add) =>
        withOptions(add, places)
          .positional('nai', { type: 'string', demandOption: true, description: 'name that the certificate holds' })
          .option('mip6', { type: 'boolean', default: true, description: 'grant Mobile IPv6' })
          .option('local-home-agent', {
            type: 'boolean',
            default: true,
            description: 'allow one of the access network',
          })
          .option('home-agent', { type: 'string', description: 'always this home agent' })
          .option('home-address', { type: 'string', description: 'always this home address' })
          .option('psk-root', {
            type: 'string',
            choices: ['msk', 'emsk'],
            description: 'key that the IKE key comes from',
          })
          .option('lifetime', { type: 'number', description: 'session lifetime in seconds' })
          .example('pana-aaa subscriber add mn@home.example', '')
          .example('pana-aaa subscriber add meter7@grid.example --no-mip6', 'network access only'),
      async (argv) => {
        const lifetime = argv['lifetime'] as number | undefined;
        if (lifetime !== undefined && !(Number.isInteger(lifetime) && lifetime >= 1 && lifetime <= 0xffff_fffe)) {
          throw new OperatorError(`--lifetime: ${lifetime} is not a whole number of seconds from 1`);
        }
        const subscriber: Subscriber = {
          nai: String(argv['nai']),
          enabled: true,
          mip6: argv['mip6'] === true,
          localHomeAgent: argv['local-home-agent'] === true,
          pskRoot: argv['psk-root'] as Subscriber['pskRoot'],
          homeAgent: text(argv, 'home-agent'),
          homeAddress: text(argv, 'home-address'),
          sessionLifetime: lifetime,
        };
        await administer(argv, 'addSubscriber', { subscriber, now: Date.now() });
        print(`Added ${subscriber.nai.toLowerCase()}.`);
      },
    )
    .command(
      'list',
      'List subscribers',
      (list) => withOptions(list, places).option('json', json).example('pana-aaa subscriber list --json', ''),
      async (argv) => {
        const subscribers = await administer<Subscriber[]>(argv, 'listSubscribers', {});
        show(argv, subscribers, () => subscriberTable(subscribers));
      },
    )
    .command(
      'remove <nai>',
      'Remove a subscriber with its sessions and its lease',
      (remove) =>
        withOptions(remove, places)
          .positional('nai', { type: 'string', demandOption: true, description: 'as "subscriber list" shows it' })
          .example('pana-aaa subscriber remove mn@home.example', ''),
      async (argv) => {
        const lease = await administer<Lease | null | undefined>(argv, 'removeSubscriber', {
          nai: String(argv['nai']),
        });
        print(`Removed ${argv['nai']}${lease ? `, which held ${lease.homeAddress} on ${lease.homeAgent.name}` : ''}.`);
      },
    );
}

function homeAgentCommands(cli: Argv): Argv {
  return cli
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
        const ike = String(argv['ike'])
          .split(',')
          .map((version) => version.trim());
        const unknown = ike.find((version) => version !== 'ikev1' && version !== 'ikev2');
        if (unknown !== undefined) throw new OperatorError(`--ike: "${unknown}" is not ikev1 or ikev2`);
        const agent = {
          name: String(argv['name']),
          address: String(argv['address']),
          host: String(argv['host']),
          prefix: String(argv['prefix']),
          capacity: Number(argv['capacity']),
          weight: Number(argv['weight']),
          target: text(argv, 'target'),
          ike: ike as Ike[],
        };
        await administer(argv, 'addHomeAgent', { agent, now: Date.now() });
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

function subscriberTable(subscribers: readonly Subscriber[]): string {
  if (subscribers.length === 0) return 'No subscribers: "pana-aaa subscriber add" adds one.';
  return table(
    ['NAI', 'ENABLED', 'MIPV6', 'LOCAL HA', 'HOME AGENT', 'HOME ADDRESS', 'KEY FROM', 'LIFETIME'],
    subscribers.map((subscriber) => [
      subscriber.nai,
      subscriber.enabled ? 'yes' : 'no',
      subscriber.mip6 ? 'yes' : 'no',
      subscriber.localHomeAgent ? 'yes' : 'no',
      subscriber.homeAgent ?? 'any',
      subscriber.homeAddress ?? 'any',
      subscriber.pskRoot ?? 'default',
      subscriber.sessionLifetime === undefined ? 'default' : `${subscriber.sessionLifetime} s`,
    ]),
  );
}

function leaseTable(leases: readonly Lease[]): string {
  if (leases.length === 0) return 'No leases.';
  return table(
    ['HOME ADDRESS', 'SUBSCRIBER', 'HOME AGENT', 'SINCE', 'UNTIL'],
    leases.map(({ homeAddress, nai, homeAgent, acquiredAt, expiresAt }) => [
      homeAddress,
      nai,
      homeAgent.name,
      new Date(acquiredAt).toISOString(),
      new Date(expiresAt).toISOString(),
    ]),
  );
}
