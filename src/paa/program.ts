import type { Argv } from 'yargs';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { print, table } from '../runtime/cli/cli.js';
import { askDaemon, runDaemonProgram, watch, withControl } from '../runtime/cli/daemon-commands.js';
import { durationText } from '../runtime/cli/duration-text.js';
import { readable } from '../runtime/cli/readable.js';
import { paaSchema } from './options.js';

const flags = { prefix: 'PANA_PAA', schema: paaSchema };

const COLUMNS = { names: ['client', 'this router', 'AAA server'], client: 0, own: 1, peers: 2 } as const;

interface SessionRow {
  readonly session: string;
  readonly address: string;
  readonly port: number;
  readonly state: string;
  readonly nai?: string;
  readonly homeAgent?: string;
  readonly homeAddress?: string;
  readonly encryption?: string;
  readonly remainingSeconds?: number;
}

/** Runs `pana-paa` with the command line of this process. */
export function runCommandLine(): Promise<void> {
  return runDaemonProgram({
    ...flags,
    name: 'pana-paa',
    description:
      'PANA agent of an access router (RFC 5191): authenticates clients at their home AAA server over Diameter (RFC 4072) or RADIUS.',
    start: async (options, log) => {
      const { PaaDaemon } = await import('./daemon.js');
      return PaaDaemon.start(options, log);
    },
    checks: async (options, file, computer) => {
      const { paaChecks } = await import('./checks.js');
      return paaChecks(options, file, computer);
    },
    api: async () => (await import('./control-api.js')).PAA_API,
    commands: (cli) =>
      cli.command('session', 'Sessions of the running PAA', (session) =>
        sessionCommands(session)
          .example('pana-paa session list', '')
          .demandCommand(1, 'Name a command: list, watch, start, end, reauth, ping'),
      ),
  });
}

function sessionCommands(cli: Argv): Argv {
  return cli
    .command(
      'list',
      'List sessions',
      (list) =>
        withControl(list, flags)
          .option('json', { type: 'boolean', description: 'print JSON' })
          .example('pana-paa session list', 'clients with state, NAI and home address'),
      async (argv) => {
        const rows = (await askDaemon(argv, flags, 'GET', '/sessions')) as SessionRow[];
        if (argv['json'] === true) print(JSON.stringify(rows));
        else print(sessionTable(rows));
      },
    )
    .command(
      'watch [of]',
      'Show the sessions and the messages of clients as they come',
      (list) =>
        withControl(list, flags)
          .positional('of', {
            type: 'string',
            description: 'only messages of this address, session or Diameter session',
          })
          .example('pana-paa session watch', 'until Ctrl-C; plain lines if the output is no terminal')
          .example('pana-paa session watch 2001:db8:a::11', 'one client'),
      async (argv) => {
        const { liveLadder } = await import('../runtime/cli/live-ladder.js');
        const of = argv.of === undefined ? '' : `&of=${encodeURIComponent(argv.of)}`;
        await watch(argv, flags, {
          name: 'pana-paa sessions',
          query: `level=trace${of}`,
          read: async () => sessionTable((await askDaemon(argv, flags, 'GET', '/sessions')) as SessionRow[]),
          lower: (events, width) => liveLadder(events, COLUMNS, width),
        });
      },
    )
    .command(
      'start <address>',
      'Start a session with a PaC that waits for the PAA',
      (start) =>
        withControl(start, flags)
          .positional('address', { type: 'string', demandOption: true, description: 'IP address of the PaC' })
          .option('port', { type: 'number', default: PANA_PORT, description: 'its UDP port' })
          .example('pana-paa session start 2001:db8:a::11', ''),
      async (argv) => {
        const body = { address: argv.address, port: argv.port };
        print(readable(await askDaemon(argv, flags, 'POST', '/session/start', body)));
      },
    )
    .command(...onSession('end', 'Terminate a session: send PTR with cause ADMINISTRATIVE'))
    .command(...onSession('reauth', 'Re-authenticate the client of a session'))
    .command(...onSession('ping', 'Ping the client of a session'));
}

/** A command on one session, named by the identifier that `session list` prints. */
function onSession(name: string, description: string) {
  return [
    `${name} <session>`,
    description,
    (cli: Argv) =>
      withControl(cli, flags)
        .positional('session', { type: 'string', demandOption: true, description: 'eight hex digits' })
        .example(`pana-paa session ${name} 0a1b2c3d`, ''),
    async (argv: Record<string, unknown>) => {
      const body = { session: String(argv['session']) };
      print(readable(await askDaemon(argv, flags, 'POST', `/session/${name}`, body)));
    },
  ] as const;
}

function sessionTable(rows: readonly SessionRow[]): string {
  if (rows.length === 0) return 'No sessions.';
  return table(
    ['SESSION', 'ADDRESS', 'PORT', 'STATE', 'NAI', 'HOME AGENT', 'HOME ADDRESS', 'ENCRYPTION', 'LEFT'],
    rows.map((row) => [
      row.session,
      row.address,
      String(row.port),
      row.state,
      row.nai ?? '-',
      row.homeAgent ?? '-',
      row.homeAddress ?? '-',
      row.encryption ?? '-',
      row.remainingSeconds === undefined ? '-' : durationText(row.remainingSeconds * 1000),
    ]),
  );
}
