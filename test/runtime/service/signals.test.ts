import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Signals } from '../../../src/runtime/service/service.js';

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
