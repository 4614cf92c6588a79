import { expect, it } from 'vitest';
import { HALF, keepsInvariants } from './kept-invariants.js';

it('The simulated world keeps its invariants with stand-in EAP, first half', { timeout: 36_000_000 }, async () => {
  expect(await keepsInvariants('plain', 10_000, HALF)).toBeGreaterThanOrEqual(HALF);
});
