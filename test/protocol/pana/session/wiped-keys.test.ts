import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { ForeignPaa, ForeignPac } from '../wire/foreign.js';

describe('the PaC has wiped its MSK', () => {
  const keyed = () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    const { msk } = paa;
    paa.feed({ type: 'eapKeys', msk });
    expect(msk.isWiped).toBe(false);
    return { paa, msk };
  };

  it('when it is in', () => {
    const { paa, msk } = keyed();
    paa.complete();
    expect(msk.isWiped).toBe(false);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.state).toBe('OPEN');
    expect(msk.isWiped).toBe(true);
  });

  it.each(['terminate', 'eapDiscarded'] as const)('when the run ends by %s', (type) => {
    const { paa, msk } = keyed();
    if (type === 'eapDiscarded') paa.eapRequest(false);
    paa.feed({ type });
    expect(paa.state).toBe('CLOSED');
    expect(msk.isWiped).toBe(true);
  });

  it('and its PANA_AUTH_KEY when it is left without a word', () => {
    const wiped = vi.spyOn(Secret.prototype, 'wipe');
    onTestFinished(() => wiped.mockRestore());
    const { paa, msk } = keyed();
    paa.complete();
    expect(paa.pac.protected).toBe(true);
    wiped.mockClear();
    paa.pac.destroy();
    expect(msk.isWiped).toBe(true);
    expect(wiped).toHaveBeenCalledTimes(2);
    expect([paa.state, paa.pac.protected, paa.deadline]).toEqual(['CLOSED', false, undefined]);
  });

  it('when it has another one', () => {
    const { paa, msk } = keyed();
    const next = paa.msk;
    paa.feed({ type: 'eapKeys', msk: next });
    expect([msk.isWiped, next.isWiped]).toEqual([true, false]);
  });

  it('when there is no session that could use it', () => {
    const { msk } = new ForeignPaa();
    new ForeignPaa().feed({ type: 'eapKeys', msk });
    expect(msk.isWiped).toBe(true);
  });
});

describe('the PAA has wiped the MSK that it is given', () => {
  it.each([true, false])('when PANA_AUTH_KEY is made of it, authorized: %s', (authorized) => {
    const pac = new ForeignPac().start().eapRequest().respond(true);
    const { msk } = pac;
    pac.success(authorized, msk);
    expect(pac.last.values.AUTH).toBeDefined();
    expect(msk.isWiped).toBe(true);
  });

  it('where it is not expected, or the session is gone', () => {
    const pac = new ForeignPac().start().eapRequest();
    const [early, late] = [pac.msk, pac.msk];
    pac.success(true, early);
    pac.sessionId += 1;
    pac.success(true, late);
    expect([early.isWiped, late.isWiped]).toEqual([true, true]);
  });
});
