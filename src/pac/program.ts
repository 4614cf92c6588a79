import { print } from '../runtime/cli/cli.js';
import { askDaemon, runDaemonProgram, withControl } from '../runtime/cli/daemon-commands.js';
import { readable } from '../runtime/cli/readable.js';
import { pacSchema } from './options.js';

const flags = { prefix: 'PANA_PAC', schema: pacSchema };

/** Runs `pana-pac` with the command line of this process. */
export function runCommandLine(): Promise<void> {
  return runDaemonProgram({
    ...flags,
    name: 'pana-pac',
    description:
      'PANA client of a mobile node (RFC 5191): authenticates with EAP-TLS and gets its home agent, home address and IKE key.',
    start: async (options, log) => {
      const { PacDaemon } = await import('./daemon.js');
      return PacDaemon.start(options, log);
    },
    checks: async (options, file, computer) => {
      const { pacChecks } = await import('./checks.js');
      return pacChecks(options, file, computer);
    },
    api: async () => (await import('./control-api.js')).PAC_API,
    commands: (cli) =>
      cli
        .command(
          'reauth',
          'Re-authenticate now',
          (run) => withControl(run, flags).example('pana-pac reauth', 'get a new key before the lifetime ends'),
          async (argv) => print(readable(await askDaemon(argv, flags, 'POST', '/reauth'))),
        )
        .command(
          'preauth <paa>',
          'Authenticate to a PAA to which the node may move',
          (run) =>
            withControl(run, flags)
              .positional('paa', { type: 'string', demandOption: true, description: 'IP address of the PAA' })
              .example('pana-pac preauth 2001:db8:b::1', 'the next network is known; "status" shows the result'),
          async (argv) => print(readable(await askDaemon(argv, flags, 'POST', '/preauth', { paa: argv.paa }))),
        )
        .command(
          'move',
          'Move the session to the current address and another port, as after a change of network',
          (run) => withControl(run, flags).example('pana-pac move', 'if the daemon did not notice a change'),
          async (argv) => print(readable(await askDaemon(argv, flags, 'POST', '/move'))),
        )
        .command(
          'ping',
          'Ping the PAA',
          (run) => withControl(run, flags).example('pana-pac ping', 'the log shows the answer'),
          async (argv) => print(readable(await askDaemon(argv, flags, 'POST', '/ping'))),
        ),
  });
}
