#!/usr/bin/env node
import { listenEarly } from '../runtime/system/early-signals.js';

listenEarly(process.argv[2] === 'run');

void import('./program.js').then(({ runCommandLine }) => runCommandLine());
