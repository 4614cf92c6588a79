import { describe, expect, it } from 'vitest';
import { runSeeds } from './seeds.js';

describe('nodes, PAAs, AAA servers, store and hooks in one world', () => {
  it('keep their invariants with a stand-in for TLS, whatever happens to them', { timeout: 240_000 }, async () => {
    const totals = await runSeeds(1, 300, 5, 'plain');
    expect(totals.bootstraps + totals.reauthentications).toBeGreaterThanOrEqual(300);
  });

  it('keep them with TLS', { timeout: 240_000 }, async () => {
    const totals = await runSeeds(1_000, 50, 2, 'tls');
    expect(totals.bootstraps + totals.reauthentications).toBeGreaterThanOrEqual(50);
  });
});
