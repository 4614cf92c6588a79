import type { Argv } from 'yargs';
import { plainSubscriber, SERVICE_POLICIES, type Subscriber } from '../../protocol/home/records.js';
import { hasRealm } from '../../protocol/mip6/names.js';
import { warn, withOptions } from '../../runtime/cli/cli.js';
import { exactDuration } from '../../runtime/cli/duration-text.js';
import { OperatorError } from '../../runtime/system/failure.js';
import type { SubscriberChange } from '../../store/records.js';
import { details, json, list, show, text, time, withPaging, yesNo } from './output.js';
import { type Argument, administer, places, withStore } from './store-access.js';
import { FORMATS, readChange } from './subscriber-policy.js';

const nai = {
  type: 'string',
  demandOption: true,
  description: 'NAI of the subscriber, as "subscriber list" prints it',
} as const;

/** `pana-aaa subscriber`. */
export function subscriberCommands(cli: Argv): Argv {
  return cli
    .command(
      'add <nai>',
      'Add a subscriber',
      (add) =>
        withPolicy(withOptions(add, places))
          .positional('nai', { ...nai, description: 'NAI in its certificate' })
          .option('enabled', { type: 'boolean', description: 'allow it to authenticate; --no-enabled: not allowed' })
          .option('json', json)
          .example('pana-aaa subscriber add mn@home.example', '')
          .example('pana-aaa subscriber add meter7@grid.example --no-mip6', 'network access only')
          .example('pana-aaa subscriber add taxi9@fleet.example --home-agent ha1 --lifetime 30m', ''),
      async (argv) => {
        const subscriber = { ...plainSubscriber(String(argv['nai'])), ...definite(changeIn(argv)), takeovers: 0 };
        await administer(argv, 'addSubscriber', { subscriber }, true);
        show(argv, subscriber, () => `Added ${subscriber.nai.toLowerCase()}.`);
        if (!hasRealm(subscriber.nai) && !subscriber.certificateName && !subscriber.certificateSha256) {
          warn(`${subscriber.nai} has no realm: only a certificate with exactly this name belongs to this subscriber`);
        }
      },
    )
    .command(
      'set <nai>',
      'Change a subscriber; an empty value resets a setting',
      (set) =>
        withPolicy(withOptions(set, places))
          .positional('nai', nai)
          .option('json', json)
          .example('pana-aaa subscriber set mn@home.example --home-agent ha2', 'its node moves to ha2')
          .example("pana-aaa subscriber set mn@home.example --home-agent ''", 'any home agent again'),
      async (argv) => {
        const change = changeIn(argv);
        if (Object.keys(change).length === 0)
          throw new OperatorError('nothing to change: give at least one option (see --help)');
        const changed = await administer(argv, 'changeSubscriber', { nai: String(argv['nai']), change });
        show(argv, changed, () => details(describe(changed)));
      },
    )
    .command(
      'list [match]',
      'List subscribers',
      (cli) =>
        withPaging(withOptions(cli, places))
          .positional('match', { type: 'string', description: 'only subscribers whose NAI contains this text' })
          .option('home-agent', { type: 'string', description: 'only subscribers pinned to this home agent' })
          .option('enabled', {
            type: 'boolean',
            description: 'only enabled subscribers; --no-enabled: only disabled ones',
          })
          .example('pana-aaa subscriber list @fleet.example --no-enabled', '')
          .example('pana-aaa subscriber list --all --json', 'for programs'),
      (argv) =>
        withStore(argv, (store) =>
          list<Subscriber>(argv, {
            header: ['NAI', 'ENABLED', 'MIPV6', 'LOCAL HA', 'HOME AGENT', 'HOME ADDRESS', 'LIFETIME', 'CERTIFICATE'],
            row: (subscriber) => [
              subscriber.nai,
              yesNo(subscriber.enabled),
              yesNo(subscriber.mip6),
              yesNo(subscriber.localHomeAgent),
              subscriber.homeAgent ?? 'any',
              subscriber.homeAddress ?? 'any',
              subscriber.sessionLifetime === undefined ? 'default' : exactDuration(subscriber.sessionLifetime),
              certificateOf(subscriber),
            ],
            filters: ['match', 'home-agent', 'enabled'],
            none: 'No subscribers. "pana-aaa subscriber add" adds one, "subscriber import" adds many.',
            page: (range) =>
              store.run('listSubscribers', {
                ...range,
                match: text(argv, 'match'),
                homeAgent: text(argv, 'home-agent'),
                enabled: argv['enabled'] as boolean | undefined,
              }),
          }),
        ),
    )
    .command(
      'show <nai>',
      'Show a subscriber, its lease and its sessions',
      (cli) =>
        withOptions(cli, places)
          .positional('nai', nai)
          .option('json', json)
          .example('pana-aaa subscriber show mn@home.example', ''),
      (argv) =>
        withStore(argv, async (store) => {
          const subscriber = await store.run('showSubscriber', { nai: String(argv['nai']) });
          const { items: openSessions } = await store.run('listSessions', { of: subscriber.nai });
          const lease = await store.run('leaseOf', { nai: subscriber.nai });
          show(argv, { ...subscriber, lease: lease ?? null, openSessions }, () =>
            details([
              ...describe(subscriber),
              [
                'lease',
                lease ? `${lease.homeAddress} on ${lease.homeAgent.name} until ${time(lease.expiresAt)}` : 'none',
              ],
              ...openSessions.map(({ sessionId, origin }) => ['session', `${sessionId} at ${origin}`] as const),
            ]),
          );
        }),
    )
    .command(...onSubscriber('enable', true, 'Enable a subscriber', 'Enabled'))
    .command(...onSubscriber('disable', false, 'Disable a subscriber and terminate its sessions', 'Disabled'))
    .command(
      'remove <nai>',
      'Remove a subscriber, its sessions and its lease',
      (remove) =>
        withOptions(remove, places)
          .positional('nai', nai)
          .option('json', json)
          .example('pana-aaa subscriber remove mn@home.example', ''),
      async (argv) => {
        const { lease } = await administer(argv, 'removeSubscriber', { nai: String(argv['nai']) });
        const held = lease ? `, which held ${lease.homeAddress} on ${lease.homeAgent.name}` : '';
        show(argv, { nai: argv['nai'], lease: lease ?? null }, () => `Removed ${argv['nai']}${held}.`);
      },
    )
    .command(
      'import <file>',
      'Add all subscribers of a file, or none',
      (cli) =>
        withOptions(cli, places)
          .positional('file', {
            type: 'string',
            demandOption: true,
            description: 'CSV or YAML file; -: standard input',
          })
          .option('format', { choices: FORMATS, description: 'format of the file [default: by the file name]' })
          .option('update', { type: 'boolean', description: 'also change subscribers that already exist' })
          .option('dry-run', { type: 'boolean', description: 'only check the file' })
          .option('json', json)
          .example('pana-aaa subscriber import customers.csv --dry-run', 'check the file only')
          .example('pana-aaa subscriber import customers.csv --update', ''),
      async (argv) => (await import('./subscriber-import.js')).importSubscribers(argv),
    )
    .command(
      'export',
      'Write all subscribers to standard output, in the format that "subscriber import" reads',
      (cli) =>
        withOptions(cli, places)
          .option('format', { choices: FORMATS, default: 'csv', description: 'output format' })
          .example('pana-aaa subscriber export >customers.csv', '')
          .example('pana-aaa subscriber export --format yaml >customers.yaml', ''),
      async (argv) => (await import('./subscriber-export.js')).exportSubscribers(argv),
    );
}

function withPolicy(cli: Argv): Argv {
  return cli
    .option('mip6', { type: 'boolean', description: 'grant Mobile IPv6 [default: yes]' })
    .option('local-home-agent', {
      type: 'boolean',
      description: 'allow a home agent in the access network [default: yes]',
    })
    .option('ikev2-home-address', {
      type: 'boolean',
      description: 'allow home agents to deliver the home address by IKEv2 with EAP [default: no]',
    })
    .option('home-agent', { type: 'string', description: 'always this home agent [default: the least loaded]' })
    .option('home-address', { type: 'string', description: 'always this home address' })
    .option('psk-root', {
      choices: ['msk', 'emsk', ''],
      description: 'key that the IKE key is derived from',
    })
    .option('lifetime', { type: 'string', description: 'session lifetime, such as 90s, 30m or 8h' })
    .option('certificate-name', { type: 'string', description: 'name (SAN or CN) in its certificate, if not the NAI' })
    .option('certificate-sha256', {
      type: 'string',
      description: 'fingerprint of its certificate; no other is accepted',
    })
    .option('sessions', {
      choices: ['one', 'replace'],
      description: 'refuse a second session (one), or let it take over the lease (replace) [default: replace]',
    })
    .option('privacy', {
      choices: ['optional', 'required'],
      description: 'required: no Mobile IPv6 for a node that does not request it sealed [default: optional]',
    })
    .option('services', {
      choices: SERVICE_POLICIES,
      description: 'services besides Mobile IPv6 that the subscriber may have [default: none]',
    });
}

const POLICY = [
  'enabled',
  'mip6',
  'local-home-agent',
  'ikev2-home-address',
  'home-agent',
  'home-address',
  'psk-root',
  'lifetime',
  'certificate-name',
  'certificate-sha256',
  'sessions',
  'privacy',
  'services',
];

/** Reads the changes that the options request. Throws OperatorError. */
function changeIn(argv: Argument): SubscriberChange {
  const change = readChange(Object.fromEntries(POLICY.map((name) => [name, argv[name]])));
  if ('problem' in change) throw new OperatorError(change.problem);
  return change;
}

/** The settings of a new subscriber. Null means a reset, which a new subscriber does not need. */
function definite(change: SubscriberChange): Partial<Subscriber> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== null));
}

function onSubscriber(name: string, enabled: boolean, description: string, done: string) {
  return [
    `${name} <nai>`,
    description,
    (cli: Argv) =>
      withOptions(cli, places)
        .positional('nai', nai)
        .option('json', json)
        .example(`pana-aaa subscriber ${name} mn@home.example`, ''),
    (argv: Argument) =>
      withStore(argv, async (store) => {
        const changed = await store.run('changeSubscriber', { nai: String(argv['nai']), change: { enabled } });
        const later =
          enabled || store.throughServer ? '' : ' No server runs; the next one terminates its sessions at startup.';
        show(argv, changed, () => `${done} ${changed.nai}.${later}`);
      }),
  ] as const;
}

function certificateOf({ certificateName, certificateSha256 }: Subscriber): string {
  if (certificateSha256 !== undefined) return `SHA-256 ${certificateSha256.slice(0, 8)}…`;
  return certificateName ?? 'its NAI';
}

function describe(subscriber: Subscriber): (readonly [string, string])[] {
  return [
    ['NAI', subscriber.nai],
    ['enabled', yesNo(subscriber.enabled)],
    ['Mobile IPv6', yesNo(subscriber.mip6)],
    ['local home agent', yesNo(subscriber.localHomeAgent)],
    ['home address by IKEv2', yesNo(subscriber.ikev2HomeAddress)],
    ['home agent', subscriber.homeAgent ?? 'any'],
    ['home address', subscriber.homeAddress ?? 'any'],
    ['IKE key from', subscriber.pskRoot ?? 'default'],
    [
      'session lifetime',
      subscriber.sessionLifetime === undefined ? 'default' : exactDuration(subscriber.sessionLifetime),
    ],
    ['certificate name', subscriber.certificateName ?? 'its NAI'],
    ['certificate SHA-256', subscriber.certificateSha256 ?? 'any'],
    ['second session', subscriber.sessions === 'one' ? 'is refused' : 'takes over the lease'],
    ['sealed assignment', subscriber.privacy === 'required' ? 'is required' : 'if the node requests it'],
    ['other services', subscriber.services],
    ['leases taken over', String(subscriber.takeovers)],
  ];
}
