import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../../src/protocol/bytes/address.js';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import { DhcpRelay, MAX_RELAYED } from '../../../../src/protocol/dhcpv6/relay/relay.js';
import {
  decodeRelayMessage,
  encodeClientMessage,
  encodeRelayMessage,
  MESSAGE,
  OPTION,
  onlyOption,
} from '../../../../src/protocol/dhcpv6/wire/codec.js';
import { runs } from '../../../seed.js';
import { INFORMATION_REQUEST, RELAY_FORWARD, RELAY_REPLY, REPLY } from '../wire/vectors.js';
import {
  ASSIGNMENT,
  CLIENT,
  CLIENT_GLOBAL,
  CONFIG,
  MAC,
  OTHER_SERVER,
  octetsOf,
  RELAY,
  RelayRig,
  SERVER,
} from './relay-rig.js';

describe('A message of a client', () => {
  it('goes to every server with the interface and the home network of its session', () => {
    const rig = new RelayRig({ servers: [SERVER, OTHER_SERVER] });
    rig.authorize(1, CLIENT);
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.types).toEqual(['send', 'send', 'forwarded']);
    expect(rig.all('send').map(({ to }) => to)).toEqual([
      { address: SERVER, port: 547 },
      { address: OTHER_SERVER, port: 547 },
    ]);
    const { forward, supplied } = rig;
    expect([forward.type, forward.hopCount]).toEqual([MESSAGE['RELAY-FORW'], 0]);
    expect(formatAddress(forward.linkAddress)).toBe('2001:db8:a::1');
    expect(formatAddress(forward.peerAddress)).toBe('fe80::cac:b4ff:fe71:e27c');
    expect(toHex(onlyOption(forward.options, OPTION.INTERFACE_ID) ?? new Uint8Array())).toMatch(
      /^61723000[0-9a-f]{16}$/,
    );
    expect(onlyOption(forward.options, OPTION.RELAY_MSG)).toEqual(INFORMATION_REQUEST);
    expect(supplied).toEqual({
      prefixes: [ASSIGNMENT.prefix],
      agents: [ASSIGNMENT.homeAgent],
      hosts: ['ha1.home.example'],
    });
    expect(rig.all('forwarded')).toEqual([
      { type: 'forwarded', messageType: 11, address: CLIENT, supplied: 'home-network', sessionId: 1 },
    ]);
  });

  it('without any session goes at once, and without home network information', () => {
    const rig = new RelayRig();
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.types).toEqual(['send', 'forwarded']);
    expect([rig.supplied, rig.all('forwarded')[0]?.supplied]).toEqual([undefined, 'no-session']);
    expect([rig.machine.waiting, rig.machine.deadline]).toEqual([0, undefined]);
  });

  it('from another address of an authorized client is recognized by its MAC address', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT_GLOBAL, MAC);
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.outputs).toEqual([{ type: 'solicit', address: CLIENT }]);
    expect(rig.machine.deadline).toBe(1_020);
    rig.pass();
    expect(rig.types).toEqual(['readNeighbours']);
    rig.neighbours({ [CLIENT_GLOBAL]: MAC, 'fe80::cac:b4ff:fe71:e27c': MAC });
    expect(rig.supplied?.agents).toEqual([ASSIGNMENT.homeAgent]);
    expect([rig.machine.waiting, rig.machine.deadline]).toEqual([0, undefined]);
  });

  it('of a stranger waits at most 800 ms for its MAC address, and goes without home network information', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT_GLOBAL, MAC);
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    const times = [];
    while (rig.machine.waiting > 0) {
      rig.pass();
      times.push(rig.now);
      rig.neighbours({ [CLIENT_GLOBAL]: MAC });
    }
    expect(times).toEqual([1_020, 1_150, 1_400, 1_800]);
    expect([rig.supplied, rig.all('forwarded')[0]?.supplied]).toEqual([undefined, 'no-session']);
    expect(rig.machine.deadline).toBeUndefined();
  });

  it('with a MAC address of no session goes without home network information', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT_GLOBAL, MAC);
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    rig.neighbours({ [CLIENT_GLOBAL]: MAC, 'fe80::cac:b4ff:fe71:e27c': '02:00:00:00:00:01' });
    expect([rig.supplied, rig.all('forwarded')[0]?.supplied]).toEqual([undefined, 'no-session']);
  });

  it('gets nothing of a client whose address got the MAC address of the sender later', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT_GLOBAL, MAC);
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    const thief = '02:00:00:00:00:66';
    rig.neighbours({ [CLIENT_GLOBAL]: thief, 'fe80::cac:b4ff:fe71:e27c': thief });
    expect(rig.supplied).toBeUndefined();
  });

  it.each([
    ['has ended', (rig: RelayRig) => rig.feed({ type: 'gone', sessionId: 1 })],
    ['has moved away', (rig: RelayRig) => rig.feed({ type: 'moved', sessionId: 1, address: '2001:db8:a::99' })],
  ])('gets nothing of a session that %s', (_, change) => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT, MAC);
    change(rig);
    rig.authorize(2, '2001:db8:a::22', '02:00:00:00:00:22', 'mn2');
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    rig.neighbours({ 'fe80::cac:b4ff:fe71:e27c': MAC });
    expect([rig.supplied, rig.all('forwarded')[0]?.supplied]).toEqual([undefined, 'no-session']);
  });

  it('gets the assignment of the newest session of its user, and nothing if users differ', () => {
    const rig = new RelayRig();
    const other = { ...ASSIGNMENT, homeAgent: octetsOf('2001:db8:2::1') };
    rig.authorize(1, CLIENT);
    rig.authorize(2, CLIENT, undefined, 'mn1', other);
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.supplied?.agents).toEqual([other.homeAgent]);
    rig.authorize(3, CLIENT, undefined, 'mn2');
    rig.datagram(INFORMATION_REQUEST);
    expect([rig.supplied, rig.all('forwarded')[0]?.supplied]).toEqual([undefined, 'ambiguous']);
  });

  it('gets what the last authorization assigned', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT, MAC);
    rig.feed({ type: 'client', client: { sessionId: 1, address: CLIENT, user: 'mn1', assignment: undefined } });
    expect(rig.outputs).toEqual([]);
    rig.datagram(INFORMATION_REQUEST);
    expect([rig.supplied, rig.all('forwarded')[0]?.supplied]).toEqual([undefined, 'no-home-agent']);
  });

  it('does not bring a name that is none, nor an IPv4 address', () => {
    const rig = new RelayRig();
    const odd = { ...ASSIGNMENT, host: `${'a'.repeat(64)}.example`, homeAgent: Uint8Array.of(192, 0, 2, 1) };
    rig.authorize(1, CLIENT, MAC, 'mn1', odd);
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.supplied).toEqual({ prefixes: [ASSIGNMENT.prefix], agents: [], hosts: [] });
  });

  it('may be of any type that is not only for servers', () => {
    for (let type = 0; type < 256; type += 1) {
      const rig = new RelayRig();
      rig.datagram(RelayRig.typed(type));
      expect(rig.reason, String(type)).toBe([2, 7, 10, 12, 13].includes(type) ? 'unexpected' : undefined);
    }
  });

  it.each([
    [OPTION.RSOO, 'relay-option'],
    [OPTION.RELAY_MSG, 'relay-option'],
    [OPTION.INTERFACE_ID, 'relay-option'],
    [OPTION.MIP6_IDINF, undefined],
  ])('with option %i: %s', (code, reason) => {
    const rig = new RelayRig();
    rig.datagram(encodeClientMessage({ type: 11, transactionId: 1, options: [{ code, value: new Uint8Array() }] }));
    expect(rig.reason).toBe(reason);
  });

  it('that is too long with the options of the relay agent is dropped', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT);
    rig.datagram(INFORMATION_REQUEST);
    const [{ octets } = { octets: new Uint8Array() }] = rig.all('send');
    const room = MAX_RELAYED - octets.length + INFORMATION_REQUEST.length - 8;
    const sized = (length: number) =>
      encodeClientMessage({ type: 11, transactionId: 1, options: [{ code: 15, value: new Uint8Array(length) }] });
    rig.datagram(sized(room));
    expect(rig.all('send')[0]?.octets).toHaveLength(MAX_RELAYED);
    rig.datagram(sized(room + 1));
    expect(rig.reason).toBe('too-long');
  });

  it.each(['2001:db8:a::66', 'fe80::66%eth9', 'fe80::66', '::1', '192.0.2.1'])(
    'from %s is not one of the access link',
    (address) => {
      const rig = new RelayRig();
      rig.datagram(INFORMATION_REQUEST, { address });
      expect(rig.outputs).toEqual([{ type: 'dropped', reason: 'unknown-source', address }]);
    },
  );
});

describe('An answer of a server', () => {
  const asked = (config = {}) => {
    const rig = new RelayRig(config);
    rig.datagram(INFORMATION_REQUEST);
    return rig;
  };

  it('goes to port 546 of the client', () => {
    const rig = asked();
    rig.datagram(rig.replyTo(REPLY), { address: SERVER, port: 547 });
    expect(rig.outputs).toEqual([
      { type: 'send', octets: REPLY, to: { address: CLIENT, port: 546 } },
      { type: 'delivered', messageType: 7, address: CLIENT, server: SERVER },
    ]);
  });

  it.each([
    ['another source', 'unknown-source', (rig: RelayRig) => [rig.replyTo(REPLY), '2001:db8:f::66'] as const],
    ['no relay agent header', 'unexpected', () => [REPLY, SERVER] as const],
    ['the type of a client', 'unexpected', () => [RELAY_FORWARD, SERVER] as const],
    ['the Interface-Id of another relay agent', 'unasked', () => [RELAY_REPLY, SERVER] as const],
    ['no Interface-Id', 'unasked', (rig: RelayRig) => [rig.replyTo(REPLY, (all) => all.slice(1)), SERVER] as const],
    ['no message', 'malformed', (rig: RelayRig) => [rig.replyTo(REPLY, (all) => all.slice(0, 1)), SERVER] as const],
    ['two messages', 'malformed', (rig: RelayRig) => [rig.replyTo(REPLY, (all) => [...all, ...all]), SERVER] as const],
    ['half a message', 'malformed', (rig: RelayRig) => [rig.replyTo(REPLY.subarray(0, 30)), SERVER] as const],
    ['an empty message', 'malformed', (rig: RelayRig) => [rig.replyTo(new Uint8Array()), SERVER] as const],
    ['a Relay-forward in it', 'unexpected', (rig: RelayRig) => [rig.replyTo(RELAY_FORWARD), SERVER] as const],
    ['nothing', 'unexpected', () => [new Uint8Array(), SERVER] as const],
  ])('with %s is dropped: %s', (_, reason, make) => {
    const rig = asked();
    const [octets, address] = make(rig);
    rig.datagram(octets, { address });
    expect(rig.outputs).toEqual([{ type: 'dropped', reason, address }]);
  });

  it('cannot be turned to another client, link or relay agent', () => {
    const rig = asked();
    const reply = decodeRelayMessage(rig.replyTo(REPLY));
    for (const change of [{ peerAddress: octetsOf('fe80::66') }, { linkAddress: octetsOf('2001:db8:b::1') }]) {
      rig.datagram(encodeRelayMessage({ ...reply, ...change }), { address: SERVER });
      expect(rig.reason).toBe('unasked');
    }
    const other = new RelayRig({}, Uint8Array.of(9));
    other.datagram(encodeRelayMessage(reply), { address: SERVER });
    expect(other.reason).toBe('unasked');
  });
});

describe('A relay agent behind this one', () => {
  const forward = (hopCount: number) => encodeRelayMessage({ ...decodeRelayMessage(RELAY_FORWARD), hopCount });

  it('is relayed with one more hop and without home network information, and gets its answer', () => {
    const rig = new RelayRig({ relays: [RELAY] });
    rig.authorize(1, RELAY, MAC);
    rig.datagram(forward(0), { address: RELAY, port: 547 });
    expect([rig.forward.hopCount, rig.supplied]).toEqual([1, undefined]);
    expect(onlyOption(rig.forward.options, OPTION.RELAY_MSG)).toEqual(forward(0));
    rig.datagram(rig.replyTo(RELAY_REPLY), { address: SERVER });
    expect(rig.all('send')).toEqual([{ type: 'send', octets: RELAY_REPLY, to: { address: RELAY, port: 547 } }]);
  });

  it('may be the eighth, and not the ninth', () => {
    const rig = new RelayRig({ relays: [RELAY] });
    rig.datagram(forward(7), { address: RELAY });
    expect(rig.forward.hopCount).toBe(8);
    for (const hops of [8, 9, 255]) {
      rig.datagram(forward(hops), { address: RELAY });
      expect(rig.reason).toBe('hop-limit');
    }
  });

  it('must be configured: one on the access link could supply another home agent', () => {
    const rig = new RelayRig();
    rig.datagram(forward(0));
    expect(rig.reason).toBe('unexpected');
    rig.datagram(forward(0), { address: RELAY });
    expect(rig.reason).toBe('unknown-source');
  });

  it('relays messages of clients only', () => {
    const rig = new RelayRig({ relays: [RELAY] });
    for (const [octets, reason] of [
      [RELAY_REPLY, 'unexpected'],
      [INFORMATION_REQUEST, 'malformed'],
    ] as const) {
      rig.datagram(octets, { address: RELAY });
      expect(rig.reason).toBe(reason);
    }
  });
});

describe('Bad input', () => {
  it('of any octets and source is dropped or relayed, leaves no state, and throws nothing', () => {
    const rig = new RelayRig({ relays: [RELAY] });
    const sources = fc.constantFrom(CLIENT, SERVER, RELAY, '2001:db8::66', 'fe80::1%eth9');
    const changed = fc
      .tuple(
        fc.constantFrom(INFORMATION_REQUEST, REPLY, RELAY_FORWARD, RELAY_REPLY),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
        fc.nat(300),
      )
      .map(([octets, changes, length]) => {
        const copy = Uint8Array.from(octets.subarray(0, length + 1));
        for (const [at, value] of changes) copy[at % copy.length] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100, size: 'max' }), changed), sources, (octets, address) => {
        rig.now += 1_000;
        rig.datagram(octets, { address });
        expect([['dropped'], ['send', 'forwarded'], ['send', 'delivered']]).toContainEqual(rig.types);
        expect([rig.machine.waiting, rig.machine.deadline]).toEqual([0, undefined]);
      }),
      { numRuns: runs(3_000) },
    );
  });

  it('changes nothing for an unknown session', () => {
    const rig = new RelayRig();
    expect(rig.feed({ type: 'gone', sessionId: 5 })).toEqual([]);
    expect(rig.feed({ type: 'moved', sessionId: 5, address: CLIENT })).toEqual([]);
    expect(rig.feed({ type: 'neighbours', macs: new Map([['fe80::1', MAC]]) })).toEqual([]);
    expect(rig.machine.deadline).toBeUndefined();
  });
});

describe('A new configuration', () => {
  it('counts for the next message', () => {
    const machine = new DhcpRelay(CONFIG, Uint8Array.of(1));
    machine.handle({ type: 'configure', config: { ...CONFIG, servers: [OTHER_SERVER] } }, 0);
    const datagram = { type: 'datagram', octets: INFORMATION_REQUEST, from: { address: CLIENT, port: 546 } } as const;
    expect(machine.handle(datagram, 0)[0]).toMatchObject({ to: { address: OTHER_SERVER } });
  });
});
