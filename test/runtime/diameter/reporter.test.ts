import { expect, it, vi } from 'vitest';
import { diameterReporter } from '../../../src/runtime/diameter/reporter.js';
import type { Logger } from '../../../src/runtime/log/events.js';
import type { Metrics } from '../../../src/runtime/service/metrics.js';
import { systemHost } from '../../../src/runtime/system/host.js';

it('diameterReporter explains what to do about a peer that connects from an unlisted address', () => {
  const log = { warn: vi.fn(), debug: vi.fn() };
  const metrics = { count: vi.fn() };
  const report = diameterReporter(
    log as unknown as Logger,
    metrics as unknown as Metrics,
    'debug',
    'session',
    systemHost,
  );
  const event = { type: 'peerRefused', peer: 'paa.example', address: '192.0.2.1', code: 'peer-address' } as const;
  report(event, undefined as never);
  const detail = expect.stringContaining('add it to from');
  expect(log.warn).toHaveBeenCalledWith(
    { peer: 'paa.example', address: '192.0.2.1', reason: 'peer-address', detail },
    'peer refused',
  );
});
