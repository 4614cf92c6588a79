import type { Argv } from 'yargs';
import { print, table, withOptions } from '../runtime/cli.js';
import { OperatorError } from '../runtime/failure.js';
import type { Lease, Page, Subscriber } from '../runtime/store/records.js';
import { type Argument, administer, json, places, show, text } from './administration.js';

/** `pana-aaa subscriber`. */
export function subscriberCommands(cli: Argv): Argv {
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
          certificateName: undefined,
          certificateSha256: undefined,
          sessions: 'replace',
          takeovers: 0,
        };
        await administer(argv, 'addSubscriber', { subscriber });
        print(`Added ${subscriber.nai.toLowerCase()}.`);
      },
    )
    .command(
      'list',
      'List subscribers',
      (list) => withOptions(list, places).option('json', json).example('pana-aaa subscriber list --json', ''),
      async (argv) => {
        const { items: subscribers } = await administer<Page<Subscriber>>(argv, 'listSubscribers', {});
        show(argv, subscribers, () => subscriberTable(subscribers));
      },
    )
    .command(...onSubscriber('enable', true, 'Let a subscriber in again', 'may come in'))
    .command(
      ...onSubscriber('disable', false, 'Let a subscriber in no more, and end its sessions', 'is out, and stays out'),
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

function onSubscriber(name: string, enabled: boolean, description: string, done: string) {
  return [
    `${name} <nai>`,
    description,
    (cli: Argv) =>
      withOptions(cli, places)
        .positional('nai', { type: 'string', demandOption: true, description: 'as "subscriber list" shows it' })
        .example(`pana-aaa subscriber ${name} mn@home.example`, ''),
    async (argv: Argument) => {
      const nai = String(argv['nai']);
      await administer(argv, 'changeSubscriber', { nai, change: { enabled } });
      print(`${nai} ${done}.`);
    },
  ] as const;
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
