import type { Argv } from 'yargs';
import { print, table, withOptions } from '../runtime/cli.js';
import { callDaemon } from '../runtime/control.js';
import { OperatorError } from '../runtime/failure.js';
import type { HeldLease, Lease, Page } from '../runtime/store/records.js';
import { administer, json, places, placesOf, show, text } from './administration.js';
import { homeAgentCommands } from './home-agent-commands.js';
import { sessionCommands } from './session-commands.js';
import { subscriberCommands } from './subscriber-commands.js';

export function storeCommands(cli: Argv): Argv {
  return cli
    .command('subscriber', 'Subscribers: who may come in', (subscriber) =>
      subscriberCommands(subscriber)
        .example('pana-aaa subscriber list', '')
        .demandCommand(1, 'Which? add, list, enable, disable, remove'),
    )
    .command('home-agent', 'Home agents that are assigned', (agent) =>
      homeAgentCommands(agent)
        .example('pana-aaa home-agent list', '')
        .demandCommand(1, 'Which? add, list, set, up, drain, down, remove'),
    )
    .command('lease', 'Home addresses in use', (lease) =>
      lease
        .command(
          'list',
          'List leases',
          (list) => withOptions(list, places).option('json', json).example('pana-aaa lease list', ''),
          async (argv) => {
            const { items: leases } = await administer<Page<Lease>>(argv, 'listLeases', {});
            show(argv, leases, () => leaseTable(leases));
          },
        )
        .command(
          'history [of]',
          'Who had which home address when',
          (history) =>
            withOptions(history, places)
              .positional('of', { type: 'string', description: 'a home address, or the NAI of a subscriber' })
              .option('at', { type: 'string', description: 'only what was held at this time, in ISO 8601' })
              .option('limit', { type: 'number', default: 100, description: 'lines at most, the newest first' })
              .option('json', json)
              .example('pana-aaa lease history 2001:db8:1::7 --at 2026-03-01T12:00:00Z', 'who had it at noon?'),
          async (argv) => {
            const at = argv['at'] === undefined ? undefined : Date.parse(String(argv['at']));
            if (Number.isNaN(at))
              throw new OperatorError(`--at: "${argv['at']}" is no time, such as 2026-03-01T12:00:00Z`);
            const given = { of: text(argv, 'of'), at, limit: Number(argv['limit']) };
            const held = await administer<HeldLease[]>(argv, 'leaseHistory', given);
            show(argv, held, () => historyTable(held));
          },
        )
        .example('pana-aaa lease list', '')
        .demandCommand(1, 'Which? list, history'),
    )
    .command('store', 'The store as a file', (store) =>
      storeFileCommands(store)
        .example('pana-aaa store backup /var/backups/aaa.db', '')
        .demandCommand(1, 'Which? backup, restore'),
    )
    .command('session', 'Sessions: who is in', (session) =>
      sessionCommands(session).example('pana-aaa session list', '').demandCommand(1, 'Which? list, disconnect, reauth'),
    );
}

function storeFileCommands(cli: Argv): Argv {
  return cli
    .command(
      'backup <file>',
      'Copy the store to a file, while the server runs',
      (backup) =>
        withOptions(backup, places)
          .positional('file', { type: 'string', demandOption: true, description: 'a file that is not there yet' })
          .example('pana-aaa store backup /var/backups/aaa.db', ''),
      async (argv) => {
        const { store } = await placesOf(argv);
        const { backUp } = await import('../runtime/store/store-file.js');
        await backUp(store, String(argv['file']), showProgress);
        print(`Copied ${store} to ${argv['file']}.`);
      },
    )
    .command(
      'restore <file>',
      'Put a backup in the place of the store, while no server runs',
      (restore) =>
        withOptions(restore, places)
          .positional('file', { type: 'string', demandOption: true, description: 'what "store backup" wrote' })
          .example('pana-aaa store restore /var/backups/aaa.db', ''),
      async (argv) => {
        const { store, control } = await placesOf(argv);
        const isRunning = await callDaemon(control.socket, 'GET', '/healthz').then(
          () => true,
          () => false,
        );
        if (isRunning) throw new OperatorError(`the server runs (${control.socket}): stop it first`);
        const { restore } = await import('../runtime/store/store-file.js');
        await restore(String(argv['file']), store, showProgress);
        print(`Restored ${store} from ${argv['file']}.`);
      },
    );
}

/** On a terminal only: a log needs no percentages. */
function showProgress(part: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${Math.floor(part * 100)} %${part === 1 ? '\n' : ''}`);
}

function historyTable(held: readonly HeldLease[]): string {
  if (held.length === 0) return 'Nobody.';
  return table(
    ['HOME ADDRESS', 'SUBSCRIBER', 'HOME AGENT', 'FROM', 'TO'],
    held.map(({ homeAddress, nai, homeAgent, acquiredAt, endedAt }) => [
      homeAddress,
      nai,
      homeAgent,
      new Date(acquiredAt).toISOString(),
      endedAt === undefined ? 'now' : new Date(endedAt).toISOString(),
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
