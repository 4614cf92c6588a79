#!/usr/bin/env node
import { listenEarly } from '../runtime/system/early-signals.js';

listenEarly(false);

void import('./program.js').then(({ runCommandLine }) => runCommandLine());
