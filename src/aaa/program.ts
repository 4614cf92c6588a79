import { runDaemonProgram } from '../runtime/cli/daemon-commands.js';
import { operatorCommands } from './commands/commands.js';
import { namesFor } from './commands/names.js';
import { flags } from './commands/store-access.js';

/** Runs `pana-aaa` with the command line of this process. */
export function runCommandLine(): Promise<void> {
  return runDaemonProgram({
    ...flags,
    name: 'pana-aaa',
    description:
      'AAA server of the home network: EAP-TLS over Diameter (RFC 4072) and RADIUS; assigns home agents and home addresses.',
    start: async (options, log, signal) => {
      const { AaaDaemon } = await import('./daemon.js');
      return AaaDaemon.start(options, log, signal);
    },
    checks: async (options, file, computer) => {
      const { aaaChecks } = await import('./checks.js');
      return aaaChecks(options, file, computer);
    },
    api: async () => (await import('./control-api.js')).AAA_API,
    commands: operatorCommands,
    names: namesFor,
  });
}
