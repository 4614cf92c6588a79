import type { Argv } from 'yargs';
import type { Session } from '../../protocol/home/records.js';
import { table, withOptions } from '../../runtime/cli/cli.js';
import { callDaemon } from '../../runtime/service/control.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { details, json, list, show, text, time, withPaging } from './output.js';
import { type Argument, administer, operatorName, places, placesOf, withStore } from './store-access.js';

/** Maximum number of sessions that `session watch` lists. */
const WATCHED_SESSIONS = 100;

const COLUMNS = { names: ['PAA', 'this server'], own: 1, peers: 0 } as const;

/** `pana-aaa session`. */
export function sessionCommands(cli: Argv): Argv {
  return cli
    .command(
      'list [of]',
      'List sessions',
      (cli) =>
        withPaging(withOptions(cli, places))
          .positional('of', { type: 'string', description: 'a Session-Id, or the NAI of a subscriber' })
          .option('home-agent', { type: 'string', description: 'only sessions on this home agent (name or address)' })
          .option('paa', { type: 'string', description: 'only sessions at this PAA (Origin-Host)' })
          .example('pana-aaa session list mn1@home.example', '')
          .example('pana-aaa session list --paa paa3.access.example --all', ''),
      (argv) =>
        withStore(argv, (store) =>
          list<Session>(argv, {
            header: ['SESSION', 'SUBSCRIBER', 'PAA', 'HOME AGENT', 'HOME ADDRESS', 'SINCE', 'UNTIL'],
            row: ({ sessionId, nai, origin, homeAgent, homeAddress, startedAt, expiresAt }) => [
              sessionId,
              nai,
              origin,
              homeAgent ?? '-',
              homeAddress ?? '-',
              time(startedAt),
              time(expiresAt),
            ],
            filters: ['of', 'home-agent', 'paa'],
            none: 'No sessions.',
            page: (range) =>
              store.run('listSessions', {
                ...range,
                of: text(argv, 'of'),
                homeAgent: text(argv, 'home-agent'),
                paa: text(argv, 'paa'),
              }),
          }),
        ),
    )
    .command(
      'show <of>',
      'Show a session',
      (cli) => ofSessions(cli).example('pana-aaa session show mn1@home.example', ''),
      async (argv) => {
        const { items } = await administer(argv, 'listSessions', { of: String(argv['of']) });
        if (items.length === 0) throw new OperatorError(`no session ${argv['of']}: "session list" lists the sessions`);
        show(argv, { items, next: null }, () => items.map(describe).join('\n\n'));
      },
    )
    .command(
      'watch [of]',
      'Show sessions and the messages of the PAAs as they come; needs the running server',
      (cli) =>
        withOptions(cli, places)
          .positional('of', { type: 'string', description: 'only messages of this Diameter Session-Id or peer' })
          .example('pana-aaa session watch', 'until Ctrl-C; plain lines if the output is no terminal'),
      async (argv) => {
        const [{ liveLadder }, { watchUntilSignal }, { control }] = await Promise.all([
          import('../../runtime/cli/live-ladder.js'),
          import('../../runtime/cli/watch.js'),
          placesOf(argv),
        ]);
        const of = argv.of === undefined ? '' : `&of=${encodeURIComponent(argv.of)}`;
        const request = { operation: 'listSessions', arguments: { limit: WATCHED_SESSIONS } };
        await watchUntilSignal({
          name: 'pana-aaa sessions',
          socket: control.socket,
          query: `level=trace${of}`,
          read: async () => {
            const { items } = (await callDaemon(control.socket, 'POST', '/store', request)) as { items: Session[] };
            return watchedTable(items);
          },
          lower: (events, width) => liveLadder(events, COLUMNS, width),
        });
      },
    )
    .command(
      ...onSessions(
        'disconnect',
        'Terminate sessions: send ASR to the PAA, which sends PTR to the client; a Disconnect-Request to a RADIUS client',
      ),
    )
    .command(...onSessions('reauth', 'Re-authenticate clients: send RAR to the PAA, a CoA-Request to a RADIUS client'));
}

function watchedTable(sessions: readonly Session[]): string {
  if (sessions.length === 0) return 'No sessions.';
  return table(
    ['SUBSCRIBER', 'PAA', 'HOME ADDRESS', 'SINCE'],
    sessions.map(({ nai, origin, homeAddress, startedAt }) => [nai, origin, homeAddress ?? '-', time(startedAt)]),
  );
}

function describe(session: Session): string {
  return details([
    ['session', session.sessionId],
    ['subscriber', session.nai],
    ['certificate', session.serial === undefined ? undefined : `serial number ${session.serial}`],
    ['PAA', session.originRealm === undefined ? session.origin : `${session.origin} (${session.originRealm})`],
    ['Mobile IPv6', session.kind === undefined ? 'no' : `home agent ${session.kind === 'home' ? 'at home' : 'local'}`],
    ['home agent', session.homeAgent],
    ['home address', session.homeAddress],
    ['since', time(session.startedAt)],
    ['until', `${time(session.expiresAt)}, unless authenticated again`],
    ['octets', reportOf(session)],
  ]);
}

/** What the NAS reports about a session; undefined: it reports nothing. */
function reportOf({ reported }: Session): string | undefined {
  if (!reported) return undefined;
  const { octetsIn, octetsOut, at } = reported;
  return `${octetsIn} from and ${octetsOut} to the node, reported at ${time(at)}`;
}

/** Arguments of every command on selected sessions. */
function ofSessions(cli: Argv) {
  return withOptions(cli, places)
    .positional('of', { type: 'string', demandOption: true, description: 'a Session-Id, or the NAI of a subscriber' })
    .option('json', { ...json, description: 'print JSON: {"items": […]}' });
}

interface Outcome {
  readonly session: string;
  readonly paa: string;
  readonly result: string;
}

/** A command that only the running server can carry out. */
function onSessions(name: string, description: string) {
  return [
    `${name} <of>`,
    description,
    (cli: Argv) =>
      ofSessions(cli).example(`pana-aaa session ${name} mn1@home.example`, 'all sessions of this subscriber'),
    async (argv: Argument) => {
      const { control } = await placesOf(argv);
      const body = { of: String(argv['of']), who: operatorName() };
      const outcomes = (await callDaemon(control.socket, 'POST', `/session/${name}`, body)) as Outcome[];
      show(argv, { items: outcomes, next: null }, () =>
        table(
          ['SESSION', 'PAA', 'RESULT'],
          outcomes.map(({ session, paa, result }) => [session, paa, result]),
        ),
      );
      if (outcomes.some(({ result }) => result !== 'SUCCESS')) process.exitCode = 1;
    },
  ] as const;
}
