import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoreCalls } from '../../src/aaa/measured-store.js';
import { EAP_CODE } from '../../src/protocol/eap/codec.js';
import { plainSubscriber } from '../../src/protocol/home/records.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import type { Store } from '../../src/store/store.js';
import { within } from '../eventually.js';
import { grammarian } from '../protocol/diameter/messages.js';
import { stopNodes } from '../runtime/diameter/rig.js';
import { clientCredentials, makePki, SUBSCRIBER, type TestPki } from '../runtime/eap/eap-run.js';
import { StoreUser } from '../store/fixtures.js';
import { openStore } from '../store/open-store.js';
import { Application, resultOf } from './application-rig.js';

const PAA = 'paa.example';
/** The request of a node that wants a home agent. */
const WISH = { 'Mobility-Capability': 0x1d, 'MIP6-Feature-Vector': 1n };

/** A store that holds the calls of one operation, before or after they run, until the test releases them. */
class HeldStore implements StoreCalls {
  readonly #store: Store;
  readonly #held: { readonly operation: string; readonly when: 'before' | 'after' };
  readonly #release: Promise<void>;
  release: () => void = () => undefined;
  readonly #arrived: Promise<void>;
  #arrive: () => void = () => undefined;

  constructor(store: Store, operation: string, when: 'before' | 'after') {
    this.#store = store;
    this.#held = { operation, when };
    this.#release = new Promise((resolve) => {
      this.release = resolve;
    });
    this.#arrived = new Promise((resolve) => {
      this.#arrive = resolve;
    });
  }

  /** Resolves when a call is held. */
  get arrived(): Promise<void> {
    return this.#arrived;
  }

  readonly run: StoreCalls['run'] = (operation, given, who) => {
    const go = () => this.#store.run(operation, given, who);
    return (operation === this.#held.operation ? this.#hold(go) : go()) as never;
  };

  readonly administer: StoreCalls['administer'] = (...call) => this.#store.administer(...call);

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #hold(go: () => Promise<unknown>): Promise<unknown> {
    const result = this.#held.when === 'after' ? await go() : undefined;
    this.#arrive();
    await this.#release;
    return this.#held.when === 'after' ? result : go();
  }
}

let pki: TestPki;
let folder: string;
let file: string;
let store: Store;
let there: Application | undefined;

beforeAll(async () => {
  pki = await makePki('p256');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-commit-'));
  file = join(folder, 'store.db');
  store = await openStore(file);
  await store.run('addSubscriber', { subscriber: plainSubscriber(SUBSCRIBER) });
  await new StoreUser(() => store).addAgent(1, { ike: ['ikev1', 'ikev2'] });
});

afterEach(async () => {
  await stopNodes();
  await there?.stop();
  there = undefined;
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function credentials(): PeerCredentials {
  return clientCredentials(pki);
}

/** Starts a bootstrap and waits until the held operation is called. */
async function enter(held: HeldStore): Promise<{ readonly session: string; readonly result: Promise<number> }> {
  there = await new Application({ pki, paas: [PAA], store: held }).start();
  const session = there.newSession(PAA);
  const result = there.enter(PAA, '2001:db8:2::1', credentials(), session, WISH);
  await within(held.arrived, 'the held store operation');
  return { session, result };
}

/** All answers share one connection: when this one arrives, everything that the server sent before has arrived. */
async function roundTrip(rig: Application): Promise<void> {
  expect(resultOf(await rig.begin(PAA, rig.newSession(PAA), '2001:db8:3::1'))).toBe(1001);
}

/** The number of leases that another process reads from the disk. */
function leasesOnDisk(): number {
  const database = new Database(file, { readonly: true });
  try {
    return (database.prepare('SELECT count(*) AS count FROM leases').get() as { count: number }).count;
  } finally {
    database.close();
  }
}

/** The answers that the PAA received for a session. */
function answersOf(rig: Application, session: string) {
  return rig.answers.filter(({ avps }) => grammarian.find(avps, 'Session-Id') === session);
}

const grantsOf = (rig: Application, session: string) =>
  answersOf(rig, session).filter((answer) => resultOf(answer) === 2001);

describe('The commit of a lease', () => {
  it.each(['before', 'after'] as const)(
    'precedes the answer that promises the lease, even if the store stalls %s the commit',
    async (when) => {
      const held = new HeldStore(store, 'bootstrap', when);
      const { session, result } = await enter(held);
      const rig = there as Application;
      await roundTrip(rig);
      expect(grantsOf(rig, session)).toEqual([]);
      expect(leasesOnDisk()).toBe(when === 'before' ? 0 : 1);
      held.release();
      expect(await result).toBe(2001);
      expect(leasesOnDisk()).toBe(1);
      const [grant] = grantsOf(rig, session);
      expect(grammarian.find(grant?.avps ?? [], 'MIP-Mobile-Node-Address')).toBeDefined();
    },
  );
});

describe('The decision on authorization (RFC 9190 2.5: the 0x00 octet commits the server)', () => {
  it.each([
    ['an authorized client', true, 2001],
    ['a subscriber disabled meanwhile', false, 4001],
  ])('precedes the 0x00 octet: %s', async (_name, isEnabled, resultCode) => {
    const held = new HeldStore(store, 'findSubscriber', 'before');
    const { session, result } = await enter(held);
    const rig = there as Application;
    const asked = answersOf(rig, session).length;
    await roundTrip(rig);
    // The server has received the client's Finished and has not answered it.
    expect(answersOf(rig, session)).toHaveLength(asked);
    await store.run('changeSubscriber', { nai: SUBSCRIBER, change: { enabled: isEnabled } });
    held.release();
    expect(await result).toBe(resultCode);
    const after = answersOf(rig, session).slice(asked);
    const codes = after.map(({ avps }) => grammarian.find(avps, 'EAP-Payload')?.[0]);
    // The client accepts keys when it receives the octet. A refused client gets an EAP-Failure instead.
    expect(codes.at(-1)).toBe(isEnabled ? EAP_CODE.SUCCESS : EAP_CODE.FAILURE);
    expect(new Set(codes.slice(0, -1))).toEqual(new Set(isEnabled ? [EAP_CODE.REQUEST] : []));
    expect(rig.keys).toBe(isEnabled ? 1 : 0);
    expect(leasesOnDisk()).toBe(isEnabled ? 1 : 0);
  });
});
