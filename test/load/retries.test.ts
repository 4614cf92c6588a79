import { describe, expect, it } from 'vitest';
import { NodeFailure, UNSERVED } from '../../src/load/node.js';
import { pauseAfter, retryAfter } from '../../src/load/retries.js';

const WAITS = { first: 2_000, longest: 300_000 };
const unserved = new NodeFailure(UNSERVED, 'a session ended: authentication-rejected');

/** The waits vary by a tenth. */
function near(actual: number | undefined, mean: number): void {
  expect(actual).toBeGreaterThanOrEqual(0.9 * mean);
  expect(actual).toBeLessThanOrEqual(1.1 * mean);
}

describe('The attempts of a bootstrap', () => {
  it('are repeated after longer and longer waits, and not for ever', () => {
    near(retryAfter(unserved, 1, WAITS), 2_000);
    near(retryAfter(unserved, 2, WAITS), 4_000);
    for (const attempts of [3, 4, 19]) near(retryAfter(unserved, attempts, WAITS), 8_000);
    near(retryAfter(unserved, 19, { first: 100, longest: 300 }), 300);
    expect(retryAfter(unserved, 20, WAITS)).toBeUndefined();
  });

  it('are not repeated after a verdict, without an answer, or if this host fails', () => {
    for (const reason of ['authentication-rejected', 'eap-server-name', 'no answer to PCI']) {
      expect(retryAfter(new NodeFailure(reason, reason), 1, WAITS)).toBeUndefined();
    }
    expect(retryAfter(Object.assign(new Error('bind'), { code: 'EADDRNOTAVAIL' }), 1, WAITS)).toBeUndefined();
  });
});

describe('A closed loop', () => {
  it('pauses after failures in a row, longer with each, at most about five seconds', () => {
    expect(pauseAfter(0)).toBe(0);
    near(pauseAfter(1), 100);
    near(pauseAfter(3), 400);
    near(pauseAfter(50), 5_000);
  });
});
