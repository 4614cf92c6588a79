import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pskOf, refusal } from '../../src/protocol/attachment/binding.js';
import { toHex } from '../../src/protocol/bytes/octets.js';
import { answerMobility } from '../../src/protocol/diameter/mip6/mobility.js';
import { DEA } from '../../src/protocol/diameter/wire/commands.js';
import { isViolation } from '../../src/protocol/diameter/wire/grammar.js';
import type { EapKeys } from '../../src/protocol/eap/keys.js';
import { plainSubscriber } from '../../src/protocol/home/records.js';
import { CAPABILITY } from '../../src/protocol/mip6/assignment.js';
import type { Store } from '../../src/store/store.js';
import { grammarian } from '../protocol/diameter/messages.js';
import { stopNodes } from '../runtime/diameter/rig.js';
import { clientCredentials, makePki, SUBSCRIBER, type TestPki } from '../runtime/eap/eap-run.js';
import { StoreUser } from '../store/fixtures.js';
import { openStore } from '../store/open-store.js';
import { Application, resultOf } from './application-rig.js';

const PAA = 'paa.example';
const { MIP6, HOME_HA, HOA_ASSIGN, IKEV1_PSK, PSK_FROM_EMSK } = CAPABILITY;
const PLAIN = MIP6 | HOME_HA | HOA_ASSIGN | IKEV1_PSK;

let pki: TestPki;
let folder: string;
let store: Store;
let there: Application | undefined;

beforeAll(async () => {
  pki = await makePki('p256');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-emsk-'));
  store = await openStore(join(folder, 'store.db'));
  await new StoreUser(() => store).addAgent(1, { ike: ['ikev1', 'ikev2'] });
});

afterEach(async () => {
  await stopNodes();
  await there?.stop();
  there = undefined;
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs one bootstrap; returns the key that the home agent gets, and the assignment and TLS keys of the node. */
async function bootstrap(wish: number, pskRoot?: 'msk' | 'emsk') {
  await store.run('addSubscriber', { subscriber: { ...plainSubscriber(SUBSCRIBER), pskRoot } });
  const keys: EapKeys[] = [];
  const hooks: (string | undefined)[] = [];
  there = await new Application({
    pki,
    paas: [PAA],
    store: { run: store.run.bind(store), administer: store.administer.bind(store), close: () => Promise.resolve() },
    onKeys: (made) => keys.push(made),
    onHook: (_event, _lease, key) => {
      hooks.push(key && toHex(key.psk.octets()));
      return Promise.resolve(true);
    },
  }).start();
  const credentials = clientCredentials(pki);
  const more = { 'Mobility-Capability': wish };
  expect(await there.enter(PAA, '2001:db8:2::1', credentials, there.newSession(PAA), more)).toBe(2001);
  const [grant] = there.answers.filter((answer) => resultOf(answer) === 2001);
  const dea = grant && grammarian.read(DEA, grant);
  if (!dea || isViolation(dea)) throw new Error('no valid DEA');
  const context = { wish, local: undefined, ikeIdentity: undefined, lifetime: undefined };
  return { dea, keys: keys[0], hooks, assignment: answerMobility(dea, context)?.assignment };
}

describe('The root of the IKE pre-shared key', () => {
  it.each([
    ['emsk', PLAIN | PSK_FROM_EMSK],
    ['msk', PLAIN],
  ] as const)('is the %s at node and home agent, and the answer contains the MSK only', async (root, wish) => {
    const { dea, keys, hooks, assignment } = await bootstrap(wish);
    if (!keys || !assignment) throw new Error('no assignment');
    expect(refusal(assignment, root)).toBeUndefined();
    expect(refusal(assignment, root === 'msk' ? 'emsk' : 'msk')).toBeDefined();
    expect(hooks).toEqual([toHex(pskOf(assignment, keys, root).octets())]);
    const inAnswer = dea['EAP-Master-Session-Key'];
    expect(toHex(inAnswer?.octets() ?? new Uint8Array(0))).toBe(toHex(keys.msk.octets()));
    // The access network knows the MSK, so it must be possible to derive the IKE key from the MSK only if the MSK is
    // the root.
    const fromMsk = toHex(pskOf(assignment, keys, 'msk').octets());
    expect(hooks.includes(fromMsk)).toBe(root === 'msk');
  });

  it.each([
    ['a node that wants the EMSK', PLAIN | PSK_FROM_EMSK, 'msk'],
    ['a node that wants the MSK', PLAIN, 'emsk'],
  ] as const)(
    "must match the subscriber's setting, otherwise no home agent is assigned: %s",
    async (_what, wish, root) => {
      const { hooks, assignment } = await bootstrap(wish, root);
      expect(hooks).toEqual([]);
      expect(assignment).toBeUndefined();
    },
  );
});
