import { expect, it } from 'vitest';
import { threadHost } from '../../src/store/thread-host.js';

/** Milliseconds of the system's monotonic clock. */
const systemNow = () => Number(process.hrtime.bigint()) / 1e6;

it('threadHost has a monotonic clock of milliseconds that counts from the start of the system', () => {
  const before = systemNow();
  const now = threadHost.monotonic();
  const after = systemNow();
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(after);
});
