#!/usr/bin/env node
import { printStatus } from '../runtime/cli/quick-status.js';
import { listenEarly } from '../runtime/system/early-signals.js';

listenEarly(process.argv[2] === 'run');

void printStatus('pana-pre', 'PANA_PRE').then(async (isPrinted) => {
  if (!isPrinted) await (await import('./program.js')).runCommandLine();
});
