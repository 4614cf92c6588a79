import { describe, expect, it } from 'vitest';
import { runSeeds } from './seeds.js';

describe('A world of nodes, PAAs, AAA servers, store and hooks', () => {
  it('keeps its invariants under faults, with stand-in EAP', { timeout: 240_000 }, async () => {
    const totals = await runSeeds(1, 300, 5, 'plain');
    expect(totals.bootstraps + totals.reauthentications).toBeGreaterThanOrEqual(300);
  });

  it('keeps its invariants under faults, with TLS', { timeout: 240_000 }, async () => {
    const totals = await runSeeds(1_000, 50, 2, 'tls');
    expect(totals.bootstraps + totals.reauthentications).toBeGreaterThanOrEqual(50);
  });
});
