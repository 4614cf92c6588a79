import type { Argv } from 'yargs';
import { table, withOptions } from '../runtime/cli.js';
import { callDaemon } from '../runtime/control.js';
import type { Page, Session } from '../runtime/store/records.js';
import { type Argument, administer, json, places, placesOf, show, text } from './administration.js';

/** `pana-aaa session`. */
export function sessionCommands(cli: Argv): Argv {
  return cli
    .command(
      'list [of]',
      'List sessions',
      (list) =>
        withOptions(list, places)
          .positional('of', { type: 'string', description: 'a Session-Id, or the NAI of a subscriber' })
          .option('json', json)
          .example('pana-aaa session list mn1@home.example', ''),
      async (argv) => {
        const { items: sessions } = await administer<Page<Session>>(argv, 'listSessions', { of: text(argv, 'of') });
        show(argv, sessions, () => sessionTable(sessions));
      },
    )
    .command(...onSessions('disconnect', 'End sessions: ASR to their PAA, which says PTR to the client'))
    .command(...onSessions('reauth', 'Authenticate clients again: RAR to their PAA'));
}

interface Outcome {
  readonly session: string;
  readonly paa: string;
  readonly result: string;
}

/** A command that the running server carries out. */
function onSessions(name: string, description: string) {
  return [
    `${name} <of>`,
    description,
    (cli: Argv) =>
      withOptions(cli, places)
        .positional('of', {
          type: 'string',
          demandOption: true,
          description: 'a Session-Id, or the NAI of a subscriber',
        })
        .option('json', json)
        .example(`pana-aaa session ${name} mn1@home.example`, 'all sessions of this subscriber'),
    async (argv: Argument) => {
      const { control } = await placesOf(argv);
      const body = { of: String(argv['of']) };
      const outcomes = (await callDaemon(control.socket, 'POST', `/session/${name}`, body)) as Outcome[];
      show(argv, outcomes, () =>
        table(
          ['SESSION', 'PAA', 'RESULT'],
          outcomes.map(({ session, paa, result }) => [session, paa, result]),
        ),
      );
      if (outcomes.some(({ result }) => result !== 'SUCCESS')) process.exitCode = 1;
    },
  ] as const;
}

function sessionTable(sessions: readonly Session[]): string {
  if (sessions.length === 0) return 'No sessions.';
  return table(
    ['SESSION', 'SUBSCRIBER', 'PAA', 'HOME AGENT', 'HOME ADDRESS', 'SINCE', 'UNTIL'],
    sessions.map(({ sessionId, nai, origin, homeAgent, homeAddress, startedAt, expiresAt }) => [
      sessionId,
      nai,
      origin,
      homeAgent ?? '-',
      homeAddress ?? '-',
      new Date(startedAt).toISOString(),
      new Date(expiresAt).toISOString(),
    ]),
  );
}
