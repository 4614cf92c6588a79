import { describe, expect, it } from 'vitest';
import { PCI_RESTARTS, PciTimer } from '../../../../src/protocol/pana/session/pci-timer.js';
import { PCI_DEFAULTS } from '../../../../src/protocol/pana/session/retransmission.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { ForeignPaa } from '../wire/foreign.js';

/** RAND is 0: every time is exact. */
const EXACT = { unit: () => 0.5 };

/** RAND is +0.1 for ever. */
const LATE = { unit: () => 1 };

/** The timer after PCI was sent so many times, each when it was due, and the time of the last one. */
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

describe('the timer of PCI', () => {
  it('doubles from PCI_IRT to PCI_MRT', () => {
    const times = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((count) => unanswered(count).timer.at / 1000);
    expect(times).toEqual([1, 3, 7, 15, 31, 63, 127, 247, 367]);
  });

  it('begins anew with PCI_IRT when a PAA is heard, and doubles again', () => {
    const { timer, now } = unanswered(6);
    expect([now, timer.at]).toEqual([31_000, 63_000]);
    const heard = timer.heard(31_500, EXACT);
    expect(heard.at).toBe(32_500);
    expect(heard.next(32_500, EXACT)?.at).toBe(34_500);
  });

  it('is never later for it than it was', () => {
    const { timer } = unanswered(6);
    expect(timer.heard(62_700, EXACT).at).toBe(63_000);
    expect(timer.heard(62_700, EXACT).next(63_000, EXACT)?.at).toBe(65_000);
  });

  it('does not change before it has doubled, and uses up no restart then', () => {
    const first = PciTimer.start(PCI_DEFAULTS, 0, LATE);
    expect(first.at).toBe(1100);
    let timer = first;
    for (let i = 0; i <= PCI_RESTARTS; i += 1) timer = timer.heard(10, LATE);
    expect(timer).toBe(first);
    expect(timer.next(1100, EXACT)?.heard(1200, EXACT).at).toBe(2200);
  });

  it('begins anew so many times and no more: a PAA that offers and never goes on refuses', () => {
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

  it('keeps PCI_MRC and PCI_MRD, which count from the first PCI', () => {
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

/** A PaC that has sent PCI so many times without an answer, and when the last one went out. */
function unheard(pcis: number, options: ConstructorParameters<typeof ForeignPaa>[0] = {}): ForeignPaa {
  const paa = new ForeignPaa(options).feed({ type: 'start' });
  for (let sent = 1; sent < pcis; sent += 1) paa.run(paa.deadline ?? 0);
  expect(paa.take()).toEqual(Array(pcis).fill('PCI'));
  return paa;
}

/** Runs to the next PCI, and says how long that took. */
function toNextPci(paa: ForeignPaa): number {
  const from = paa.now;
  paa.run(paa.deadline ?? 0);
  expect(paa.take()).toEqual(['PCI']);
  return paa.now - from;
}

describe('the PaC, when it hears a PAA after many PCIs', () => {
  it('sends PCI again after PCI_IRT if its PAN[S] is lost, and repeats the PAN[S] at the repeated PAR[S]', () => {
    const paa = unheard(7);
    expect((paa.deadline ?? 0) - paa.now).toBeGreaterThan(50_000);
    expect(paa.offer().take()).toEqual(['PAN[S]', 'eapRestart']);
    const wait = toNextPci(paa);
    expect(Math.abs(wait - 1000)).toBeLessThanOrEqual(100);
    const [panStart] = paa.sent.filter(({ name }) => name === 'PAN[S]');
    // The same PAR[S] comes again: the interval has doubled meanwhile, and begins anew.
    paa.sequence -= 1;
    paa.offer();
    expect(paa.last.octets).toEqual(panStart?.octets);
    paa.take();
    expect(toNextPci(paa)).toBeLessThanOrEqual(1100);
    expect(toNextPci(paa)).toBeGreaterThan(1700);
  });

  it('also in INITIAL, at an offer that it does not take', () => {
    const paa = unheard(7, { config: { mobility: { mode: 'required', wish: 1 } } });
    expect(paa.offer().take()).toEqual(['dropped no-mobility']);
    expect(toNextPci(paa)).toBeLessThanOrEqual(1100);
  });

  it('not at an offer whose algorithms are none of its own', () => {
    const offer = [makeAvp('PRF-Algorithm', 99), makeAvp('Integrity-Algorithm', 12)];
    const paa = unheard(7, { offer });
    expect(paa.offer().take()).toEqual(['dropped no-algorithm']);
    expect(toNextPci(paa)).toBeGreaterThan(50_000);
  });

  it('asks a PAA that offers at each PCI and never goes on no more often than RFC 5191 after some minutes', () => {
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
    // 3600 s in intervals of 120 s, the restarts, and what the doubling takes.
    expect(pcis).toBeGreaterThan(30);
    expect(pcis).toBeLessThan(60);
    expect(toNextPci(paa)).toBeGreaterThan(100_000);
  });
});
