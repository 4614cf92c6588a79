// Long, because it has all requests of an operator, with the failures of store and PAAs that each must survive.
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Administrator } from '../../src/aaa/administrator.js';
import { AAA_METRICS } from '../../src/aaa/metrics.js';
import type { DemandAnswer } from '../../src/protocol/home/alphabet.js';
import type { DutyInput } from '../../src/protocol/home/duties.js';
import type { Lease, Session } from '../../src/protocol/home/records.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { SqliteBackend } from '../../src/store/database.js';
import { DatabaseError } from '../../src/store/database-error.js';
import { StoreEngine } from '../../src/store/engine.js';
import { StoreUser, subscriberOf } from '../store/fixtures.js';
import { VirtualHost } from '../virtual-host.js';

const SUCCESS: DemandAnswer = { result: 'SUCCESS', unknown: false, refused: false };
const ISSUER = 'aa';

let host: VirtualHost;
let backend: SqliteBackend;
let store: StoreEngine;
let user: StoreUser;
let administrator: Administrator;
/** The administrator's calls to its surroundings, in order. */
let done: string[];
/** Origin-Hosts of PAAs that do not answer. */
let unreachable: Set<string>;
/** The answers of PAAs, by Origin-Host; all other PAAs answer with success. */
let results: Map<string, DemandAnswer>;
/** What the administrator recorded about duties. */
let duties: DutyInput[];
/** Number of times that the store fails to end a session. */
let unends: number;

let hasGroup = false;

beforeEach(async () => {
  host = new VirtualHost();
  backend = await SqliteBackend.open(':memory:');
  store = await StoreEngine.open(backend, host);
  user = new StoreUser(() => store);
  done = [];
  duties = [];
  unreachable = new Set();
  results = new Map();
  unends = 0;
  const ask = (what: string) => async (session: Session) => {
    done.push(`${what} ${session.sessionId}`);
    if (unreachable.has(session.origin)) throw new Error('no answer');
    return results.get(session.origin) ?? SUCCESS;
  };
  administrator = new Administrator({
    log: pino({ level: 'silent' }),
    metrics: new Metrics('pana_aaa', AAA_METRICS),
    host,
    store,
    storeName: '/store.db',
    get operatorsHaveGroup() {
      return hasGroup;
    },
    application: {
      disconnect: ask('ASR'),
      reauthenticate: ask('RAR'),
      endSession: async (session: Session) => {
        unends -= 1;
        if (unends >= 0) throw new Error('the store is gone');
        done.push(`end ${session.sessionId}`);
      },
    },
    services: {
      run: ({ event, lease }) => done.push(`${event} ${lease.nai} ${lease.server.name}`),
      look: () => undefined,
    },
    homeAgents: {
      run: async (event: string, { nai, homeAddress }: Lease, key: unknown) => {
        done.push(`${event} ${nai} ${homeAddress}${key === undefined ? '' : ' with a key'}`);
        return true;
      },
    },
    record: (input) => void duties.push(input),
    forget: () => void done.push('forget'),
  });
  await user.addAgent(1);
});

afterEach(async () => {
  administrator.stop();
  await store.close();
  await backend.close();
});

const administer = (operation: string, given: object, who?: string) =>
  administrator.administer({ operation, arguments: given, ...(who === undefined ? {} : { who }) });

/** Lets pending promises settle. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Adds a subscriber with a session and a lease; resolves to its home address. */
async function bootstrapped(name: string): Promise<string> {
  const nai = `${name}@home.example`;
  await user.addSubscriber(nai);
  const session = { origin: `paa-of-${name}`, certificate: `${ISSUER}:${name}`, now: host.wall() };
  return (await user.given(nai, `session-of-${name}`, session)).lease.homeAddress;
}

describe('Administrator, hooks of home agents', () => {
  let homeAddress: string;

  beforeEach(async () => {
    homeAddress = await bootstrapped('mn');
  });

  it('runs hook down and sends an ASR when a subscriber with a lease is removed', async () => {
    await administer('removeSubscriber', { nai: 'mn@home.example' });
    await settle();
    expect(done).toEqual(['forget', `down mn@home.example ${homeAddress}`, 'ASR session-of-mn']);
  });

  it('runs no hook when a subscriber without a lease is removed', async () => {
    await user.addSubscriber('other@home.example');
    await administer('removeSubscriber', { nai: 'other@home.example' });
    await settle();
    expect(done).toEqual(['forget']);
  });

  it('runs hook down and sends an RAR when a lease is released with --force', async () => {
    await administer('releaseLease', { of: homeAddress, force: true });
    await settle();
    expect(done).toEqual([`down mn@home.example ${homeAddress}`, 'RAR session-of-mn']);
  });

  it('does nothing when it refuses to release a lease', async () => {
    await expect(administer('releaseLease', { of: homeAddress, force: false })).rejects.toThrow('--force');
    await settle();
    expect(done).toEqual([]);
  });

  it('runs hook down and sends an RAR for every lease of a home agent that is removed with --force', async () => {
    const other = await bootstrapped('other');
    await administer('removeHomeAgent', { name: 'ha1', force: true });
    await settle();
    const downs = done.filter((what) => what.startsWith('down')).sort();
    expect(downs).toEqual([`down mn@home.example ${homeAddress}`, `down other@home.example ${other}`].sort());
    expect(done.filter((what) => what.startsWith('RAR'))).toEqual(['RAR session-of-mn', 'RAR session-of-other']);
  });
});

describe('Administrator, sessions', () => {
  beforeEach(async () => {
    await bootstrapped('mn');
    await bootstrapped('other');
  });

  it('sends an ASR to the PAA when a subscriber is disabled', async () => {
    await administer('changeSubscriber', { nai: 'mn@home.example', change: { enabled: false } });
    await settle();
    expect(done).toEqual(['forget', 'ASR session-of-mn']);
  });

  it('ends the session in the store if the PAA does not answer the ASR', async () => {
    unreachable.add('paa-of-mn');
    await administer('changeSubscriber', { nai: 'mn@home.example', change: { enabled: false } });
    await settle();
    expect(done).toEqual(['forget', 'ASR session-of-mn', 'end session-of-mn']);
  });

  it('sends an ASR when an import disables a subscriber', async () => {
    const rows = [{ line: 2, subscriber: subscriberOf('mn@home.example', { enabled: false }) }];
    await administer('stageImport', { importId: 'a', rows });
    await administer('finishImport', { importId: 'a', update: true });
    await settle();
    expect(done).toEqual(['forget', 'ASR session-of-mn']);
  });

  it('sends ASRs for a revoked certificate and for all certificates of a revoked issuer', async () => {
    await administrator.revoke({ certificates: [`${ISSUER}:mn`], issuers: [] });
    expect(done).toEqual(['ASR session-of-mn']);
    await administrator.revoke({ certificates: [], issuers: [ISSUER] });
    expect(done.slice(1)).toEqual(['ASR session-of-mn', 'ASR session-of-other']);
  });

  it.each([
    ['a certificate is revoked', () => administrator.revoke({ certificates: [`${ISSUER}:mn`], issuers: [] })],
    ['a subscriber is disabled', () => administrator.endDisabled()],
  ])('sends ASRs once the store is available again if it was unavailable when %s', async (_, change) => {
    await store.run('changeSubscriber', { nai: 'mn@home.example', change: { enabled: false } });
    const gone = new DatabaseError('ERR_STORE_DOWN', 'gone');
    const run = vi.spyOn(store, 'run').mockRejectedValue(gone);
    const ended = change();
    await settle();
    host.advance(10_000);
    await settle();
    expect(done).toEqual([]);
    run.mockRestore();
    host.advance(10_000);
    await ended;
    expect(done).toEqual(['ASR session-of-mn']);
  });

  it('ends the other sessions if the store cannot end one, and ends that one later', async () => {
    unreachable.add('paa-of-mn');
    unends = 1;
    const ended = administrator.revoke({ certificates: [], issuers: [ISSUER] });
    await settle();
    expect(done).toEqual(['ASR session-of-mn', 'ASR session-of-other']);
    unreachable.clear();
    host.advance(10_000);
    await ended;
    expect(done.slice(2)).toEqual(['ASR session-of-mn', 'ASR session-of-other']);
  });

  it('sends an ASR at startup for a subscriber that was disabled while no server ran', async () => {
    await store.run('changeSubscriber', { nai: 'other@home.example', change: { enabled: false } });
    await administrator.endDisabled();
    expect(done).toEqual(['ASR session-of-other']);
  });
});

describe('Administrator, duties to disconnect removed sessions', () => {
  const held = { subject: 'session s', mark: '0a' };
  const begun: DutyInput = { type: 'dutyBegun', duty: held };
  const ended = (over: boolean): DutyInput => ({ type: 'dutyEnded', duty: { ...held, over, notified: undefined } });
  const session = (sessionId: string): Session => ({
    sessionId,
    nai: 'mn@home.example',
    origin: `paa-of-${sessionId}`,
    originRealm: undefined,
    kind: undefined,
    homeAgent: undefined,
    homeAddress: undefined,
    serial: undefined,
    startedAt: 0,
    expiresAt: 1,
    duty: '0a',
  });

  it('are held until the PAA has answered the ASR', async () => {
    const work = administrator.endRemoved([session('s')]);
    expect(duties).toEqual([begun]);
    await work;
    expect(duties).toEqual([begun, ended(true)]);
    expect(done).toEqual(['ASR s']);
  });

  it.each([
    ['an agent cannot deliver the ASR', { result: 'UNABLE_TO_DELIVER', unknown: false, refused: true }, false],
    ['the PAA does not know the session', { result: 'UNKNOWN_SESSION_ID', unknown: true, refused: false }, true],
  ])('are ended if %s (%o): %s', async (_case, answer, over) => {
    results.set('paa-of-s', answer);
    await administrator.endRemoved([session('s')]);
    expect(duties).toEqual([begun, ended(over)]);
    expect(done).toEqual(over ? ['ASR s'] : ['ASR s', 'end s']);
  });

  it('are all tried even if the store cannot end one of the sessions', async () => {
    for (const name of ['s', 't']) unreachable.add(`paa-of-${name}`);
    unends = 1;
    await administrator.endRemoved(['s', 't'].map(session));
    expect(done).toEqual(['ASR s', 'ASR t', 'end t']);
    expect(duties.map(({ type }) => type)).toEqual(['dutyBegun', 'dutyBegun', 'dutyEnded', 'dutyEnded']);
  });

  it('are retried later if the PAA does not answer', async () => {
    unreachable.add('paa-of-s');
    await administrator.endRemoved([session('s')]);
    expect(duties).toEqual([begun, ended(false)]);
  });
});

describe('Administrator, startup', () => {
  it('sends RARs to the nodes of a home agent that is down and of leases released with --force', async () => {
    const homeAddress = await bootstrapped('released');
    await bootstrapped('on-ha1');
    await user.addAgent(2);
    await store.run('releaseLease', { of: homeAddress, force: true });
    await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'down' } });
    await bootstrapped('on-ha2');
    await administrator.finishOthers();
    await settle();
    expect(done).toEqual(['RAR session-of-on-ha1', 'RAR session-of-released', 'RAR session-of-released']);
  });
});

describe('Administrator, after a failure of the database', () => {
  /** The administrator's store commits changes and loses the answers. */
  function loseAnswers(): () => void {
    const { administer: commit } = store;
    store.administer = async (...call) => {
      await commit.apply(store, call);
      throw new DatabaseError('ERR_STORE_DOWN', 'the connection was lost');
    };
    return () => {
      store.administer = commit;
    };
  }

  it.each([
    ['releaseLease', (of: string) => ({ of, force: true }), 'RAR session-of-mn'],
    ['changeSubscriber', () => ({ nai: 'mn@home.example', change: { enabled: false } }), 'ASR session-of-mn'],
    ['changeHomeAgent', () => ({ name: 'ha1', change: { state: 'down' } }), 'RAR session-of-mn'],
  ])('applies a committed %s whose answer was lost', async (operation, given, effect) => {
    const homeAddress = await bootstrapped('mn');
    loseAnswers();
    for (let tries = 0; tries < 2; tries += 1) {
      await expect(administer(operation, given(homeAddress))).rejects.toMatchObject({ name: 'ControlError' });
    }
    host.advance(9_999);
    await settle();
    expect(done).toEqual(['forget']);
    host.advance(1);
    await settle();
    expect(done).toEqual(['forget', effect]);
  });

  it('looks for nothing if the store has refused the request because too many are pending', async () => {
    await bootstrapped('mn');
    await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'down' } });
    store.administer = () => Promise.reject(new DatabaseError('ERR_STORE_BUSY', 'too many requests'));
    await expect(administer('statistics', {})).rejects.toMatchObject({ status: 503 });
    host.advance(10_000);
    await settle();
    expect(done).toEqual([]);
  });

  it('waits until the database works again', async () => {
    const homeAddress = await bootstrapped('mn');
    loseAnswers();
    const { run } = store;
    store.run = () => Promise.reject(new DatabaseError('ERR_STORE_DOWN', 'the server is down'));
    for (let tries = 0; tries < 3; tries += 1) {
      await expect(administer('releaseLease', { of: homeAddress, force: true })).rejects.toThrow();
      host.advance(10_000);
      await settle();
    }
    expect(done).toEqual(['forget']);
    store.run = run;
    host.advance(10_000);
    await settle();
    expect(done).toEqual(['forget', 'RAR session-of-mn']);
  });

  it('settles only when the work in the background is over, and without the pauses in it', async () => {
    const steps: string[] = [];
    let finish: () => void = () => undefined;
    const long = new Promise<void>((resolve) => {
      finish = resolve;
    });
    administrator.inBackground(long.then(() => store.run('statistics', {})).then(() => void steps.push('work')));
    const answer = loseAnswers();
    await expect(administer('statistics', {})).rejects.toMatchObject({ name: 'ControlError' });
    answer();
    administrator.stop();
    const settled = administrator.settle().then(() => void steps.push('settled'));
    await settle();
    expect(steps).toEqual([]);
    finish();
    await settled;
    expect(steps).toEqual(['work', 'settled']);
  });

  it('checks the store again after each failure until it is stopped', async () => {
    const answer = loseAnswers();
    const homeAddress = await bootstrapped('mn');
    await expect(administer('statistics', {})).rejects.toMatchObject({ name: 'ControlError' });
    host.advance(10_000);
    await settle();
    expect(done).toEqual(['forget']);
    await expect(administer('releaseLease', { of: homeAddress, force: true })).rejects.toMatchObject({ status: 503 });
    answer();
    administrator.stop();
    host.advance(10_000);
    await settle();
    expect(done).toEqual(['forget', 'forget']);
  });
});

describe('Administrator, re-authentication', () => {
  beforeEach(async () => {
    await bootstrapped('mn');
  });

  it.each([{ mip6: false }, { homeAgent: 'ha1' }, { pskRoot: 'emsk' }, { certificateName: 'node' }])(
    'sends an RAR when %j changes for a subscriber',
    async (change) => {
      await administer('changeSubscriber', { nai: 'mn@home.example', change });
      await settle();
      expect(done).toEqual(['forget', 'RAR session-of-mn']);
    },
  );

  it.each([{ enabled: true }, { sessions: 'one' }, { sessionLifetime: 60 }])(
    'sends no RAR when %j changes',
    async (change) => {
      await administer('changeSubscriber', { nai: 'mn@home.example', change });
      await settle();
      expect(done).toEqual(['forget']);
    },
  );

  it.each(['draining', 'up', 'down'] as const)(
    'sends an RAR when a home agent is set to down, not to draining or up: %s',
    async (state) => {
      await administer('changeHomeAgent', { name: 'ha1', change: { state } });
      await settle();
      expect(done).toEqual(state === 'down' ? ['RAR session-of-mn'] : []);
    },
  );
});

it('moveNodes sends 50 RARs a second and ends when the administrator is stopped', async () => {
  await store.run('changeHomeAgent', { name: 'ha1', change: { capacity: 200 } });
  for (let i = 0; i < 120; i += 1) await bootstrapped(`mn${i}`);
  const counts: number[] = [];
  const moving = administrator.moveNodes({ name: 'ha1', address: '2001:db8:1::1' });
  for (let second = 0; second < 2; second += 1) {
    await settle();
    counts.push(done.length);
    host.advance(999);
    await settle();
    counts.push(done.length);
    host.advance(1);
  }
  administrator.stop();
  await moving;
  expect(counts).toEqual([50, 50, 100, 100]);
  expect(done).toHaveLength(100);
});

describe('Administrator, operator requests', () => {
  it.each([
    [{ operation: 'statistics', arguments: {}, store: '/other.db' }, /uses the store \/store.db, not \/other.db/],
    [{ operation: 'bootstrap', arguments: {} }, /unknown operation bootstrap/],
    [{ operation: 'showLease', arguments: { of: 7 } }, /showLease: of: /],
  ])('rejects an invalid request with status 400: %j', async (body, why) => {
    await expect(administrator.administer(body)).rejects.toMatchObject({
      name: 'ControlError',
      status: 400,
      message: expect.stringMatching(why),
    });
    expect(done).toEqual([]);
  });

  it('records the stated operator as unverified if a group may use the control socket', async () => {
    hasGroup = true;
    await administer('changeHomeAgent', { name: 'ha1', change: { capacity: 9 } }, 'eve');
    hasGroup = false;
    expect((await store.run('listAudit', {})).items.map(({ who }) => who)).toContain('eve (unverified)');
  });

  it('answers 503 if the database is down and 500 after an internal error', async () => {
    backend.reads = () => Promise.reject(new DatabaseError('ERR_STORE_DOWN', 'gone'));
    await expect(administer('statistics', {})).rejects.toMatchObject({ status: 503, message: 'gone' });
    backend.reads = () => Promise.reject(new TypeError('x is not a function'));
    await expect(administer('statistics', {})).rejects.toMatchObject({
      status: 500,
      message: 'statistics: internal error of the server; see its log',
    });
  });

  it('records the name given in the request in the audit trail, "somebody" if there is none', async () => {
    await administer('addSubscriber', { subscriber: subscriberOf('a@home.example') }, 'root');
    await administer('addSubscriber', { subscriber: subscriberOf('b@home.example') });
    expect((await store.run('listAudit', {})).items.map(({ who }) => who)).toEqual(['somebody', 'root']);
  });
});
