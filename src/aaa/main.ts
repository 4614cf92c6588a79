#!/usr/bin/env node
import { listenEarly } from '../runtime/system/early-signals.js';

listenEarly(process.argv[2] === 'run');

const [{ runDaemonProgram }, { operatorCommands }, { namesFor }, { flags }] = await Promise.all([
  import('../runtime/cli/daemon-commands.js'),
  import('./commands/commands.js'),
  import('./commands/names.js'),
  import('./commands/store-access.js'),
]);

await runDaemonProgram({
  ...flags,
  name: 'pana-aaa',
  description:
    'AAA server of the home network: Diameter EAP (RFC 4072) with EAP-TLS; assigns home agents and home addresses.',
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
