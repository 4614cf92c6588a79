import { describe, expect, it } from 'vitest';
import { octetsOf } from '../../../src/protocol/home/mobility.js';
import type { BootstrapResult, Subscriber } from '../../../src/protocol/home/records.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';
import { derivePsk } from '../../../src/protocol/keys/kdf.js';
import { HomeRig, home, IKE_WISH, leaseOf, NAI, SUCCESS, sessionOf } from './home-rig.js';

const PERMITTED = { subscriber: { ...plainSubscriber(NAI), ikev2HomeAddress: true } };
const HA = { origin: 'radius:ha1', peer: 'radius:ha1', homeAgent: { name: 'ha1', user: NAI } };
const refused = (reason: Extract<BootstrapResult, { result: 'refused' }>['reason']): BootstrapResult => ({
  result: 'refused',
  reason,
  released: undefined,
});

/** A node asks the access network for a home agent only. Returns the answer. */
function bootstrapped(rig: HomeRig, subscriber: Partial<Subscriber>, wish = IKE_WISH) {
  const token = rig.succeed('access', { wish }, { subscriber: { ...plainSubscriber(NAI), ...subscriber } });
  return () => rig.answerTo(token);
}

describe('A node that wants its home address by IKEv2', () => {
  it('gets its home agent only, and both ends derive the key without the home address', () => {
    const rig = new HomeRig();
    const answer = bootstrapped(rig, { ikev2HomeAddress: true });
    expect(rig.asked('bootstrap')).toMatchObject([{ wish: 'home', local: undefined }]);
    rig.stored('bootstrap', home('access'));
    const [hook] = rig.of('hook');
    expect(hook).toMatchObject({ event: 'up', key: { ike: 'ikev2', byIke: true } });
    const expected = derivePsk(rig.successes[0]?.msk ?? never(), octetsOf('2001:db8:1::1'), undefined);
    expect(hook?.key?.psk.use((octets) => [...octets])).toEqual(expected.use((octets) => [...octets]));
    rig.feed({ type: 'hooked', token: hook?.token ?? 0 });
    expect(answer()).toMatchObject({ type: 'accept', accepted: { mobility: { kind: 'home', byIke: true } } });
  });

  it('gets network access without Mobile IPv6 if its subscriber may not', () => {
    const rig = new HomeRig();
    const answer = bootstrapped(rig, { ikev2HomeAddress: false });
    expect(rig.asked('bootstrap')).toMatchObject([{ wish: undefined }]);
    rig.stored('bootstrap', { result: 'none', reason: 'not-wanted', released: undefined });
    expect(rig.events('noMobility')).toMatchObject([{ reason: 'ikev2-not-permitted' }]);
    expect(answer()).toMatchObject({ type: 'accept', accepted: { mobility: undefined } });
  });

  it('gets no home agent that has no IKEv2', () => {
    const rig = new HomeRig();
    const answer = bootstrapped(rig, { ikev2HomeAddress: true });
    rig.stored('bootstrap', home('access', { lease: leaseOf('access', { ike: ['ikev1'] }) }));
    rig.stored('bootstrap', { result: 'none', reason: 'not-wanted', released: leaseOf('access') });
    expect(rig.events('noMobility')).toMatchObject([{ reason: 'no-common-ike' }]);
    expect(answer()).toMatchObject({ type: 'accept', accepted: { mobility: undefined } });
  });
});

describe('A home agent that asks for a node', () => {
  it('gets the home address of the lease, for no longer than the lease, without a hook', () => {
    const rig = new HomeRig();
    const token = rig.succeed('ike', HA, PERMITTED);
    expect(rig.asked('bootstrapAtHomeAgent')).toMatchObject([{ nai: NAI, sessionId: 'ike', homeAgent: 'ha1' }]);
    rig.stored('bootstrapAtHomeAgent', home('access', { renewed: true, sessionLifetime: 600_900, alone: true }));
    expect(rig.answerTo(token)).toMatchObject({
      type: 'accept',
      accepted: { lifetime: 600, mobility: { kind: 'home', lease: leaseOf('access'), byIke: false } },
    });
    expect(rig.of('hook')).toEqual([]);
    expect(rig.events('homeAddressDelivered')).toMatchObject([{ origin: 'radius:ha1' }]);
    // The home agent replaces the former IKE_SA itself; a request to end it would end the new one, too.
    expect(rig.asked('listSessions')).toEqual([]);
  });

  it('gets a new lease for a node without an access session, and its hook runs', () => {
    const rig = new HomeRig();
    const token = rig.succeed('ike', HA, PERMITTED);
    rig.stored('bootstrapAtHomeAgent', home('ike', { released: leaseOf('old', { name: 'ha2' }) }));
    expect(rig.of('hook')).toMatchObject([
      { event: 'down', lease: { homeAgent: { name: 'ha2' } } },
      { event: 'up', key: { byIke: true } },
    ]);
    expect(rig.answerTo(token)).toBeUndefined();
    rig.feed({ type: 'hooked', token: rig.of('hook')[1]?.token ?? 0 });
    expect(rig.answerTo(token)).toMatchObject({ type: 'accept', accepted: { mobility: { byIke: false } } });
  });

  it('is refused a node that has claimed the identity of another subscriber', () => {
    for (const user of ['other@home.example', undefined, `${NAI}x`, '']) {
      const rig = new HomeRig();
      const token = rig.succeed('ike', { ...HA, homeAgent: { name: 'ha1', user } }, PERMITTED);
      expect(rig.answerTo(token)).toEqual({ type: 'reject', packet: SUCCESS, because: 'authorization' });
      expect(rig.asked('bootstrapAtHomeAgent')).toEqual([]);
      expect(rig.successes.every(({ msk, emsk }) => msk.isWiped && emsk.isWiped)).toBe(true);
      expect(rig.events('notAuthorized')).toMatchObject([{ nai: NAI, reason: 'other-identity' }]);
    }
  });

  it('knows a node by its NAI in upper or lower case', () => {
    const rig = new HomeRig();
    rig.succeed('ike', { ...HA, homeAgent: { name: 'ha1', user: NAI.toUpperCase() } }, PERMITTED);
    expect(rig.asked('bootstrapAtHomeAgent')).toHaveLength(1);
  });

  it.each(['not-permitted', 'disabled', 'other-home-agent', 'unknown-home-agent', 'prefix-full'] as const)(
    'is refused a node for the reason %s of the store, and gets no key',
    (reason) => {
      const rig = new HomeRig();
      const token = rig.succeed('ike', HA, PERMITTED);
      rig.stored('bootstrapAtHomeAgent', refused(reason));
      expect(rig.answerTo(token)).toMatchObject({ type: 'reject', because: 'authorization' });
      expect(rig.successes[0]?.msk.isWiped).toBe(true);
      expect(rig.events('notAuthorized')).toMatchObject([{ reason }]);
    },
  );

  it('is not admitted a node without a home address: without the store there is no decision', () => {
    const rig = new HomeRig();
    const token = rig.succeed('ike', HA, PERMITTED);
    rig.storeFails('bootstrapAtHomeAgent');
    expect(rig.answerTo(token)).toEqual({ type: 'denied', because: 'failed' });
    expect(rig.successes[0]?.msk.isWiped).toBe(true);
  });

  it('does not count as a second session', () => {
    const rig = new HomeRig();
    rig.begin('ike', HA);
    rig.prove();
    expect(rig.asked('findSubscriber')).toMatchObject([{ sessionId: 'ike', isAtHomeAgent: true }]);
    rig.begin('access');
    rig.prove();
    expect(rig.asked('findSubscriber')[1]).not.toHaveProperty('isAtHomeAgent');
  });
});

describe('The end of a lease', () => {
  it('names the sessions at the home agent to the performer of its hook', () => {
    const rig = new HomeRig();
    const ended = [sessionOf('ike', { kind: 'ikev2', origin: 'radius:ha1' })];
    rig.feed({
      type: 'termination',
      token: 9,
      request: { sessionId: 'access', origin: 'paa.example', cause: 'LOGOUT' },
    });
    rig.stored('endSession', { known: true, released: { ...leaseOf('access'), ended } });
    expect(rig.of('hook')).toMatchObject([{ event: 'down', lease: { ended } }]);
  });
});

function never(): never {
  throw new Error('no key');
}
