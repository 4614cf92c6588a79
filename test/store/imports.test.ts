import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Subscriber } from '../../src/protocol/home/records.js';
import type { ImportProblem } from '../../src/store/import-operations.js';
import type { Store } from '../../src/store/store.js';
import { DATABASES } from './databases.js';
import { HOUR, SHA256, StoreUser, subscriberOf } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

/** Adds lines to an import, numbered from `from`. */
function stage(importId: string, subscribers: readonly Subscriber[], from = 2): Promise<ImportProblem[]> {
  const rows = subscribers.map((subscriber, i) => ({ line: from + i, subscriber }));
  return store.run('stageImport', { importId, rows }, 'root');
}

const check = (importId: string, update = false) => store.run('checkImport', { importId, update });
const finish = (importId: string, update = false) => store.run('finishImport', { importId, update });

const subscribers = async () => (await store.run('listSubscribers', {})).items;

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`An import in ${kind}`, () => {
    const { fresh, execute } = places();
    let place: string;

    /** Makes the staged rows older by this many milliseconds. */
    const age = (importId: string, milliseconds: number, where = '1 = 1') =>
      execute(
        place,
        `UPDATE import_rows SET created_at = created_at - ${milliseconds} WHERE import_id = '${importId}' AND ${where}`,
      );

    beforeEach(async () => {
      place = await fresh();
      store = await openStore(place);
      await user.addAgent(1);
    });

    afterEach(() => store.close());

    it('creates all subscribers at once, with all their fields', async () => {
      const whole = subscriberOf('mn0@home.example', {
        enabled: false,
        mip6: false,
        localHomeAgent: false,
        pskRoot: 'emsk',
        sessions: 'one',
        privacy: 'required',
        services: 'none',
        homeAgent: 'ha1',
        homeAddress: '2001:db8:1::77',
        sessionLifetime: 4_294_967_294,
        certificateName: 'device',
        certificateSha256: SHA256,
      });
      const given = { ...whole, nai: 'MN0@Home.example', homeAddress: '2001:DB8:1:0::77', certificateName: 'Device' };
      expect(await stage('a', [given])).toEqual([]);
      // More rows than fit into one statement.
      const plain = Array.from({ length: 1_200 }, (_, i) => subscriberOf(`mn${i + 1}@home.example`));
      expect(await stage('a', plain, 3)).toEqual([]);
      expect(await subscribers()).toEqual([]);
      expect(await check('a')).toEqual([]);
      const done = store.run('finishImport', { importId: 'a', update: false, source: 'a.csv' }, 'root');
      expect(await done).toBe(1_201);
      const [first, ...others] = await subscribers();
      expect(first).toEqual(whole);
      expect(others.map(({ nai }) => nai)).toEqual(plain.map(({ nai }) => nai).sort());
      // No staged rows remain.
      expect(await finish('a')).toBe(0);
      // The audit trail has the result once, not each stage.
      const { items } = await store.run('listAudit', {});
      expect(items).toMatchObject([{ who: 'root', what: 'finishImport', detail: expect.stringContaining('"a.csv"') }]);
    });

    it('reports invalid lines and stages the others', async () => {
      const lines = [
        subscriberOf('a;b'),
        subscriberOf('mn1@home.example'),
        subscriberOf('mn2@home.example', { homeAddress: '192.0.2.1' }),
        subscriberOf('mn3@home.example', { certificateSha256: 'abc' }),
        subscriberOf('MN1@home.example'),
      ];
      expect(await stage('a', lines)).toEqual([
        { line: 2, problem: expect.stringContaining('"a;b" cannot be a subscriber: ') },
        { line: 4, problem: '192.0.2.1 is not an IPv6 address' },
        { line: 5, problem: 'abc is not a SHA-256 fingerprint of 64 hexadecimal digits' },
        { line: 6, problem: 'mn1@home.example is already in line 3' },
      ]);
      // Duplicates are found in a later part of the file too.
      expect(await stage('a', [subscriberOf('mn1@HOME.example')], 7)).toEqual([
        { line: 7, problem: 'mn1@home.example is already in line 3' },
      ]);
      expect(await finish('a')).toBe(1);
    });

    it('fails as a whole on a conflict and reports it by line', async () => {
      await user.addSubscriber('mn1@home.example');
      await user.addSubscriber('other@home.example', { certificateName: 'device', certificateSha256: SHA256 });
      await stage('a', [
        subscriberOf('mn1@home.example'),
        subscriberOf('mn2@home.example', { homeAgent: 'ha9' }),
        subscriberOf('mn3@home.example', { certificateName: 'Device' }),
        subscriberOf('mn4@home.example', { certificateSha256: SHA256.toUpperCase() }),
        subscriberOf('mn5@home.example', { certificateName: 'twice' }),
        subscriberOf('mn6@home.example', { certificateName: 'twice' }),
      ]);
      const problems = [
        { line: 2, problem: 'subscriber mn1@home.example already exists' },
        { line: 3, problem: 'no home agent ha9' },
        { line: 4, problem: 'the subscriber other@home.example already has this certificate' },
        { line: 5, problem: 'the subscriber other@home.example already has this certificate' },
        { line: 7, problem: 'this certificate is already in an earlier line' },
      ];
      expect(await check('a')).toEqual(problems);
      expect(await check('a', true)).toEqual(problems.slice(1));
      await expect(finish('a')).rejects.toThrow('line 2: subscriber mn1@home.example already exists');
      await expect(finish('a', true)).rejects.toThrow('line 3: no home agent ha9');
      expect(await subscribers()).toHaveLength(2);
    });

    it('rejects a home address that is taken, or is not on the link of its home agent', async () => {
      await user.addAgent(2);
      await user.addSubscriber('mn1@home.example', { homeAddress: '2001:db8:1::7' });
      await stage('a', [
        subscriberOf('mn2@home.example', { homeAddress: '2001:db8:1::7' }),
        subscriberOf('mn3@home.example', { homeAddress: '2001:db8:1::8' }),
        subscriberOf('mn4@home.example', { homeAddress: '2001:db8:1:0::8' }),
        subscriberOf('mn5@home.example', { homeAddress: '2001:db8:1::9', homeAgent: 'ha2' }),
        subscriberOf('mn6@home.example', { homeAddress: '2001:db8:9::9' }),
        subscriberOf('mn7@home.example', { homeAddress: '2001:db8:2::9', homeAgent: 'ha2' }),
      ]);
      expect(await check('a')).toEqual([
        { line: 2, problem: 'the subscriber mn1@home.example already has this home address' },
        { line: 4, problem: 'this home address is already in an earlier line' },
        { line: 5, problem: "2001:db8:1::9 is not a node's address on the home link of ha2, 2001:db8:2::/64" },
        { line: 6, problem: '2001:db8:9::9 is not on the home link of any home agent' },
      ]);
    });

    it('reports at most the first twenty problems', async () => {
      const nais = Array.from({ length: 30 }, (_, i) => `mn${i}@home.example`);
      for (const nai of nais) await user.addSubscriber(nai);
      await stage(
        'a',
        nais.map((nai) => subscriberOf(nai)),
      );
      const problems = await check('a');
      expect(problems.map(({ line }) => line)).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
    });

    it('changes existing subscribers with update, and keeps leases, sessions and takeovers', async () => {
      await user.addSubscriber('mn1@home.example', { certificateName: 'device' });
      await user.addSubscriber('mn2@home.example');
      await user.given('mn1@home.example', 'one');
      await user.given('mn1@home.example', 'two');
      await stage('a', [subscriberOf('mn1@home.example', { homeAgent: 'ha1' }), subscriberOf('mn3@home.example')]);
      expect(await finish('a', true)).toBe(2);
      expect(await subscribers()).toEqual([
        subscriberOf('mn1@home.example', { homeAgent: 'ha1', takeovers: 1 }),
        subscriberOf('mn2@home.example'),
        subscriberOf('mn3@home.example'),
      ]);
      expect((await store.run('listSessions', { of: 'mn1@home.example' })).items).toHaveLength(2);
      expect((await store.run('listLeases', {})).items).toMatchObject([{ nai: 'mn1@home.example', sessionId: 'two' }]);
    });

    it('is independent of another import at the same time', async () => {
      await Promise.all([
        stage('a', [subscriberOf('mn1@home.example')]),
        stage('b', [subscriberOf('mn1@home.example', { mip6: false })]),
      ]);
      expect(await finish('a')).toBe(1);
      expect(await check('b')).toHaveLength(1);
      expect(await finish('b', true)).toBe(1);
      expect(await subscribers()).toEqual([subscriberOf('mn1@home.example', { mip6: false })]);
    });

    it('is abandoned by its id, or with all others to which nothing was added for a given time', async () => {
      for (const importId of ['a', 'b', 'c', 'd']) {
        await stage(importId, [subscriberOf(`${importId}1@home.example`), subscriberOf(`${importId}2@home.example`)]);
      }
      await store.run('abandonImport', { importId: 'a' });
      await age('b', 2 * HOUR);
      await age('c', 2 * HOUR, 'line = 2');
      await store.run('abandonImport', { age: HOUR });
      // An import whose last lines are recent stays complete.
      const left = [];
      for (const importId of ['a', 'b', 'c', 'd']) left.push(await finish(importId));
      expect(left).toEqual([0, 0, 2, 2]);
    });

    it('is not abandoned by id while its lines are younger than the given age', async () => {
      await stage('a', [subscriberOf('a1@home.example')]);
      await store.run('abandonImport', { importId: 'a', age: HOUR });
      expect(await finish('a')).toBe(1);
    });

    it('is not abandoned if neither an id nor an age is given', async () => {
      await stage('a', [subscriberOf('a1@home.example')]);
      await expect(store.run('abandonImport', {})).rejects.toThrow('name an import');
      expect(await finish('a')).toBe(1);
    });
  });
}
