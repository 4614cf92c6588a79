import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Signals } from '../../../src/runtime/service/service.js';
import { VirtualHost } from '../../virtual-host.js';

const killProcess = vi.hoisted(() => vi.fn());
vi.mock('../../../src/runtime/system/process-end.js', () => ({ killProcess }));

const CAUGHT = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

let before: Map<NodeJS.Signals, ((...given: never[]) => void)[]>;

beforeEach(() => {
  before = new Map(CAUGHT.map((signal) => [signal, process.listeners(signal)]));
});

afterEach(() => {
  for (const signal of CAUGHT) {
    for (const listener of process.listeners(signal)) {
      if (!before.get(signal)?.includes(listener)) process.off(signal, listener);
    }
  }
});

it('Signals reports each SIGHUP, and those before the first listener as one', () => {
  const signals = new Signals(pino({ level: 'silent' }));
  process.emit('SIGHUP');
  process.emit('SIGHUP');
  let received = 0;
  signals.onHangUp(() => {
    received += 1;
  });
  expect(received).toBe(1);
  process.emit('SIGHUP');
  process.emit('SIGHUP');
  expect(received).toBe(3);
});

it('Signals reports nothing without a SIGHUP', () => {
  const signals = new Signals(pino({ level: 'silent' }));
  let received = 0;
  signals.onHangUp(() => {
    received += 1;
  });
  expect(received).toBe(0);
});

it('Signals forces the end 9 s after a signal, or when the service asks for it', async () => {
  const host = new VirtualHost();
  const signals = new Signals(pino({ level: 'silent' }), host);
  process.emit('SIGTERM', 'SIGTERM');
  expect([await signals.end, host.next]).toEqual(['SIGTERM', 9_000]);
  signals.forceAfter(28_600);
  host.advance(28_599);
  expect(killProcess).not.toHaveBeenCalled();
  host.advance(1);
  expect(killProcess).toHaveBeenCalledOnce();
});
