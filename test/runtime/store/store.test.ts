import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite, synchronousLevel } from '../../../src/runtime/store/database.js';
import type { BootstrapRequest, HomeAgent, Subscriber } from '../../../src/runtime/store/operations.js';
import { Store } from '../../../src/runtime/store/store.js';
import { backUp, restore } from '../../../src/runtime/store/store-file.js';

const NOW = Date.UTC(2030, 0, 1);
const HOUR = 3_600_000;
let folder: string;
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
  store = await Store.open(join(folder, 'store.db'));
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function addAgent(number: number, more: Partial<HomeAgent> = {}): Promise<void> {
  const agent = {
    name: `ha${number}`,
    address: `2001:db8:${number}::1`,
    host: `ha${number}.home.example`,
    prefix: `2001:db8:${number}::/64`,
    capacity: 10,
    weight: 1,
    target: undefined,
    ike: ['ikev1'] as const,
    ...more,
  };
  return store.run('addHomeAgent', { agent, now: NOW });
}

function addSubscriber(nai: string, more: Partial<Subscriber> = {}): Promise<void> {
  const subscriber = {
    nai,
    enabled: true,
    mip6: true,
    localHomeAgent: true,
    pskRoot: undefined,
    homeAgent: undefined,
    homeAddress: undefined,
    sessionLifetime: undefined,
    ...more,
  };
  return store.run('addSubscriber', { subscriber, now: NOW });
}

function bootstrap(nai: string, sessionId: string, more: Partial<BootstrapRequest> = {}) {
  return store.run('bootstrap', {
    nai,
    sessionId,
    origin: 'paa.access.example',
    originRealm: 'access.example',
    originState: 100,
    wish: 'home',
    local: undefined,
    sessionExpires: NOW + HOUR,
    leaseExpires: NOW + HOUR + 60_000,
    now: NOW,
    ...more,
  });
}

async function given(nai: string, sessionId: string, more: Partial<BootstrapRequest> = {}) {
  const result = await bootstrap(nai, sessionId, more);
  if (result.result !== 'home') throw new Error(JSON.stringify(result));
  return result;
}

const LOCAL = { homeAgent: '2001:db8:a::1', homeAddress: '2001:db8:a::77' };

describe('the database', () => {
  it('is written with synchronous = FULL, on every open', async () => {
    const path = join(folder, 'again.db');
    for (let open = 0; open < 3; open += 1) {
      const db = await openSqlite(path);
      expect(await synchronousLevel(db)).toBe(2);
      await db.destroy();
    }
    // The file alone says something else: the setting belongs to a connection.
    const file = new Database(path);
    expect(file.pragma('synchronous', { simple: true })).not.toBe(2);
    file.close();
  });

  it('keeps what was promised when the process is gone', async () => {
    await addAgent(1);
    await addSubscriber('mn@home.example');
    const { lease } = await given('mn@home.example', 'one');
    // Another connection sees it at once: it was committed before the promise was kept.
    const file = new Database(join(folder, 'store.db'), { readonly: true });
    expect(file.prepare('SELECT hoa, session_id FROM leases').all()).toEqual([
      { hoa: lease.homeAddress, session_id: 'one' },
    ]);
    file.close();
    await store.close();
    store = await Store.open(join(folder, 'store.db'));
    expect(await store.run('listLeases', {})).toMatchObject([
      { homeAddress: lease.homeAddress, nai: 'mn@home.example' },
    ]);
  });

  it('undoes a call that fails alone, whatever is committed beside it', async () => {
    await addSubscriber('mn@home.example');
    const outcomes = await Promise.allSettled([
      addSubscriber('a@home.example'),
      addSubscriber('mn@home.example'),
      addSubscriber('b@home.example', { homeAgent: 'nowhere' }),
      addSubscriber('c@home.example'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    const names = (await store.run('listSubscribers', {})).map(({ nai }) => nai);
    expect(names).toEqual(['a@home.example', 'c@home.example', 'mn@home.example']);
  });

  it('finishes what it was given before it was closed', async () => {
    const path = join(folder, 'closing.db');
    const other = await Store.open(path);
    const subscriber = {
      enabled: true,
      mip6: true,
      localHomeAgent: true,
      pskRoot: undefined,
      homeAgent: undefined,
      homeAddress: undefined,
      sessionLifetime: undefined,
    };
    const calls = Array.from({ length: 600 }, (_, i) =>
      other.run('addSubscriber', { subscriber: { ...subscriber, nai: `mn${i}@home.example` }, now: NOW }),
    );
    await other.close();
    await expect(Promise.all(calls)).resolves.toHaveLength(600);
    const again = await Store.open(path);
    expect(await again.run('listSubscribers', {})).toHaveLength(600);
    await again.close();
  });

  it('says no when it is closed', async () => {
    const other = await Store.open(join(folder, 'other.db'));
    await other.close();
    await expect(other.run('listLeases', {})).rejects.toThrow('closed');
  });
});

describe('a subscriber', () => {
  it('is found by the first name that fits, without regard to case', async () => {
    await addSubscriber('MN@Home.Example');
    const found = await store.run('findSubscriber', { names: ['nobody', 'mn@HOME.example'] });
    expect(found).toMatchObject({ nai: 'mn@home.example', enabled: true });
    expect(await store.run('findSubscriber', { names: ['other@home.example'] })).toBeUndefined();
  });

  it('that is removed gives its lease back', async () => {
    await addAgent(1);
    await addSubscriber('mn@home.example');
    const { lease } = await given('mn@home.example', 'one');
    expect(await store.run('removeSubscriber', { nai: 'mn@home.example' })).toMatchObject({
      homeAddress: lease.homeAddress,
    });
    expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }]);
    await expect(store.run('removeSubscriber', { nai: 'mn@home.example' })).rejects.toThrow('no subscriber');
  });
});

describe('assignment', () => {
  it('gives the home agent with the smallest load, by capacity and weight', async () => {
    await addAgent(1, { capacity: 2 });
    await addAgent(2, { capacity: 4 });
    const names: string[] = [];
    for (let i = 0; i < 6; i += 1) {
      await addSubscriber(`mn${i}@home.example`);
      names.push((await given(`mn${i}@home.example`, `s${i}`)).lease.homeAgent.name);
    }
    expect(names.filter((name) => name === 'ha1')).toHaveLength(2);
    expect(names.filter((name) => name === 'ha2')).toHaveLength(4);
    await addSubscriber('mn7@home.example');
    expect(await bootstrap('mn7@home.example', 's7')).toMatchObject({ result: 'none', reason: 'no-home-agent' });
    expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 2 }, { leases: 4 }]);
  });

  it('never goes over a capacity, and gives no address twice, however many ask at once', async () => {
    await addAgent(1, { capacity: 20 });
    await addAgent(2, { capacity: 10 });
    const nais = Array.from({ length: 50 }, (_, i) => `mn${i}@home.example`);
    await Promise.all(nais.map((nai) => addSubscriber(nai)));
    const results = await Promise.all(nais.map((nai) => bootstrap(nai, `session ${nai}`)));
    const leases = results.flatMap((result) => (result.result === 'home' ? [result.lease] : []));
    expect(leases).toHaveLength(30);
    expect(new Set(leases.map(({ homeAddress }) => homeAddress)).size).toBe(30);
    expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 20 }, { leases: 10 }]);
  });

  it('gives a subscriber the same again, and asking twice changes nothing more', async () => {
    await addAgent(1);
    await addAgent(2);
    await addSubscriber('mn@home.example');
    const one = await given('mn@home.example', 'one');
    const again = await given('mn@home.example', 'one');
    const moved = await given('mn@home.example', 'two', { leaseExpires: NOW + 2 * HOUR });
    expect(one.renewed).toBe(false);
    expect([again.renewed, moved.renewed]).toEqual([true, true]);
    expect(new Set([one, again, moved].map(({ lease }) => lease.homeAddress)).size).toBe(1);
    expect(moved.lease).toMatchObject({ sessionId: 'two', expiresAt: NOW + 2 * HOUR });
    expect((await store.run('listHomeAgents', {})).reduce((sum, { leases }) => sum + leases, 0)).toBe(1);
    // A day later it is the same address still: it depends on the subscriber, not on the time.
    await store.run('endSession', { sessionId: 'two' });
    expect((await given('mn@home.example', 'three')).lease.homeAddress).toBe(one.lease.homeAddress);
  });

  it('frees a lease only with its newest session', async () => {
    await addAgent(1);
    await addSubscriber('mn@home.example');
    await given('mn@home.example', 'old');
    const { lease } = await given('mn@home.example', 'new');
    expect(await store.run('endSession', { sessionId: 'old' })).toEqual({ known: true, released: undefined });
    expect(await store.run('listLeases', {})).toHaveLength(1);
    expect(await store.run('endSession', { sessionId: 'new' })).toMatchObject({
      known: true,
      released: { homeAddress: lease.homeAddress },
    });
    expect(await store.run('endSession', { sessionId: 'new' })).toEqual({ known: false, released: undefined });
    expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }]);
  });

  it('follows the pins of a subscriber', async () => {
    await addAgent(1);
    await addAgent(2);
    const homeAddress = '2001:db8:2::beef';
    await addSubscriber('mn@home.example', { homeAgent: 'ha2', homeAddress });
    const { lease } = await given('mn@home.example', 'one');
    expect(lease).toMatchObject({ homeAddress, homeAgent: { name: 'ha2' } });
    await addSubscriber('other@home.example', { homeAgent: 'ha2', homeAddress });
    expect(await bootstrap('other@home.example', 'two')).toMatchObject({ result: 'none', reason: 'prefix-full' });
    // What was not given is not counted.
    expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }, { leases: 1 }]);
  });

  it('grants none to a subscriber without Mobile IPv6, and takes back what a node does not ask for any more', async () => {
    await addAgent(1);
    await addSubscriber('mn@home.example');
    await addSubscriber('no@home.example', { mip6: false });
    expect(await bootstrap('no@home.example', 'one')).toMatchObject({ result: 'none', reason: 'not-granted' });
    const { lease } = await given('mn@home.example', 'two');
    expect(await bootstrap('mn@home.example', 'two', { wish: undefined })).toMatchObject({
      result: 'none',
      reason: 'not-wanted',
      released: { homeAddress: lease.homeAddress },
    });
    expect(await store.run('listLeases', {})).toEqual([]);
  });

  it('allows the local home agent where all three want it, and falls back on it', async () => {
    await addAgent(1, { capacity: 1 });
    await addSubscriber('mn@home.example');
    await addSubscriber('stay@home.example', { localHomeAgent: false });
    expect(await bootstrap('mn@home.example', 'a', { wish: 'local', local: LOCAL })).toMatchObject({ result: 'local' });
    expect(await bootstrap('mn@home.example', 'a', { wish: 'local' })).toMatchObject({ result: 'home' });
    expect(await bootstrap('mn@home.example', 'a', { wish: 'local', local: LOCAL })).toMatchObject({
      result: 'local',
      released: { homeAgent: { name: 'ha1' } },
    });
    expect(await bootstrap('stay@home.example', 'b', { wish: 'local', local: LOCAL })).toMatchObject({
      result: 'home',
    });
    await addSubscriber('third@home.example');
    expect(await bootstrap('third@home.example', 'c', { wish: 'any', local: LOCAL })).toMatchObject({
      result: 'local',
    });
    expect(await bootstrap('third@home.example', 'c', { wish: 'home', local: LOCAL })).toMatchObject({
      result: 'none',
      reason: 'no-home-agent',
    });
  });

  it('frees what has expired, and nothing else', async () => {
    await addAgent(1);
    await addSubscriber('one@home.example');
    await addSubscriber('two@home.example');
    const { lease } = await given('one@home.example', 'one', { leaseExpires: NOW + 1000, sessionExpires: NOW + 1000 });
    await given('two@home.example', 'two');
    expect(await store.run('expire', { now: NOW + 999, limit: 10 })).toEqual([]);
    expect(await store.run('expire', { now: NOW + 1000, limit: 10 })).toMatchObject([
      { homeAddress: lease.homeAddress },
    ]);
    expect(await store.run('listLeases', {})).toMatchObject([{ nai: 'two@home.example' }]);
    expect(await store.run('endSession', { sessionId: 'one' })).toEqual({ known: false, released: undefined });
    expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 1 }]);
  });
});

describe('a home agent', () => {
  it.each([
    [{ address: '192.0.2.1' }, 'is not an IPv6 address'],
    [{ prefix: '2001:db8:1::1/64' }, 'is not a /64 prefix'],
    [{ prefix: '2001:db8:1::/56' }, 'is not a /64 prefix'],
    [{ capacity: 0 }, 'a capacity is a whole number from 1'],
    [{ host: 'a;b' }, 'cannot name a home agent'],
    [{ name: '../ha' }, 'cannot name a home agent'],
  ])('with %j is refused', async (more, message) => {
    await expect(addAgent(1, more)).rejects.toThrow(message);
  });

  it('is there once', async () => {
    await addAgent(1);
    await expect(addAgent(1)).rejects.toThrow('already there');
  });
});

describe('the history of leases', () => {
  it('says who had a home address at any time, also when nobody of them is left', async () => {
    await addAgent(1);
    await addSubscriber('mn1@home.example', { homeAddress: '2001:db8:1::77' });
    const first = await bootstrap('mn1@home.example', 's1');
    expect(first).toMatchObject({ result: 'home', lease: { homeAddress: '2001:db8:1::77' } });
    await store.run('endSession', { sessionId: 's1', now: NOW + HOUR });
    await store.run('removeSubscriber', { nai: 'mn1@home.example' });
    await addSubscriber('mn2@home.example', { homeAddress: '2001:db8:1::77' });
    await bootstrap('mn2@home.example', 's2', { now: NOW + 2 * HOUR, leaseExpires: NOW + 5 * HOUR });
    const who = async (at: number) =>
      (await store.run('leaseHistory', { of: '2001:0db8:1::77', at, limit: 10 })).map(({ nai }) => nai);
    expect(await who(NOW - 1)).toEqual([]);
    expect(await who(NOW)).toEqual(['mn1@home.example']);
    expect(await who(NOW + HOUR)).toEqual([]);
    expect(await who(NOW + 3 * HOUR)).toEqual(['mn2@home.example']);
    expect(await store.run('leaseHistory', { limit: 10 })).toMatchObject([
      { nai: 'mn2@home.example', homeAgent: 'ha1', endedAt: undefined },
      { nai: 'mn1@home.example', homeAgent: 'ha1', acquiredAt: NOW, endedAt: NOW + HOUR },
    ]);
    expect(await store.run('leaseHistory', { of: 'MN1@home.example', limit: 10 })).toHaveLength(1);
  });

  it('ends with the lease, when that expires, and is forgotten after a while', async () => {
    await addAgent(1);
    await addSubscriber('mn1@home.example');
    await bootstrap('mn1@home.example', 's1', { leaseExpires: NOW + HOUR });
    // A session that takes it over goes on with the same line.
    await bootstrap('mn1@home.example', 's2', { now: NOW + 1, leaseExpires: NOW + 2 * HOUR });
    await store.run('expire', { now: NOW + 3 * HOUR, limit: 10 });
    expect(await store.run('leaseHistory', { limit: 10 })).toMatchObject([{ endedAt: NOW + 2 * HOUR }]);
    expect(await store.run('forgetHistory', { before: NOW + 2 * HOUR, limit: 10 })).toBe(0);
    expect(await store.run('forgetHistory', { before: NOW + 2 * HOUR + 1, limit: 10 })).toBe(1);
    expect(await store.run('leaseHistory', { limit: 10 })).toEqual([]);
  });
});

describe('a backup', () => {
  const path = (name: string) => join(folder, name);

  it('is taken while the store is in use, and brings back what was in it', async () => {
    await addAgent(1);
    for (let i = 0; i < 300; i += 1) await addSubscriber(`mn${i}@home.example`);
    const parts: number[] = [];
    const writing = Promise.all(Array.from({ length: 50 }, (_, i) => bootstrap(`mn${i}@home.example`, `s${i}`)));
    await backUp(path('store.db'), path('backup.db'), (part) => parts.push(part));
    await writing;
    expect(parts.length).toBeGreaterThan(0);
    expect((await stat(path('backup.db'))).mode & 0o777).toBe(0o600);
    await store.close();
    await restore(path('backup.db'), path('store.db'), () => undefined);
    store = await Store.open(path('store.db'));
    expect(await store.run('listSubscribers', {})).toHaveLength(300);
    // One moment of the store: each lease is counted at its home agent.
    const [agent] = await store.run('listHomeAgents', {});
    expect(await store.run('listLeases', {})).toHaveLength(agent?.leases ?? -1);
  });

  it('overwrites nothing, and only a whole one of a version that is known is restored', async () => {
    await backUp(path('store.db'), path('backup.db'), () => undefined);
    await expect(backUp(path('store.db'), path('backup.db'), () => undefined)).rejects.toThrow('is there already');
    await writeFile(path('text.db'), 'this is no database, but it is long enough to be taken for the head of one');
    await expect(restore(path('text.db'), path('other.db'), () => undefined)).rejects.toThrow('cannot open');
    await expect(restore(path('none.db'), path('other.db'), () => undefined)).rejects.toThrow('cannot open');
    const newer = new Database(path('backup.db'));
    newer.prepare('INSERT INTO kysely_migration (name, timestamp) VALUES (?, ?)').run('9999-future', 'now');
    newer.close();
    await expect(restore(path('backup.db'), path('other.db'), () => undefined)).rejects.toThrow('newer version');
    await expect(stat(path('other.db'))).rejects.toThrow('ENOENT');
  });
});
