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
  check: async (options) => {
    const [
      { readCredentials },
      { readDiameterTls, usedForDiameter },
      { credentialWarnings },
      { systemHost },
      { checkStore },
    ] = await Promise.all([
      import('./credentials.js'),
      import('../runtime/diameter/setup.js'),
      import('../runtime/tls/credential-watch.js'),
      import('../runtime/system/host.js'),
      import('../store/postgres-url.js'),
    ]);
    checkStore(options.store, process.env);
    const credentials = await readCredentials(options, systemHost);
    const diameter = usedForDiameter(options.diameter, await readDiameterTls(options.diameter, systemHost));
    const used = [{ ...credentials, section: 'tls', files: options.tls, roles: ['server'] } as const, ...diameter];
    return credentialWarnings(used, systemHost.wall());
  },
  commands: operatorCommands,
  names: namesFor,
});
