import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { ForeignPaa, ForeignPac } from '../wire/foreign.js';

describe('the MSK at the PaC', () => {
  const keyed = () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    const { msk } = paa;
    paa.feed({ type: 'eapKeys', msk });
    expect(msk.isWiped).toBe(false);
    return { paa, msk };
  };

  it('is wiped when the session opens', () => {
    const { paa, msk } = keyed();
    paa.complete();
    expect(msk.isWiped).toBe(false);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.state).toBe('OPEN');
    expect(msk.isWiped).toBe(true);
  });

  it.each(['terminate', 'eapDiscarded'] as const)('is wiped when the session is closed by %s', (type) => {
    const { paa, msk } = keyed();
    if (type === 'eapDiscarded') paa.eapRequest(false);
    paa.feed({ type });
    expect(paa.state).toBe('CLOSED');
    expect(msk.isWiped).toBe(true);
  });

  it('is wiped together with PANA_AUTH_KEY when the session is destroyed without a message', () => {
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

  it('is wiped when another MSK replaces it', () => {
    const { paa, msk } = keyed();
    const next = paa.msk;
    paa.feed({ type: 'eapKeys', msk: next });
    expect([msk.isWiped, next.isWiped]).toEqual([true, false]);
  });

  it('is wiped at once when there is no session to use it', () => {
    const { msk } = new ForeignPaa();
    new ForeignPaa().feed({ type: 'eapKeys', msk });
    expect(msk.isWiped).toBe(true);
  });
});

describe('the MSK given to the PAA', () => {
  it.each([true, false])('is wiped once PANA_AUTH_KEY is derived, authorized: %s', (authorized) => {
    const pac = new ForeignPac().start().eapRequest().respond(true);
    const { msk } = pac;
    pac.success(authorized, msk);
    expect(pac.last.values.AUTH).toBeDefined();
    expect(msk.isWiped).toBe(true);
  });

  it('is wiped when the session does not expect it or does not exist', () => {
    const pac = new ForeignPac().start().eapRequest();
    const [early, late] = [pac.msk, pac.msk];
    pac.success(true, early);
    pac.sessionId += 1;
    pac.success(true, late);
    expect([early.isWiped, late.isWiped]).toEqual([true, true]);
  });
});
