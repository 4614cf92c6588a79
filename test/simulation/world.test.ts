import { describe, expect, it } from 'vitest';
import { authentications, runSeeds } from './seeds.js';

describe('A world of nodes, PAAs, AAA servers, store and hooks', () => {
  it('keeps its invariants under faults, with stand-in EAP', { timeout: 240_000 }, async () => {
    const totals = await runSeeds({ from: 1, bootstraps: 300, minutes: 5, fidelity: 'plain' });
    expect(authentications(totals)).toBeGreaterThanOrEqual(300);
  });

  it('keeps its invariants under faults, with TLS', { timeout: 240_000 }, async () => {
    const totals = await runSeeds({ from: 1_000, bootstraps: 50, minutes: 2, fidelity: 'tls' });
    expect(authentications(totals)).toBeGreaterThanOrEqual(50);
  });
});
