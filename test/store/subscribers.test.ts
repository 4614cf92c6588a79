import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.js';
import { DATABASES } from './databases.js';
import { HOUR, NOW, SHA256, StoreUser, subscriberOf } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

const NAI = 'mn@home.example';
const OTHER = 'other@home.example';

/** Looks up the subscriber for a certificate with these names. */
const find = (names: readonly string[], { sha256 = 'cd'.repeat(32), sessionId = 'one' } = {}) =>
  store.run('findSubscriber', { names, sha256, sessionId });

const change = (what: object, nai = NAI) => store.run('changeSubscriber', { nai, change: what });

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`A subscriber in ${kind}`, () => {
    const { fresh } = places();

    beforeEach(async () => {
      store = await openStore(await fresh());
      await user.addSubscriber(NAI);
    });

    afterEach(() => store.close());

    it('is shown as it was added and changed, case-insensitively', async () => {
      await user.addAgent(1);
      const show = () => store.run('showSubscriber', { nai: 'MN@Home.Example' });
      expect(await show()).toEqual(subscriberOf(NAI));
      const policy = {
        enabled: false,
        mip6: false,
        localHomeAgent: false,
        pskRoot: 'emsk',
        sessions: 'one',
        privacy: 'required',
      } as const;
      const all = {
        ...policy,
        homeAgent: 'ha1',
        homeAddress: '2001:db8:1::77',
        sessionLifetime: 4_294_967_294,
        certificateName: 'device',
        certificateSha256: SHA256,
      };
      const said = { ...all, homeAddress: '2001:DB8:1:0::77', certificateName: 'DEVICE' };
      const fingerprint = SHA256.toUpperCase().replaceAll(/(..)(?=.)/g, '$1:');
      expect(await change({ ...said, certificateSha256: fingerprint })).toEqual(subscriberOf(NAI, all));
      expect(await show()).toEqual(subscriberOf(NAI, all));
      expect(await change({})).toEqual(subscriberOf(NAI, all));
      const none = { homeAgent: null, homeAddress: null, sessionLifetime: null, pskRoot: null };
      const bound = { certificateName: null, certificateSha256: null };
      const plain = { enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace', privacy: 'optional' };
      expect(await change({ ...none, ...bound, ...plain })).toEqual(subscriberOf(NAI));
    });

    it('cannot be added twice or changed to invalid values', async () => {
      await expect(user.addSubscriber('MN@home.example')).rejects.toThrow(`subscriber ${NAI} already exists`);
      await expect(user.addSubscriber('a b')).rejects.toThrow('"a b" cannot be a subscriber');
      await expect(user.addSubscriber('a@')).rejects.toThrow('"a@" cannot be a subscriber: its realm is empty');
      await expect(user.addSubscriber('a@b@c')).rejects.toThrow('it has more than one "@"');
      await expect(user.addSubscriber(OTHER, { homeAgent: 'ha9' })).rejects.toThrow('no home agent ha9');
      await expect(change({ homeAgent: 'ha9' })).rejects.toThrow('no home agent ha9');
      await expect(change({ homeAddress: '192.0.2.1' })).rejects.toThrow('is not an IPv6 address');
      await expect(change({ certificateSha256: 'ab' })).rejects.toThrow('is not a SHA-256 fingerprint');
      const exclusive = 'privacy required excludes psk-root msk';
      await expect(user.addSubscriber(OTHER, { pskRoot: 'msk', privacy: 'required' })).rejects.toThrow(exclusive);
      await expect(change({ pskRoot: 'msk', privacy: 'required' })).rejects.toThrow(exclusive);
      await expect(change({ mip6: false }, OTHER)).rejects.toThrow(`no subscriber ${OTHER}`);
      await expect(store.run('showSubscriber', { nai: OTHER })).rejects.toThrow(`no subscriber ${OTHER}`);
      expect(await store.run('showSubscriber', { nai: NAI })).toEqual(subscriberOf(NAI));
    });

    it('whose assignment must be sealed cannot get its key from the MSK later, or the other way round', async () => {
      await change({ privacy: 'required' });
      await expect(change({ pskRoot: 'msk' })).rejects.toThrow('privacy required excludes psk-root msk');
      expect(await change({ pskRoot: 'msk', privacy: 'optional' })).toMatchObject({ pskRoot: 'msk' });
      await expect(change({ privacy: 'required' })).rejects.toThrow('privacy required excludes psk-root msk');
      expect(await change({ pskRoot: null, privacy: 'required' })).toMatchObject({ privacy: 'required' });
    });

    it('does not share its certificate binding with another subscriber', async () => {
      await change({ certificateName: 'device', certificateSha256: SHA256 });
      await user.addSubscriber(OTHER);
      for (const taken of [{ certificateName: 'Device' }, { certificateSha256: SHA256.toUpperCase() }]) {
        const text = `the subscriber ${NAI} already has this certificate`;
        await expect(change(taken, OTHER)).rejects.toThrow(text);
        await expect(user.addSubscriber('third@home.example', taken)).rejects.toThrow(text);
        // Its own binding is no conflict.
        expect(await change(taken)).toMatchObject({ certificateName: 'device', certificateSha256: SHA256 });
      }
    });

    it('does not share its home address, which must be on the link of its home agent', async () => {
      await user.addAgent(1);
      await user.addAgent(2);
      const homeAddress = '2001:db8:2::77';
      // The second differs from the prefix of ha2 only in its last bit.
      for (const elsewhere of ['2001:db8:3::77', '2001:db8:2:1::77']) {
        await expect(change({ homeAddress: elsewhere })).rejects.toThrow('is not on the home link of any home agent');
      }
      await expect(change({ homeAddress, homeAgent: 'ha1' })).rejects.toThrow(
        'on the home link of ha1, 2001:db8:1::/64',
      );
      await expect(change({ homeAddress: '2001:db8:2::1' })).rejects.toThrow(
        'is not on the home link of any home agent',
      );
      await change({ homeAddress });
      await expect(change({ homeAgent: 'ha1' })).rejects.toThrow('on the home link of ha1');
      const taken = user.addSubscriber(OTHER, { homeAddress: '2001:DB8:2:0::77' });
      await expect(taken).rejects.toThrow(`the subscriber ${NAI} is already pinned to 2001:db8:2::77`);
      // The first home agent has the same load but another link.
      const { lease } = await user.given(NAI, 'one');
      expect(lease).toMatchObject({ homeAddress, homeAgent: { name: 'ha2' } });
    });

    it('must have a valid lifetime and certificate name', async () => {
      await expect(change({ sessionLifetime: 0 })).rejects.toThrow('a whole number of seconds from 1, not 0');
      await expect(change({ sessionLifetime: 2 ** 32 })).rejects.toThrow('a whole number of seconds');
      await expect(change({ certificateName: '' })).rejects.toThrow('1 to 253 printable characters');
      await expect(change({ certificateName: 'a\nb' })).rejects.toThrow('1 to 253 printable characters');
    });

    it('bound to a certificate is found by it, and its name with another certificate is refused', async () => {
      await change({ certificateSha256: SHA256 });
      expect(await find(['nobody'], { sha256: SHA256 })).toMatchObject({ subscriber: { nai: NAI } });
      expect(await find([NAI])).toEqual({ refusal: 'other-certificate', nai: NAI });
    });

    it('bound to a certificate name is found by it, and not by its own name', async () => {
      await change({ certificateName: 'device' });
      expect(await find(['nobody', 'Device'])).toMatchObject({ subscriber: { nai: NAI } });
      expect(await find([NAI])).toEqual({ refusal: 'no-subscriber' });
    });

    it('is refused while disabled', async () => {
      await change({ enabled: false });
      expect(await find([NAI])).toEqual({ refusal: 'disabled', nai: NAI });
      expect(await user.bootstrap(NAI, 'one')).toMatchObject({ result: 'refused', reason: 'disabled' });
      expect(await user.bootstrap(OTHER, 'one')).toMatchObject({ result: 'refused', reason: 'no-subscriber' });
      expect((await store.run('listSessions', {})).items).toEqual([]);
    });

    it('with sessions "one" is refused a second session until the first has ended or expired', async () => {
      await user.addAgent(1);
      await change({ sessions: 'one' });
      const now = Date.now();
      const lasting = (lifetime: number) => ({ now, sessionLifetime: lifetime, leaseLifetime: 2 * HOUR });
      await user.given(NAI, 'one', lasting(HOUR));
      expect(await find([NAI], { sessionId: 'one' })).toMatchObject({ subscriber: { nai: NAI } });
      expect(await find([NAI], { sessionId: 'two' })).toEqual({ refusal: 'second-session', nai: NAI });
      expect(await user.bootstrap(NAI, 'two', lasting(HOUR))).toMatchObject({ reason: 'second-session' });
      await user.given(NAI, 'one', lasting(-HOUR));
      expect(await find([NAI], { sessionId: 'two' })).toMatchObject({ subscriber: { nai: NAI } });
      await user.given(NAI, 'two', lasting(HOUR));
      await store.run('endSession', { sessionId: 'two' });
      expect(await find([NAI], { sessionId: 'three' })).toMatchObject({ subscriber: { nai: NAI } });
    });

    it('cannot take over the session of another subscriber', async () => {
      await user.addAgent(1);
      await user.addSubscriber(OTHER);
      const { lease } = await user.given(NAI, 'one', { certificate: 'aa:1' });
      expect(await find([OTHER], { sessionId: 'one' })).toEqual({ refusal: 'other-subscriber', nai: OTHER });
      const taken = { result: 'refused', reason: 'other-subscriber' };
      expect(await user.bootstrap(OTHER, 'one', { certificate: 'aa:2' })).toMatchObject(taken);
      expect((await store.run('listSessions', {})).items).toMatchObject([{ nai: NAI, serial: '1' }]);
      expect((await store.run('listLeases', {})).items).toMatchObject([{ nai: NAI, homeAddress: lease.homeAddress }]);
      // Another certificate of the same subscriber replaces serial number and issuer.
      await user.given(NAI, 'one', { certificate: 'aa:3' });
      expect((await store.run('listSessions', { certificates: ['aa:1'] })).items).toEqual([]);
      expect((await store.run('listSessions', { certificates: ['aa:3'] })).items).toMatchObject([{ nai: NAI }]);
      await store.run('endSession', { sessionId: 'one' });
      expect(await user.bootstrap(OTHER, 'one')).toMatchObject({ result: 'home' });
    });

    it('counts the leases that a session took over from one that had not ended', async () => {
      await user.addAgent(1);
      expect((await user.given(NAI, 'one')).takenFrom).toBe(undefined);
      expect((await user.given(NAI, 'two')).takenFrom).toBe('one');
      expect((await user.given(NAI, 'two')).takenFrom).toBe(undefined);
      expect((await user.given(NAI, 'three', { now: NOW + HOUR })).takenFrom).toBe(undefined);
      expect(await store.run('showSubscriber', { nai: NAI })).toMatchObject({ takeovers: 1 });
    });
  });
}
