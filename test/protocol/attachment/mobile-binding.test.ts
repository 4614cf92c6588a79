import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BindingInput,
  type BindingOutput,
  MobileBinding,
  type Place,
} from '../../../src/protocol/attachment/mobile-binding.js';
import { formatAddress } from '../../../src/protocol/bytes/address.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { derivePsk } from '../../../src/protocol/keys/kdf.js';
import { CAPABILITY, type MobilityAssignment } from '../../../src/protocol/mip6/assignment.js';

const HOME_AGENTS = [1, 2].map((last) => Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), last));
const KEYS = {
  msk: Secret.take(new Uint8Array(64).fill(1)),
  emsk: Secret.take(new Uint8Array(64).fill(2)),
  sessionId: new Uint8Array(65),
};
const HERE: Place = { sessionId: 1, careOfAddress: '2001:db8::5' };
const THERE: Place = { sessionId: 2, careOfAddress: '2001:db8::6' };

function assignmentOf(agent: number, capability = 0): MobilityAssignment {
  const none = { homeAddress: undefined, prefix: undefined, host: undefined, ikeIdentity: 'mn', lifetime: undefined };
  return { capability, homeAgent: HOME_AGENTS[agent - 1] ?? new Uint8Array(16), ...none };
}

type Authorized = Extract<BindingInput, { type: 'authorized' }>;
const authorized = (agent: number | undefined, more: Partial<Authorized> = {}): Authorized => ({
  type: 'authorized',
  place: HERE,
  sealed: undefined,
  problem: undefined,
  keys: KEYS,
  reconfigure: false,
  assignment: agent === undefined ? undefined : assignmentOf(agent),
  ...more,
});

/** An output as text: its type, the home agent and the session. */
function lineOf(output: BindingOutput): string {
  if (output.type === 'unavailable') return `unavailable: ${output.reason}`;
  const agent = output.binding ? ` ${formatAddress(output.binding.assignment.homeAgent)}` : '';
  if (output.type !== 'hook') return `${output.type}${agent}`;
  return `hook ${output.event}${agent} session ${output.place.sessionId}${output.psk ? ' with key' : ''}`;
}

/** Steps a machine in virtual time. Returns the outputs of each input and tick as text. */
function ladder(inputs: readonly (readonly [at: number, input: BindingInput])[], until: number): string[] {
  const machine = new MobileBinding({ mode: 'wanted', root: 'msk', privacy: 'off' });
  const lines: string[] = [];
  const step = (now: number, input: BindingInput) => {
    for (const output of machine.handle(input, now)) lines.push(`${now} ${lineOf(output)}`);
  };
  const ticksUntil = (now: number) => {
    for (let due = machine.deadline; due !== undefined && due <= now; due = machine.deadline)
      step(due, { type: 'tick' });
  };
  for (const [at, input] of inputs) {
    ticksUntil(at);
    step(at, input);
  }
  ticksUntil(until);
  return lines;
}

describe('MobileBinding', () => {
  it('runs the hooks of each change: completed, refreshed, moved, kept, expired, and completed again', () => {
    const lines = ladder(
      [
        [0, authorized(1)],
        [10, authorized(1)],
        [20, { type: 'moved', place: THERE, settling: false }],
        [30, { type: 'kept', place: THERE, until: 130 }],
        [129, authorized(1, { place: THERE })],
        [200, { type: 'kept', place: THERE, until: 300 }],
        [400, authorized(2, { reconfigure: true })],
        [410, authorized(1)],
        [420, { type: 'withdrawn', place: HERE }],
      ],
      1_000,
    );
    expect(lines).toEqual([
      '0 completed 2001:db8::1',
      '0 hook up 2001:db8::1 session 1 with key',
      '10 refreshed 2001:db8::1',
      '10 hook refresh 2001:db8::1 session 1 with key',
      '20 hook move 2001:db8::1 session 2',
      '129 refreshed 2001:db8::1',
      '129 hook refresh 2001:db8::1 session 2 with key',
      '300 withdrawn 2001:db8::1',
      '300 hook down 2001:db8::1 session 2',
      '400 completed 2001:db8::2',
      '400 hook up 2001:db8::2 session 1 with key',
      '400 hook reconfigure 2001:db8::2 session 1',
      '410 withdrawn 2001:db8::2',
      '410 hook down 2001:db8::2 session 1',
      '410 completed 2001:db8::1',
      '410 hook up 2001:db8::1 session 1 with key',
      '420 withdrawn 2001:db8::1',
      '420 hook down 2001:db8::1 session 1',
    ]);
  });

  const FROM_EMSK = { assignment: assignmentOf(1, CAPABILITY.PSK_FROM_EMSK) };
  it.each<[string, Authorized, string]>([
    ['no assignment', authorized(undefined), 'none was assigned'],
    ['no key', authorized(1, { keys: undefined }), 'none was assigned'],
    ['an unusable assignment', authorized(undefined, { problem: 'home agent: bad' }), 'home agent: bad'],
    ['another root', authorized(1, FROM_EMSK), 'its key comes from the EMSK, but mobility.psk-root is msk'],
  ])('ends when a session has %s', (_name, input, reason) => {
    const lines = ladder(
      [
        [0, authorized(2)],
        [10, input],
      ],
      20,
    );
    expect(lines.slice(2)).toEqual([
      `10 unavailable: ${reason}`,
      '10 withdrawn 2001:db8::2',
      '10 hook down 2001:db8::2 session 1',
    ]);
  });

  it('does not report a missing assignment if the mode is off', () => {
    const machine = new MobileBinding({ mode: 'off', root: 'msk', privacy: 'off' });
    expect(machine.handle(authorized(undefined), 0)).toEqual([]);
  });

  it('does not wipe the keys of the session, and gives each hook its own copy of the key', () => {
    const machine = new MobileBinding({ mode: 'wanted', root: 'msk', privacy: 'off' });
    const psks = [0, 10].map((now) => {
      const hook = machine.handle(authorized(1), now).find(({ type }) => type === 'hook');
      return hook?.type === 'hook' ? hook.psk : undefined;
    });
    psks[0]?.wipe();
    const expected = derivePsk(KEYS.msk, assignmentOf(1).homeAgent, undefined).octets();
    expect([psks[1]?.octets(), KEYS.msk.isWiped]).toEqual([expected, false]);
  });

  it.each<BindingInput>([
    { type: 'moved', place: HERE, settling: false },
    { type: 'settled' },
    { type: 'kept', place: HERE, until: 5 },
    { type: 'withdrawn', place: HERE },
    { type: 'tick' },
  ])('ignores $type when there is no binding', (input) => {
    const machine = new MobileBinding({ mode: 'wanted', root: 'msk', privacy: 'off' });
    expect([machine.handle(input, 10), machine.deadline, machine.binding]).toEqual([[], undefined, undefined]);
  });

  it('runs up and down in turn for any inputs, and expires at its deadline', () => {
    const input = fc.oneof(
      fc.constantFrom(1, 2, undefined).map((agent) => authorized(agent)),
      fc.nat(100).map((until): BindingInput => ({ type: 'kept', place: HERE, until })),
      fc.constantFrom<BindingInput>(
        { type: 'moved', place: HERE, settling: false },
        { type: 'moved', place: HERE, settling: true },
        { type: 'settled' },
        { type: 'withdrawn', place: HERE },
        { type: 'tick' },
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20), input)), (steps) => {
        const machine = new MobileBinding({ mode: 'wanted', root: 'msk', privacy: 'off' });
        let now = 0;
        let isUp = false;
        for (const [wait, each] of steps) {
          now += wait;
          const due = machine.deadline !== undefined && machine.deadline <= now;
          for (const output of machine.handle(each, now)) {
            if (output.type !== 'hook') continue;
            expect(isUp || output.event === 'up').toBe(true);
            if (output.event === 'up') expect(isUp).toBe(false);
            if (output.event === 'up' || output.event === 'down') isUp = output.event === 'up';
          }
          if (each.type === 'tick' && due) expect(isUp).toBe(false);
          expect(machine.binding !== undefined).toBe(isUp);
        }
      }),
    );
  });
});

describe('A home agent that DHCPv6 or DNS names', () => {
  const found = (agent: number, place = HERE, source: 'dhcpv6' | 'dns' = 'dns'): BindingInput => {
    return { type: 'found', source, place, assignment: assignmentOf(agent) };
  };

  it('is used without a key, follows the node, and ends when it is not named any more', () => {
    const lines = ladder(
      [
        [0, found(1)],
        [10, found(1)],
        [20, found(1, THERE)],
        [30, found(1, THERE)],
        [40, found(2, THERE)],
        [50, { type: 'notFound', place: THERE }],
        [60, { type: 'notFound', place: THERE }],
      ],
      100,
    );
    expect(lines).toEqual([
      '0 completed 2001:db8::1',
      '0 hook up 2001:db8::1 session 1',
      '20 hook move 2001:db8::1 session 2',
      '40 withdrawn 2001:db8::1',
      '40 hook down 2001:db8::1 session 2',
      '40 completed 2001:db8::2',
      '40 hook up 2001:db8::2 session 2',
      '50 withdrawn 2001:db8::2',
      '50 hook down 2001:db8::2 session 2',
    ]);
  });

  it('gives way to one that PANA assigns, even the same, and changes nothing while the node has that', () => {
    const lines = ladder(
      [
        [0, found(1)],
        [10, authorized(1)],
        [20, found(2)],
        [30, { type: 'notFound', place: HERE }],
        [40, { type: 'kept', place: HERE, until: 60 }],
        [50, found(2)],
        [70, found(2)],
      ],
      100,
    );
    expect(lines).toEqual([
      '0 completed 2001:db8::1',
      '0 hook up 2001:db8::1 session 1',
      '10 withdrawn 2001:db8::1',
      '10 hook down 2001:db8::1 session 1',
      '10 completed 2001:db8::1',
      '10 hook up 2001:db8::1 session 1 with key',
      '60 withdrawn 2001:db8::1',
      '60 hook down 2001:db8::1 session 1',
      '70 completed 2001:db8::2',
      '70 hook up 2001:db8::2 session 1',
    ]);
  });

  it.each([
    ['dhcpv6', 'stays with a session that assigns none, and without a session', []],
    [
      'dns',
      'ends with a session, because access is not free',
      ['10 withdrawn 2001:db8::1', '10 hook down 2001:db8::1 session 1'],
    ],
  ] as const)('from %s %s', (source, _, ended) => {
    const lines = ladder(
      [
        [0, found(1, HERE, source)],
        [10, authorized(undefined)],
        [20, { type: 'kept', place: HERE, until: 30 }],
        [40, { type: 'withdrawn', place: HERE }],
      ],
      50,
    );
    expect(lines.slice(2)).toEqual(['10 unavailable: none was assigned', ...ended]);
  });

  it('ends when the node stops', () => {
    const lines = ladder(
      [
        [0, found(1)],
        [10, { type: 'withdrawn', place: HERE, stopping: true }],
      ],
      20,
    );
    expect(lines.slice(2)).toEqual(['10 withdrawn 2001:db8::1', '10 hook down 2001:db8::1 session 1']);
  });

  it('is not used if Mobile IPv6 is off', () => {
    expect(new MobileBinding({ mode: 'off', root: 'msk', privacy: 'off' }).handle(found(1), 0)).toEqual([]);
  });
});
