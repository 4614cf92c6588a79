#!/usr/bin/env node
import { printStatus } from '../runtime/cli/quick-status.js';
import { listenEarly } from '../runtime/system/early-signals.js';

listenEarly(process.argv[2] === 'run');

void printStatus('pana-pac', 'PANA_PAC').then(async (isPrinted) => {
  if (!isPrinted) await (await import('./program.js')).runCommandLine();
});
