import type { Argv } from 'yargs';
import type { Lease } from '../../protocol/home/records.js';
import { withOptions } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import type { HeldLease } from '../../store/records.js';
import { details, json, list, show, text, time, withPaging } from './output.js';
import { administer, places, withStore } from './store-access.js';

const of = {
  type: 'string',
  demandOption: true,
  description: 'a home address, or the NAI of a subscriber',
} as const;

/** `pana-aaa lease`. */
export function leaseCommands(cli: Argv): Argv {
  return cli
    .command(
      'list [of]',
      'List leases',
      (cli) =>
        withPaging(withOptions(cli, places))
          .positional('of', { type: 'string', description: 'a home address, or part of an NAI' })
          .option('home-agent', { type: 'string', description: 'only leases on this home agent' })
          .example('pana-aaa lease list --home-agent ha1', ''),
      (argv) =>
        withStore(argv, (store) =>
          list<Lease>(argv, {
            header: ['HOME ADDRESS', 'SUBSCRIBER', 'HOME AGENT', 'SINCE', 'UNTIL'],
            row: ({ homeAddress, nai, homeAgent, acquiredAt, expiresAt }) => [
              homeAddress,
              nai,
              homeAgent.name,
              time(acquiredAt),
              time(expiresAt),
            ],
            filters: ['of', 'home-agent'],
            none: 'No leases.',
            page: (range) =>
              store.run('listLeases', { ...range, of: text(argv, 'of'), homeAgent: text(argv, 'home-agent') }),
          }),
        ),
    )
    .command(
      'show <of>',
      'Show a lease',
      (cli) =>
        withOptions(cli, places)
          .positional('of', of)
          .option('json', json)
          .example('pana-aaa lease show mn@home.example', ''),
      async (argv) => {
        const lease = await administer(argv, 'showLease', { of: String(argv['of']) });
        show(argv, lease, () =>
          details([
            ['home address', lease.homeAddress],
            ['subscriber', lease.nai],
            ['home agent', `${lease.homeAgent.name}, ${lease.homeAgent.address}`],
            ['session', lease.sessionId],
            ['since', time(lease.acquiredAt)],
            ['until', `${time(lease.expiresAt)}, unless renewed`],
          ]),
        );
      },
    )
    .command(
      'release <of>',
      'Release a home address',
      (cli) =>
        withOptions(cli, places)
          .positional('of', of)
          .option('force', {
            type: 'boolean',
            default: false,
            description: 'release it even if its session is open; the node is re-authenticated',
          })
          .option('json', json)
          .example('pana-aaa lease release 2001:db8:1::7', ''),
      async (argv) => {
        const given = { of: String(argv['of']), force: argv['force'] === true };
        const lease = await administer(argv, 'releaseLease', given);
        show(argv, lease, () => `Released ${lease.homeAddress}, which ${lease.nai} held on ${lease.homeAgent.name}.`);
      },
    )
    .command(
      'history [of]',
      'List past and present leases, newest first',
      (cli) =>
        withPaging(withOptions(cli, places))
          .positional('of', { type: 'string', description: 'a home address, or the NAI of a subscriber' })
          .option('at', {
            type: 'string',
            description: 'only leases held at this time (ISO 8601; UTC unless it has an offset)',
          })
          .example('pana-aaa lease history 2001:db8:1::7 --at 2026-03-01T12:00:00Z', 'who held it at noon'),
      (argv) => {
        const at = argv['at'] === undefined ? undefined : timeOf(String(argv['at']));
        return withStore(argv, (store) =>
          list<HeldLease>(argv, {
            header: ['HOME ADDRESS', 'SUBSCRIBER', 'HOME AGENT', 'FROM', 'TO'],
            row: ({ homeAddress, nai, homeAgent, acquiredAt, endedAt }) => [
              homeAddress,
              nai,
              homeAgent,
              time(acquiredAt),
              endedAt === undefined ? 'now' : time(endedAt),
            ],
            filters: [],
            none: 'Nobody.',
            page: (range) => store.run('leaseHistory', { ...range, of: text(argv, 'of'), at }),
          }),
        );
      },
    );
}

/** Parses `2026-03-01`, or a date and time; UTC unless it has an offset. Throws OperatorError. */
function timeOf(given: string): number {
  const [, day, clock = '00:00', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?))?(Z|[+-]\d\d:\d\d)?$/i.exec(given) ?? [];
  const at = Date.parse(`${day}T${clock}${zone}`);
  if (Number.isNaN(at)) throw new OperatorError(`--at: "${given}" is not a time such as 2026-03-01T12:00:00Z`);
  return at;
}
