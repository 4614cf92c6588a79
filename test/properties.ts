import fc from 'fast-check';
import { runs, SEED } from './seed.js';

// A set-up file of vitest: no property needs a seed of its own. Without this, fast-check takes one from the clock.
fc.configureGlobal({ seed: SEED, numRuns: runs(100) });
