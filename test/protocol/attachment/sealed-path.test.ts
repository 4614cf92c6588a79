import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openReceived, type Privacy, type RunKeys, refusal } from '../../../src/protocol/attachment/binding.js';
import { parseAddress } from '../../../src/protocol/bytes/address.js';
import { encodeUtf8, toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { agentInfo, answerMobility } from '../../../src/protocol/diameter/mip6/mobility.js';
import { encodeDiameter } from '../../../src/protocol/diameter/wire/codec.js';
import { DEA } from '../../../src/protocol/diameter/wire/commands.js';
import { isViolation, type Message } from '../../../src/protocol/diameter/wire/grammar.js';
import type { EapSuccess } from '../../../src/protocol/home/alphabet.js';
import { DiameterAccess } from '../../../src/protocol/home/diameter/access.js';
import { writeAnswer } from '../../../src/protocol/home/radius/access.js';
import { plainSubscriber, type Subscriber } from '../../../src/protocol/home/records.js';
import { CAPABILITY, type MobilityAssignment } from '../../../src/protocol/mip6/assignment.js';
import { readAccessAnswer } from '../../../src/protocol/nas/radius/access.js';
import { decodePana, encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../../../src/protocol/pana/wire/codec.js';
import { makeAvp, readPana } from '../../../src/protocol/pana/wire/dictionary.js';
import { mobilityAvps, readAssignment, sealedAvps } from '../../../src/protocol/pana/wire/mobility.js';
import { CODE } from '../../../src/protocol/radius/wire/codec.js';
import { der, grammarian } from '../diameter/messages.js';
import { HomeRig, home, NONE, PAA } from '../home/home-rig.js';
import { clientOf, VENDOR } from '../home/radius/radius-rig.js';

const { MIP6, HOME_HA, HOA_ASSIGN, IKEV1_PSK, IKEV2_PSK, PSK_FROM_EMSK, SEALED, ECHO, LOCAL_HA } = CAPABILITY;
const WISH = MIP6 | HOME_HA | HOA_ASSIGN | IKEV1_PSK | IKEV2_PSK | PSK_FROM_EMSK | SEALED;

type Transport = 'Diameter' | 'RADIUS';
type Answer = Message<typeof DEA>;

/** One authentication of a node: its keys at both ends, and the assignment as the AAA server sends it. */
interface Run {
  readonly keys: RunKeys;
  readonly answer: Answer;
  /** The whole answer on the wire, without the keys in it. */
  readonly octets: Uint8Array;
}

const ORIGIN = { host: 'aaa.home.example', realm: 'home.example' };
const hiding = { secret: Secret.take(encodeUtf8('between the two')), requestAuthenticator: new Uint8Array(16) };

/** A node authenticates; `seed` makes its keys. `wish`: Mobility-Capability as the AAA server receives it. */
function authenticate(transport: Transport, wish = WISH, seed = 2, subscriber: Partial<Subscriber> = {}): Run {
  const rig = new HomeRig({ hookWait: 0 });
  const own = (): Pick<EapSuccess, 'emsk' | 'sessionId'> => ({
    emsk: Secret.take(new Uint8Array(64).fill(seed)),
    sessionId: new Uint8Array(65).fill(seed),
  });
  const token = rig.succeed(
    's',
    { wish: { bits: wish, local: undefined } },
    { ...own(), subscriber: { ...plainSubscriber('mn@home.example'), ...subscriber } },
  );
  const [{ wish: asked } = { wish: undefined }] = rig.asked('bootstrap');
  rig.stored('bootstrap', asked === undefined ? NONE : home('s'));
  const answer = rig.answerTo(token);
  if (answer?.type !== 'accept') throw new Error('not accepted');
  const keys = { msk: Secret.take(new Uint8Array(64).fill(1)), ...own() };
  if (transport === 'Diameter') {
    const access = new DiameterAccess(grammarian, { origin: ORIGIN, originStateId: 1, sharedStore: false });
    const written = access.write(der(PAA), answer);
    if (isViolation(written)) throw new Error(written.text);
    const content = grammarian.read(DEA, written);
    if (isViolation(content)) throw new Error(content.text);
    return { keys, answer: content, octets: encodeDiameter(written) };
  }
  const client = clientOf('ap1', ['192.0.2.0/24'], { secret: hiding.secret });
  const request = { code: CODE['Access-Request'], identifier: 1, authenticator: new Uint8Array(16), attributes: [] };
  const context = { client, request, sessionId: 's', salt: 1 };
  const written = writeAnswer(answer, context, { clients: [client], vendorId: VENDOR, realm: 'home.example' });
  if (!written) throw new Error('no answer');
  const { content } = readAccessAnswer({ ...request, ...written }, hiding, VENDOR);
  const octets = Buffer.concat(written.attributes.map(({ value }) => value));
  return { keys, answer: { ...content, 'Origin-Host': ORIGIN.host } as Answer, octets };
}

/** What the PAA does with an answer, and what the node makes of the PAR[C]. */
interface Path {
  /** Mobility-Capability as the node sent it. */
  readonly wish?: number;
  readonly privacy?: Privacy;
  /** The PAA alters the answer. */
  readonly answer?: (answer: Answer) => Answer;
  /** The PAA alters the AVPs of PAR[C]. */
  readonly avps?: (avps: readonly PanaAvp[]) => readonly PanaAvp[];
}

interface Arrival {
  readonly assignment: MobilityAssignment | undefined;
  readonly problem: string | undefined;
  /** PAR[C]. */
  readonly octets: Uint8Array;
}

function arrive(run: Run, { wish = WISH, privacy = 'required', answer, avps }: Path = {}): Arrival {
  const answered = answerMobility(answer?.(run.answer) ?? run.answer, {
    wish,
    local: undefined,
    ikeIdentity: undefined,
    lifetime: undefined,
  });
  const honest = answered?.sealed
    ? sealedAvps(answered.sealed, VENDOR)
    : answered?.assignment
      ? mobilityAvps(answered.assignment, VENDOR)
      : [];
  const message = { type: MESSAGE_TYPE.AUTH, flags: FLAG.R | FLAG.C, sessionId: 1, sequence: 2 };
  const octets = encodePana({ ...message, avps: [...(avps?.(honest) ?? honest)] });
  const values = readPana(decodePana(octets), VENDOR);
  if (typeof values === 'string') throw new Error(values);
  const value = values['MIP6-Sealed-Assignment'];
  const read = value ? undefined : readAssignment(values);
  const received = {
    assignment: typeof read === 'string' ? undefined : read,
    sealed: value && { value, wish },
    problem: typeof read === 'string' ? read : undefined,
  };
  return { ...openReceived(received, run.keys, privacy), octets };
}

const CHANGED = 'sealed assignment: it, or the request for it, was changed on the way';
const OTHER = 'sealed assignment: it belongs to another authentication';
const UNSEALED = 'it is not sealed, which mobility.privacy requires';
const address = (text: string) => parseAddress(text) ?? new Uint8Array();

const FORGED: MobilityAssignment = {
  capability: WISH,
  homeAgent: address('2001:db8:bad::1'),
  homeAddress: address('2001:db8:bad::2'),
  prefix: undefined,
  host: 'ha.access.example',
  ikeIdentity: undefined,
  lifetime: undefined,
};

describe.each<Transport>(['Diameter', 'RADIUS'])('a sealed assignment over %s', (transport) => {
  it('reaches the node, and shows neither home agent nor home address on its way', () => {
    const run = authenticate(transport);
    const { assignment, problem, octets } = arrive(run);
    expect(problem).toBeUndefined();
    expect(assignment).toMatchObject({
      capability: MIP6 | HOME_HA | HOA_ASSIGN | IKEV2_PSK | PSK_FROM_EMSK | SEALED,
      homeAgent: address('2001:db8:1::1'),
      homeAddress: address('2001:db8:1::77'),
      host: 'ha1.home.example',
      ikeIdentity: 'mn@home.example',
      lifetime: 3600,
    });
    expect(assignment && refusal(assignment, 'emsk')).toBeUndefined();
    for (const seen of [run.octets, octets]) {
      expect(toHex(seen)).not.toContain('20010db80001');
      expect(Buffer.from(seen).toString('latin1')).not.toContain('ha1.home.example');
    }
    // The same without a seal is seen.
    expect(toHex(authenticate(transport, WISH & ~SEALED).octets)).toContain('20010db80001');
  });

  it('names the home agent only if the home address comes by IKEv2', () => {
    const wish = WISH & ~(HOA_ASSIGN | IKEV1_PSK);
    const { assignment, problem } = arrive(authenticate(transport, wish, 2, { ikev2HomeAddress: true }), { wish });
    expect(problem).toBeUndefined();
    expect(assignment).toMatchObject({
      capability: MIP6 | HOME_HA | IKEV2_PSK | PSK_FROM_EMSK | SEALED,
      homeAgent: address('2001:db8:1::1'),
      homeAddress: undefined,
    });
  });

  it('is required by a subscriber: a PAA that removes the request learns no home agent', () => {
    const run = authenticate(transport, WISH & ~SEALED, 2, { privacy: 'required' });
    expect(toHex(run.octets)).not.toContain('20010db80001');
    expect(arrive(run).assignment).toBeUndefined();
    expect(arrive(authenticate(transport, WISH, 2, { privacy: 'required' })).problem).toBeUndefined();
  });

  it('is requested of any AAA server by the same wish, with ECHO or without', () => {
    expect(arrive(authenticate(transport), { wish: WISH | ECHO }).problem).toBeUndefined();
  });

  it('with one octet changed by the PAA is not used', () => {
    const run = authenticate(transport);
    const length = run.answer['MIP6-Sealed-Assignment']?.length ?? 0;
    expect(length).toBe(1 + 8 + 12 + 256 + 16);
    fc.assert(
      fc.property(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const alter = (answer: Answer): Answer => {
          const value = answer['MIP6-Sealed-Assignment']?.slice() ?? new Uint8Array();
          value[at] = (value[at] ?? 0) ^ change;
          return { ...answer, 'MIP6-Sealed-Assignment': value };
        };
        const { assignment, problem } = arrive(run, { answer: alter, privacy: 'wanted' });
        expect([assignment, problem]).toEqual([undefined, expect.stringMatching(/^sealed assignment: /)]);
      }),
    );
  });

  it('that the PAA strips is missed', () => {
    const run = authenticate(transport);
    expect(arrive(run, { avps: () => [] })).toMatchObject({ assignment: undefined });
    const { 'MIP6-Sealed-Assignment': _, ...rest } = run.answer;
    expect(arrive(run, { answer: () => rest as Answer })).toMatchObject({ assignment: undefined });
  });

  it('cannot be replaced by one of the PAA', () => {
    const run = authenticate(transport);
    const forge = () => mobilityAvps(FORGED, VENDOR);
    expect(arrive(run, { avps: forge })).toMatchObject({ assignment: undefined, problem: UNSEALED });
    // A node that only wants it takes it, and reports that it was not sealed. The key of the PAA is not that of the node.
    expect(arrive(run, { avps: forge, privacy: 'wanted' }).assignment).toMatchObject({ homeAgent: FORGED.homeAgent });
  });

  it('is not overridden by an assignment of the PAA beside it', () => {
    const run = authenticate(transport);
    const both = (avps: readonly PanaAvp[]) => [...avps, ...mobilityAvps(FORGED, VENDOR).slice(1)];
    expect(arrive(run, { avps: both }).assignment).toMatchObject({ homeAgent: address('2001:db8:1::1') });
    const broken = (avps: readonly PanaAvp[]) =>
      both(avps).map((avp) => (avp.code === 1009 ? makeAvp('MIP6-Sealed-Assignment', new Uint8Array(293)) : avp));
    expect(arrive(run, { avps: broken, privacy: 'wanted' })).toMatchObject({ assignment: undefined });
    const info = [agentInfo({ ...FORGED, host: undefined })];
    const inAnswer = (answer: Answer): Answer => ({ ...answer, 'MIP6-Agent-Info': info });
    expect(arrive(run, { answer: inAnswer }).assignment).toMatchObject({ homeAgent: address('2001:db8:1::1') });
  });

  it('of an earlier authentication of the node is refused', () => {
    const [before, now] = [authenticate(transport, WISH, 5), authenticate(transport, WISH, 6)];
    expect(arrive(now, { answer: () => before.answer })).toMatchObject({ assignment: undefined, problem: OTHER });
  });

  it('of another node is refused, also under the name of the authentication', () => {
    const [one, two] = [authenticate(transport, WISH, 5), authenticate(transport, WISH, 6)];
    expect(arrive(one, { answer: () => two.answer })).toMatchObject({ problem: OTHER });
    expect(arrive(two, { answer: () => one.answer })).toMatchObject({ problem: OTHER });
    const renamed = (answer: Answer): Answer => {
      const value = two.answer['MIP6-Sealed-Assignment']?.slice() ?? new Uint8Array();
      value.set(answer['MIP6-Sealed-Assignment']?.subarray(1, 9) ?? [], 1);
      return { ...answer, 'MIP6-Sealed-Assignment': value };
    };
    expect(arrive(one, { answer: renamed })).toMatchObject({ problem: CHANGED });
  });

  it.each([
    ['IKEv2 left out', WISH & ~IKEV2_PSK],
    ['no preference', WISH & ~HOME_HA],
    ['a local home agent', (WISH & ~HOME_HA) | LOCAL_HA],
    ['the key from the MSK, but sealed', WISH & ~PSK_FROM_EMSK],
    ['a bit more', WISH | 0x8000_0000],
  ])('for a wish that the PAA changed to %s is refused', (_what, wish) => {
    const run = authenticate(transport, wish >>> 0);
    expect(arrive(run, { privacy: 'wanted' })).toMatchObject({ assignment: undefined, problem: CHANGED });
  });

  it('is missed when the PAA removes the wish for the seal', () => {
    const run = authenticate(transport, WISH & ~SEALED);
    expect(arrive(run)).toMatchObject({ assignment: undefined, problem: UNSEALED });
    // Then the root is still the EMSK, which the PAA does not have.
    const { assignment } = arrive(run, { privacy: 'wanted' });
    expect(assignment && refusal(assignment, 'emsk')).toBeUndefined();
    const weaker = arrive(authenticate(transport, WISH & ~SEALED & ~PSK_FROM_EMSK), { privacy: 'wanted' });
    expect(weaker.assignment && refusal(weaker.assignment, 'emsk')).toContain('from the MSK');
  });

  it('is not forwarded to a node that did not request it, which would discard the message', () => {
    const run = authenticate(transport);
    const answered = answerMobility(run.answer, {
      wish: WISH & ~SEALED,
      local: undefined,
      ikeIdentity: undefined,
      lifetime: undefined,
    });
    expect(answered).toEqual({ problem: 'sealed assignment: the node did not request it' });
  });

  it('of an excessive length is left out by the PAA', () => {
    const run = authenticate(transport);
    const long = (answer: Answer): Answer => ({ ...answer, 'MIP6-Sealed-Assignment': new Uint8Array(2049) });
    expect(arrive(run, { answer: long })).toMatchObject({ assignment: undefined });
    expect(arrive(run, { answer: long }).octets).toHaveLength(16);
  });
});
