import { runDaemonProgram } from '../runtime/cli/daemon-commands.js';
import { preSchema } from './options.js';

/** Runs `pana-pre` with the command line of this process. */
export function runCommandLine(): Promise<void> {
  return runDaemonProgram({
    prefix: 'PANA_PRE',
    schema: preSchema,
    name: 'pana-pre',
    description: 'PANA relay of an access link (RFC 6345): passes messages between clients and a PAA elsewhere.',
    start: async (options, log) => {
      const { PreDaemon } = await import('./daemon.js');
      return PreDaemon.start(options, log);
    },
    checks: async (options, file, computer) => {
      const { preChecks } = await import('./checks.js');
      return preChecks(options, file, computer);
    },
    api: async () => (await import('./control-api.js')).PRE_API,
    commands: (cli) => cli,
  });
}
