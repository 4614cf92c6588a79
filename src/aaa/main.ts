#!/usr/bin/env node
import { runDaemonProgram } from '../runtime/daemon-commands.js';
import { flags } from './administration.js';
import { storeCommands } from './store-commands.js';

await runDaemonProgram({
  ...flags,
  name: 'pana-aaa',
  description:
    'AAA server of the home network: Diameter EAP (RFC 4072) with EAP-TLS; assigns home agents and home addresses.',
  start: async (options, log) => {
    const { AaaDaemon } = await import('./daemon.js');
    return AaaDaemon.start(options, log);
  },
  check: async (options) => {
    const [{ readCredentials }, { readDiameterTls }] = await Promise.all([
      import('./credentials.js'),
      import('../runtime/diameter-setup.js'),
    ]);
    await readCredentials(options);
    await readDiameterTls(options.diameter);
  },
  commands: storeCommands,
});
