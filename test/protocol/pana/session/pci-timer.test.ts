import { describe, expect, it } from 'vitest';
import { PCI_RESTARTS, PciTimer } from '../../../../src/protocol/pana/session/pci-timer.js';
import { PCI_DEFAULTS } from '../../../../src/protocol/pana/session/retransmission.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { ForeignPaa } from '../wire/foreign.js';

/** RAND is 0: every time is exact. */
const EXACT = { unit: () => 0.5 };

/** RAND is always +0.1. */
const LATE = { unit: () => 1 };

/** The timer after `count` PCIs, each sent when it was due, and the time of the last one. */
function unanswered(count: number, parameters = PCI_DEFAULTS): { timer: PciTimer; now: number } {
  let timer = PciTimer.start(parameters, 0, EXACT);
  let now = 0;
  for (let sent = 1; sent < count; sent += 1) {
    now = timer.at;
    const next = timer.next(now, EXACT);
    if (!next) throw new Error(`the limits are reached at ${now}`);
    timer = next;
  }
  return { timer, now };
}

describe('PciTimer', () => {
  it('doubles the interval from PCI_IRT to PCI_MRT', () => {
    const times = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((count) => unanswered(count).timer.at / 1000);
    expect(times).toEqual([1, 3, 7, 15, 31, 63, 127, 247, 367]);
  });

  it('restarts at PCI_IRT when a PAA is heard, and doubles again', () => {
    const { timer, now } = unanswered(6);
    expect([now, timer.at]).toEqual([31_000, 63_000]);
    const heard = timer.heard(31_500, EXACT);
    expect(heard.at).toBe(32_500);
    expect(heard.next(32_500, EXACT)?.at).toBe(34_500);
  });

  it('does not postpone a PCI that is due sooner than PCI_IRT', () => {
    const { timer } = unanswered(6);
    expect(timer.heard(62_700, EXACT).at).toBe(63_000);
    expect(timer.heard(62_700, EXACT).next(63_000, EXACT)?.at).toBe(65_000);
  });

  it('does not change while the interval is PCI_IRT, and counts no restart then', () => {
    const first = PciTimer.start(PCI_DEFAULTS, 0, LATE);
    expect(first.at).toBe(1100);
    let timer = first;
    for (let i = 0; i <= PCI_RESTARTS; i += 1) timer = timer.heard(10, LATE);
    expect(timer).toBe(first);
    expect(timer.next(1100, EXACT)?.heard(1200, EXACT).at).toBe(2200);
  });

  it('restarts at most PCI_RESTARTS times, for a PAA that only ever sends PAR[S]', () => {
    let { timer, now } = unanswered(6);
    for (let i = 0; i < PCI_RESTARTS; i += 1) {
      timer = timer.heard(now, EXACT);
      expect(timer.at - now).toBe(1000);
      now = timer.at;
      timer = timer.next(now, EXACT) ?? timer;
      expect(timer.at - now).toBe(2000);
    }
    expect(timer.heard(now, EXACT)).toBe(timer);
  });

  it('applies PCI_MRC and PCI_MRD from the first PCI on, even after a restart', () => {
    const counted = unanswered(3, { ...PCI_DEFAULTS, mrc: 4 });
    const last = counted.timer.heard(3500, EXACT).next(4500, EXACT);
    expect(last?.heard(5000, EXACT).next(6000, EXACT)).toBeUndefined();
    const bounded = unanswered(3, { ...PCI_DEFAULTS, mrd: 5000 });
    expect(bounded.timer.at).toBe(5000);
    const heard = bounded.timer.heard(3500, EXACT);
    expect(heard.at).toBe(4500);
    expect(heard.next(4500, EXACT)?.at).toBe(5000);
    expect(heard.next(4500, EXACT)?.next(5000, EXACT)).toBeUndefined();
  });
});

/** A PaC that has just sent its `pcis`th PCI; none was answered. */
function unheard(pcis: number, options: ConstructorParameters<typeof ForeignPaa>[0] = {}): ForeignPaa {
  const paa = new ForeignPaa(options).feed({ type: 'start' });
  for (let sent = 1; sent < pcis; sent += 1) paa.run(paa.deadline ?? 0);
  expect(paa.take()).toEqual(Array(pcis).fill('PCI'));
  return paa;
}

/** Runs to the next PCI and returns the time until then, in milliseconds. */
function toNextPci(paa: ForeignPaa): number {
  const from = paa.now;
  paa.run(paa.deadline ?? 0);
  expect(paa.take()).toEqual(['PCI']);
  return paa.now - from;
}

describe('a PaC that hears a PAA after many PCIs', () => {
  it('sends PCI after PCI_IRT when PAN[S] is lost, and repeats PAN[S] at a repeated PAR[S]', () => {
    const paa = unheard(7);
    expect((paa.deadline ?? 0) - paa.now).toBeGreaterThan(50_000);
    expect(paa.offer().take()).toEqual(['PAN[S]', 'eapRestart']);
    const wait = toNextPci(paa);
    expect(Math.abs(wait - 1000)).toBeLessThanOrEqual(100);
    const [panStart] = paa.sent.filter(({ name }) => name === 'PAN[S]');
    // The repeated PAR[S] restarts the interval, which had doubled.
    paa.sequence -= 1;
    paa.offer();
    expect(paa.last.octets).toEqual(panStart?.octets);
    paa.take();
    expect(toNextPci(paa)).toBeLessThanOrEqual(1100);
    expect(toNextPci(paa)).toBeGreaterThan(1700);
  });

  it('sends PCI after PCI_IRT in INITIAL too, at a PAR[S] that it does not accept', () => {
    const paa = unheard(7, { config: { mobility: { mode: 'required', wish: 1 } } });
    expect(paa.offer().take()).toEqual(['dropped no-mobility']);
    expect(toNextPci(paa)).toBeLessThanOrEqual(1100);
  });

  it('keeps its interval at a PAR[S] with only unsupported algorithms', () => {
    const offer = [makeAvp('PRF-Algorithm', 99), makeAvp('Integrity-Algorithm', 12)];
    const paa = unheard(7, { offer });
    expect(paa.offer().take()).toEqual(['dropped no-algorithm']);
    expect(toNextPci(paa)).toBeGreaterThan(50_000);
  });

  it('returns to the interval of RFC 5191 when a PAA sends PAR[S] at each PCI but never continues', () => {
    const paa = unheard(7);
    let pcis = 0;
    const end = paa.now + 3_600_000;
    while (paa.now < end) {
      paa.sequence += 10;
      paa.offer();
      do paa.run(paa.deadline ?? end);
      while (!paa.take().includes('PCI'));
      pcis += 1;
    }
    // 30 PCIs at intervals of 120 s in 3600 s, plus those of the restarts and of the doubling.
    expect(pcis).toBeGreaterThan(30);
    expect(pcis).toBeLessThan(60);
    expect(toNextPci(paa)).toBeGreaterThan(100_000);
  });
});
