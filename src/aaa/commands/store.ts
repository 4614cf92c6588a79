import type { Argv } from 'yargs';
import { print, withOptions } from '../../runtime/cli/cli.js';
import { callDaemon, NoDaemonError } from '../../runtime/service/control.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { isPostgresUrl, storeName } from '../../store/backend.js';
import { json, show } from './output.js';
import { type Argument, administer, places, placesOf } from './store-access.js';

/** `pana-aaa store`. */
export function storeCommands(cli: Argv): Argv {
  return cli
    .command(
      'backup <file>',
      'Copy the store to a file; the server may run',
      (backup) =>
        withOptions(backup, places)
          .positional('file', { type: 'string', demandOption: true, description: 'a file that does not exist yet' })
          .example('pana-aaa store backup /var/backups/aaa.db', ''),
      async (argv) => {
        const store = await fileOf(argv, 'pg_dump');
        const { backUp } = await import('../../store/store-file.js');
        await backUp(store, String(argv['file']), showProgress);
        print(`Copied ${store} to ${argv['file']}.`);
      },
    )
    .command(
      'restore <file>',
      'Replace the store with a backup; no server may run',
      (restore) =>
        withOptions(restore, places)
          .positional('file', { type: 'string', demandOption: true, description: 'file that "store backup" wrote' })
          .example('pana-aaa store restore /var/backups/aaa.db', ''),
      async (argv) => {
        const store = await fileOf(argv, 'pg_restore');
        const { control } = await placesOf(argv);
        await refuseRunning(control.socket);
        const { restore } = await import('../../store/store-file.js');
        await restore(String(argv['file']), store, showProgress);
        print(`Restored ${store} from ${argv['file']}.`);
      },
    )
    .command(
      'rotate-secret',
      'Derive new home addresses from a new secret, so that earlier addresses do not predict them',
      (cli) =>
        withOptions(cli, places)
          .option('yes', { type: 'boolean', description: 'accept that returning nodes get other home addresses' })
          .option('json', json)
          .example('pana-aaa store rotate-secret --yes', 'current leases are kept'),
      async (argv) => {
        if (argv['yes'] !== true) {
          throw new OperatorError('returning nodes will get other home addresses: confirm with --yes');
        }
        await administer(argv, 'rotateSecret', {});
        show(argv, { rotated: true }, () => 'The secret was replaced. Current leases are unchanged.');
      },
    );
}

/** Rejects with OperatorError unless the store is a file. */
async function fileOf(argv: Argument, tool: string): Promise<string> {
  const { store } = await placesOf(argv);
  if (isPostgresUrl(store)) {
    throw new OperatorError(`${storeName(store)} is a PostgreSQL database: use ${tool}; servers may run meanwhile`);
  }
  return store;
}

/** Rejects with OperatorError if a server answers on the socket, even with an error: it has the store open. */
async function refuseRunning(socket: string): Promise<void> {
  try {
    await callDaemon(socket, 'GET', '/healthz');
  } catch (error) {
    if (error instanceof NoDaemonError) return;
  }
  throw new OperatorError(`a server is running (${socket}): stop it first`);
}

/** Prints progress on a terminal only. */
function showProgress(part: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${Math.floor(part * 100)} %${part === 1 ? '\n' : ''}`);
}
