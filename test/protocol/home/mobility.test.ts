import { describe, expect, it } from 'vitest';
import { chooseIke, leaseProblem, type MobilityWish, pskRoot, storeWish } from '../../../src/protocol/home/mobility.js';
import {
  type BootstrapResult,
  type HomeAgent,
  plainSubscriber,
  type Subscriber,
} from '../../../src/protocol/home/records.js';
import { derivePsk, fingerprint } from '../../../src/protocol/keys/kdf.js';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';
import { AGENT, HOME_WISH, HomeRig, home, IKE_WISH, leaseOf, NAI, NONE, OTHER_PAA, PAA } from './home-rig.js';

const { MIP6, LOCAL_HA, HOME_HA, HOA_ASSIGN, IKEV1_PSK, IKEV2_PSK, PSK_FROM_EMSK } = CAPABILITY;
const OFFER = {
  homeAgent: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  homeAddress: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7),
  prefix: undefined,
  host: undefined,
};
const LOCAL = { homeAgent: '2001:db8:9::1', homeAddress: '2001:db8:9::7', offer: OFFER };
const wishOf = (bits: number, local: MobilityWish['local'] = undefined): MobilityWish => ({ bits, local });

describe('the root of the IKE key', () => {
  it.each<[string, number, Subscriber['pskRoot'], 'msk' | 'emsk', 'msk' | 'emsk' | undefined]>([
    ['the MSK by default', MIP6, undefined, 'msk', 'msk'],
    ['the EMSK when the node asks for it', MIP6 | PSK_FROM_EMSK, undefined, 'msk', 'emsk'],
    ['none when the server wants the EMSK and the node does not support the EMSK', MIP6, undefined, 'emsk', undefined],
    ['the EMSK when both want it', MIP6 | PSK_FROM_EMSK, 'emsk', 'msk', 'emsk'],
    ['none when the subscriber has the MSK and the node asks for the EMSK', PSK_FROM_EMSK, 'msk', 'emsk', undefined],
    ['none when the subscriber has the EMSK and the node does not support it', MIP6, 'emsk', 'msk', undefined],
    ['that of the subscriber, whatever the default', MIP6, 'msk', 'emsk', 'msk'],
  ])('is %s', (_name, bits, own, fallback, root) => {
    expect(pskRoot(wishOf(bits), { ...plainSubscriber(NAI), pskRoot: own }, fallback)).toBe(root);
  });
});

describe('the IKE version', () => {
  it.each<[number, HomeAgent['ike'], string | undefined]>([
    [IKEV1_PSK | IKEV2_PSK, ['ikev1', 'ikev2'], 'ikev2'],
    [IKEV1_PSK, ['ikev2', 'ikev1'], 'ikev1'],
    [IKEV2_PSK, ['ikev1'], undefined],
    [IKEV1_PSK, ['ikev2'], undefined],
    [IKEV1_PSK | IKEV2_PSK, ['ikev1'], 'ikev1'],
    [0, ['ikev1'], 'ikev1'],
    [0, ['ikev1', 'ikev2'], 'ikev2'],
    [IKEV2_PSK, [], undefined],
  ])('for a node with %i and a home agent with %j is %s', (bits, ike, chosen) => {
    expect(chooseIke(bits, { ...AGENT, ike })).toBe(chosen);
  });
});

describe('the kind of home agent requested from the store', () => {
  const local = { homeAgent: LOCAL.homeAgent, homeAddress: LOCAL.homeAddress };
  it.each<[string, MobilityWish, 'msk' | 'emsk', object]>([
    ['home', wishOf(HOME_HA), 'msk', { wish: 'home', local: undefined }],
    ['local, with the proposal of the visited network', wishOf(LOCAL_HA, LOCAL), 'msk', { wish: 'local', local }],
    ['any when nothing was proposed', wishOf(LOCAL_HA), 'msk', { wish: 'any', local: undefined }],
    [
      'any when the key needs the EMSK, which the visited network does not have',
      wishOf(LOCAL_HA, LOCAL),
      'emsk',
      { wish: 'any', local: undefined },
    ],
    ['any, with the proposal', wishOf(LOCAL_HA | HOME_HA, LOCAL), 'msk', { wish: 'any', local }],
  ])('is %s', (_name, wish, root, asked) => {
    expect(storeWish(wish, root)).toEqual(asked);
  });
});

describe('leaseProblem', () => {
  it.each([
    ['is usable', {}, undefined],
    ['has an invalid home agent address', { address: 'ha1' }, /invalid address/],
    ['has a prefix with an invalid address', { prefix: 'home/64' }, /invalid address/],
    ['has a prefix of another length than 64', { prefix: '2001:db8:1::/32' }, /home link prefix: its length is 32/],
    ['has a home address outside the prefix', { prefix: '2001:db8:2::/64' }, /outside the prefix/],
    ['has a host name that is unsafe for hooks', { host: '$(reboot)' }, /home agent host/],
  ])('detects that a lease %s', (_name, agent, problem) => {
    const found = leaseProblem(leaseOf('s', agent));
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });
});

const PRIVATE = { ...plainSubscriber(NAI), privacy: 'required' as const };
const sealed = ({ bits, local }: MobilityWish) => ({ bits: bits | CAPABILITY.SEALED, local });

describe('Mobile IPv6 in a bootstrap', () => {
  /** The mobility part of the answer to a client with this request. The store returns these results in turn. */
  function bootstrap(results: readonly BootstrapResult[], wish: MobilityWish | undefined = HOME_WISH, success = {}) {
    const rig = new HomeRig({ hookWait: 0 });
    const token = rig.succeed('s', { wish }, success);
    for (const result of results) rig.stored('bootstrap', result);
    const answer = rig.answerTo(token);
    return { rig, mobility: answer?.type === 'accept' ? answer.accepted.mobility : answer };
  }

  const withdrawn: BootstrapResult = { result: 'none', reason: 'not-wanted', released: leaseOf('s') };

  it.each<[string, readonly BootstrapResult[], MobilityWish | undefined, object]>([
    ['not-wanted', [NONE], undefined, {}],
    ['no-home-agent', [{ ...NONE, reason: 'no-home-agent' } as BootstrapResult], HOME_WISH, {}],
    ['not-granted', [{ ...NONE, reason: 'not-granted' } as BootstrapResult], HOME_WISH, {}],
    ['psk-root', [NONE], HOME_WISH, { subscriber: { ...plainSubscriber(NAI), pskRoot: 'emsk' as const } }],
    ['privacy-required', [NONE], HOME_WISH, { subscriber: PRIVATE }],
    ['privacy-required', [NONE], IKE_WISH, { subscriber: PRIVATE }],
    ['ikev2-not-permitted', [NONE], sealed(IKE_WISH), { subscriber: PRIVATE }],
    ['hooks-behind', [NONE], HOME_WISH, { hooksBehind: true }],
    ['no-common-ike', [home('s', { lease: leaseOf('s', { ike: [] }) }), withdrawn], HOME_WISH, {}],
    ['unfit', [home('s', { lease: leaseOf('s', { address: 'ha1' }) }), withdrawn], HOME_WISH, {}],
  ])('is left out, but access is granted, for the reason %s', (reason, results, wish, success) => {
    const { rig, mobility } = bootstrap(results, wish, success);
    expect(mobility).toBeUndefined();
    expect(rig.events('authenticated')).toHaveLength(1);
    expect(rig.events('noMobility')).toEqual([{ name: 'noMobility', nai: NAI, reason }]);
    expect(rig.of('hook').filter(({ event }) => event !== 'down')).toEqual([]);
  });

  it.each([
    ['hooks are behind', HOME_WISH, { hooksBehind: true }],
    ['the key has no root', HOME_WISH, { subscriber: { ...plainSubscriber(NAI), pskRoot: 'emsk' as const } }],
    ['the client requests no seal', HOME_WISH, { subscriber: PRIVATE }],
    ['the client wants none', undefined, {}],
  ])('asks the store for no lease when %s', (_name, wish, success) => {
    const rig = new HomeRig();
    rig.succeed('s', { wish }, success);
    expect(rig.asked('bootstrap')).toMatchObject([{ wish: undefined, local: undefined }]);
  });

  it('is sealed if the subscriber requires it and the client requests it', () => {
    const { mobility } = bootstrap([home('s')], sealed(HOME_WISH), { subscriber: PRIVATE });
    expect(mobility).toMatchObject({ kind: 'home', root: 'emsk', sealed: expect.any(Uint8Array) });
  });

  it('returns a lease for which there is no common IKE version', () => {
    const { rig } = bootstrap([home('s', { lease: leaseOf('s', { ike: [] }) }), withdrawn]);
    expect(rig.events('leaseReleased')).toMatchObject([{ reason: 'no common IKE version' }]);
    expect(rig.of('hook')).toMatchObject([{ event: 'down', token: undefined, key: undefined }]);
  });

  it('reports a row of the store that cannot be used, and runs no hook with it', () => {
    const { rig } = bootstrap([home('s', { lease: leaseOf('s', { host: '$(reboot)' }) }), withdrawn]);
    expect(rig.events('unfitHomeAgent')).toMatchObject([{ nai: NAI, reason: expect.stringContaining('host') }]);
    expect(rig.of('hook')).toEqual([]);
  });

  it('ends in a rejection when the subscriber is disabled before the lease is returned', () => {
    const refused: BootstrapResult = { result: 'refused', reason: 'disabled', released: undefined };
    const { mobility } = bootstrap([home('s', { lease: leaseOf('s', { ike: [] }) }), refused]);
    expect(mobility).toMatchObject({ type: 'reject', because: 'authorization' });
  });

  it.each([
    [false, 'up'],
    [true, 'refresh'],
  ])('runs the hook of a lease, renewed: %s', (renewed, event) => {
    const { rig, mobility } = bootstrap([home('s', { renewed })]);
    expect(rig.of('hook')).toMatchObject([{ event, lease: leaseOf('s') }]);
    expect(mobility).toMatchObject({ kind: 'home', ike: 'ikev2', root: 'msk' });
    expect(rig.events('leaseGiven')).toMatchObject([{ renewed, ike: 'ikev2', root: 'msk' }]);
  });

  it.each<[number, 'msk' | 'emsk']>([
    [HOME_WISH.bits, 'msk'],
    [HOME_WISH.bits | PSK_FROM_EMSK, 'emsk'],
  ])('derives the IKE key for capability %i from the %s', (bits, root) => {
    const rig = new HomeRig({ hookWait: 0 });
    const { [root]: key } = rig.success();
    const address = (last: number) => Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 1, ...new Array(9).fill(0), last);
    const expected = fingerprint(derivePsk(key, address(1), address(0x77)));
    rig.succeed('s', { wish: wishOf(bits) });
    rig.stored('bootstrap', home('s'));
    const [hook] = rig.of('hook');
    expect(hook?.key && fingerprint(hook.key.psk)).toBe(expected);
    expect(rig.events('leaseGiven')).toMatchObject([{ root, fingerprint: expected }]);
  });

  it('runs `down` for a replaced lease before `up`', () => {
    const other = { ...leaseOf('s'), homeAddress: '2001:db8:1::78' };
    const { rig } = bootstrap([home('s', { released: other })]);
    expect(rig.of('hook').map(({ event, lease }) => [event, lease.homeAddress])).toEqual([
      ['down', '2001:db8:1::78'],
      ['up', '2001:db8:1::77'],
    ]);
    expect(rig.events('leaseReleased')).toMatchObject([{ reason: 'replaced' }]);
  });

  it('reports that another session had the lease', () => {
    const { rig } = bootstrap([home('s', { renewed: true, takenFrom: 'older' })]);
    expect(rig.events('leaseTakenOver')).toMatchObject([{ from: 'older', origin: PAA }]);
  });

  it('allows the proposal of the visited network, and runs no hook', () => {
    const { homeAgent, homeAddress } = LOCAL;
    const result = { result: 'local', local: { homeAgent, homeAddress }, released: undefined } as const;
    const bits = MIP6 | LOCAL_HA | HOA_ASSIGN | IKEV2_PSK;
    const { rig, mobility } = bootstrap([result], wishOf(bits, LOCAL));
    expect(mobility).toEqual({ kind: 'local', offer: OFFER, bits });
    expect(rig.of('hook')).toEqual([]);
    expect(rig.events('localAllowed')).toEqual([{ name: 'localAllowed', nai: NAI, local: { homeAgent, homeAddress } }]);
  });

  it('passes the NAS of the session and its state to the store', () => {
    const rig = new HomeRig();
    rig.succeed('s', {
      origin: OTHER_PAA,
      originRealm: 'access.example',
      originState: 7,
      connected: { originState: 7 },
    });
    expect(rig.asked('bootstrap')).toMatchObject([
      { sessionId: 's', origin: OTHER_PAA, originRealm: 'access.example', originState: 7, certificate: '0a:1' },
    ]);
  });
});
