import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/protocol/bytes/address.js';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { APPLICATION } from '../../../src/protocol/diameter/wire/commands.js';
import { derivePsk, fingerprint } from '../../../src/protocol/keys/kdf.js';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';
import { mskOf } from './aaa-server.js';
import { LOCAL, NasWorld, ORIGIN } from './nas-world.js';

const BOOTSTRAP = [
  '0 mn1 -> PCI',
  '1 mn1 <- PAR[S]',
  '2 mn1 -> PAN[S]',
  // The NAS requests the identity itself, to learn the realm.
  '3 mn1 <- PAR',
  '4 mn1 -> PAN',
  '5 --> DER',
  '9 <-- DEA 1001',
  '9 mn1 <- PAR',
  '10 mn1 -> PAN',
  '11 --> DER',
  '15 <-- DEA 1001',
  '15 mn1 <- PAR',
  '16 mn1 -> PAN',
  '17 --> DER',
  '21 <-- DEA 2001',
  '21 mn1 <- PAR[C]',
  '22 mn1 -> PAN[C]',
  '23 admit',
];

describe('a bootstrap', () => {
  it('carries EAP between the node and its server, and admits the node at PAN[C]', () => {
    const world = new NasWorld();
    world.node();
    expect(world.run(1_000).take()).toEqual(BOOTSTRAP);
    expect(world.sessionOf()).toMatchObject({ state: 'OPEN', nai: 'mn@home.example', remaining: 600_000 - 977 });
    expect(world.events).toMatchObject([{ type: 'authorized', nai: 'mn@home.example', elapsed: 20, kind: undefined }]);
    expect(world.nodes[0]?.said).toMatchObject([{ type: 'eapRestart' }, { type: 'authorized', lifetime: 600_000 }]);
  });

  it('steps the machine once for each datagram and each answer, and sends each datagram once', () => {
    const world = new NasWorld();
    world.node();
    world.run(1_000);
    const lines = world.takeTexts();
    const came = lines.filter((text) => text.includes('->') && !text.startsWith('-->')).length;
    const answered = lines.filter((text) => text.startsWith('<--')).length;
    expect(world.steps).toBe(came + answered);
    expect(world.outputs.filter(({ type }) => type === 'send')).toHaveLength(
      lines.filter((text) => text.startsWith('mn1 <-')).length,
    );
  });

  it('sends DERs with the NAS, the user and the address of the node, and with State from the second one on', () => {
    const world = new NasWorld();
    const state = Uint8Array.of(7, 7);
    world.server.other = () => ({ State: state });
    world.node();
    world.run(1_000);
    const [first, second, third] = world.server.ders;
    expect(first).toMatchObject({
      'Origin-Host': ORIGIN.host,
      'Origin-Realm': ORIGIN.realm,
      'Origin-State-Id': ORIGIN.stateId + 1,
      'Destination-Realm': 'home.example',
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'User-Name': '@home.example',
      'NAS-Identifier': 'nas1',
      'Calling-Station-Id': '2001:db8:a::11',
      'Framed-MTU': 1100,
      'Mobility-Capability': 0x02d,
    });
    // Any server of the realm may accept the conversation. Then it stays there, and its State is returned.
    expect([first, second, third].map((der) => [der?.['Destination-Host'], der?.State])).toEqual([
      [undefined, undefined],
      [world.server.host, state],
      [world.server.host, state],
    ]);
    expect(new Set(world.server.ders.map((der) => der['Session-Id'])).size).toBe(1);
    expect(first?.['Session-Id']).toMatch(/^paa\.access\.example;1001;1;[0-9a-f]{8}$/);
  });

  it('sends DER and STR with the R and P flags and the EAP application', () => {
    const world = new NasWorld();
    const node = world.node();
    world.run(1_000);
    world.toNode(node, { type: 'terminate' });
    world.for(1_000);
    const asked = world.outputs.flatMap((output) => (output.type === 'ask' ? [output.message] : []));
    expect(asked.map(({ commandCode }) => commandCode)).toEqual([268, 268, 268, 275]);
    for (const { flags, applicationId } of asked) expect([flags, applicationId]).toEqual([0xc0, 5]);
  });

  it('uses a server of the access network when the identity has no realm', () => {
    const world = new NasWorld();
    world.node({ identity: 'mn' });
    world.run(1_000);
    expect(world.server.ders[0]).toMatchObject({ 'Destination-Realm': 'access.example', 'User-Name': 'mn' });
  });

  it('saves a round trip if PAR[S] has the identity request', () => {
    const world = new NasWorld({ paa: { firstRequest: Uint8Array.of(1, 0, 0, 5, 1) } });
    world.node();
    expect(world.run(1_000).take().slice(0, 4)).toEqual([
      '0 mn1 -> PCI',
      '1 mn1 <- PAR[S]',
      '2 mn1 -> PAN[S]',
      '3 --> DER',
    ]);
    expect(world.sessionOf()).toMatchObject({ state: 'OPEN' });
  });

  it('ends with PAR[C] when the server refuses; the node is not admitted and no STR is sent', () => {
    const world = new NasWorld();
    world.server.other = () => ({ 'Result-Code': 4001, 'EAP-Payload': Uint8Array.of(4, 9, 0, 4) });
    world.node();
    world.run(2_000);
    expect(world.takeTexts().slice(-4)).toEqual(['--> DER', '<-- DEA 4001', 'mn1 <- PAR[C]', 'mn1 -> PAN[C]']);
    expect(world.events).toMatchObject([
      { type: 'refused', resultCode: 4001, identity: '@home.example', address: '2001:db8:a::11' },
      { type: 'ended', cause: 'rejected' },
    ]);
    expect(world.server.strs).toEqual([]);
  });

  it('is refused when no server answers', () => {
    const world = new NasWorld({ isCut: () => true });
    world.node();
    world.run(2_000);
    expect(world.events).toMatchObject([
      { type: 'noAnswer', reason: 'no peer' },
      { type: 'refused', resultCode: undefined },
      { type: 'ended', cause: 'rejected' },
    ]);
  });
});

describe('a session', () => {
  function open(options: ConstructorParameters<typeof NasWorld>[0] = {}) {
    const world = new NasWorld(options);
    const node = world.node();
    world.run(1_000);
    expect(world.sessionOf().state).toBe('OPEN');
    world.take();
    return { world, node };
  }

  it('ends with STR and expel when its node terminates it', () => {
    const { world, node } = open();
    world.toNode(node, { type: 'terminate' });
    expect(world.run(2_000).take()).toEqual([
      '1000 mn1 -> PTR',
      '1001 mn1 <- PTA',
      '1001 --> STR',
      '1001 expel',
      '1005 <-- STA 2001',
    ]);
    expect(world.nas.size).toBe(0);
    expect(world.nas.deadline).toBeUndefined();
  });

  it('is re-authenticated at the same server before its lifetime ends, and admitted again', () => {
    const { world } = open({ paa: { reauthenticateAt: 0.5 } });
    world.run(300_023);
    expect(world.take()).toEqual(['300023 mn1 <- PAR']);
    world.for(1_000);
    expect(world.takeTexts().filter((text) => !text.includes('PA'))).toEqual([
      '--> DER',
      '<-- DEA 1001',
      '--> DER',
      '<-- DEA 1001',
      '--> DER',
      '<-- DEA 2001',
      'admit',
    ]);
    expect(world.server.ders[3]?.['Destination-Host']).toBe(world.server.host);
    expect(world.events.map(({ type }) => type)).toEqual(['authorized', 'reauthenticated']);
  });

  it('stays open while no server gives a verdict on a re-authentication, which is retried after 5 s and 10 s', () => {
    const options = { isCut: () => false };
    const { world } = open({ isCut: () => options.isCut() });
    options.isCut = () => true;
    world.feed({ type: 'command', sessionId: world.sessionOf().sessionId, command: 'reauthenticate' });
    world.for(20_000);
    const postponed = world.events.filter(({ type }) => type === 'postponed');
    expect(postponed).toMatchObject([{ nai: 'mn@home.example', resultCode: undefined }, {}, {}]);
    expect(
      world
        .take()
        .filter((line) => line.includes('DER'))
        .map((line) => Number(line.split(' ', 1)[0])),
    ).toEqual([1_002, 6_004, 16_006]);
    options.isCut = () => false;
    world.for(30_000);
    expect(world.sessionOf().state).toBe('OPEN');
    expect(world.events.at(-1)).toMatchObject({ type: 'reauthenticated' });
    expect(world.passing.size).toBe(1);
  });

  it('ends when the server refuses a re-authentication, and its node is expelled', () => {
    const { world } = open();
    world.server.success = () => ({ 'Result-Code': 5003, 'EAP-Payload': undefined });
    world.feed({ type: 'command', sessionId: world.sessionOf().sessionId, command: 'reauthenticate' });
    world.for(2_000);
    expect(world.events.slice(1)).toMatchObject([{ type: 'refused' }, { type: 'ended', cause: 'rejected' }]);
    expect(world.passing.size).toBe(0);
    expect(world.server.strs).toMatchObject([{ 'Termination-Cause': 2 }]);
  });

  it('moves with its node to another address, and informs the enforcement point and the server', () => {
    const { world, node } = open();
    node.place = { ...node.place, address: '2001:db8:a::99' };
    world.toNode(node, { type: 'moved' });
    world.for(1_000);
    expect(world.takeTexts()).toContain('move');
    expect([...world.passing.values()]).toEqual(['2001:db8:a::99']);
    expect(world.events.at(-1)).toMatchObject({ type: 'moved', from: '2001:db8:a::11', address: '2001:db8:a::99' });
    world.feed({ type: 'command', sessionId: world.sessionOf().sessionId, command: 'reauthenticate' });
    world.for(1_000);
    expect(world.server.ders.at(-1)?.['Calling-Station-Id']).toBe('2001:db8:a::99');
  });

  it('is replaced when its node restarts, and the server gets STR for it', () => {
    const { world, node } = open();
    const before = world.sessionOf();
    world.reboot(node);
    world.for(2_000);
    expect(world.sessionOf().sessionId).not.toBe(before.sessionId);
    expect(world.events.slice(1)).toMatchObject([
      { type: 'authorized' },
      { type: 'ended', cause: 'replaced', sessionId: before.sessionId },
    ]);
    expect(world.server.strs).toMatchObject([{ 'Session-Id': before.diameterSession, 'Termination-Cause': 7 }]);
    expect([...world.passing.keys()]).toEqual([world.sessionOf().sessionId]);
  });

  it('is lost when the NAS restarts, and its node gets a new one with another Session-Id', () => {
    const { world, node } = open();
    const before = world.sessionOf().diameterSession;
    world.restart();
    world.toNode(node, { type: 'ping' });
    world.for(1_000);
    expect(world.events.at(-1)).toMatchObject({ type: 'dropped', code: 'unknown-session' });
    world.reboot(node);
    world.for(2_000);
    expect(world.sessionOf().state).toBe('OPEN');
    expect(world.sessionOf().diameterSession).not.toBe(before);
  });

  it('ends when its subscriber opens too many sessions and it is the oldest', () => {
    const { world } = open({ config: { sessionsPerSubscriber: 2 } });
    const oldest = world.sessionOf();
    world.node();
    world.for(1_000);
    world.node();
    world.for(2_000);
    expect(world.events.filter(({ type }) => type === 'ended')).toMatchObject([
      { cause: 'replaced', sessionId: oldest.sessionId },
    ]);
    expect(world.passing.size).toBe(2);
    expect(world.server.sessions.size).toBe(2);
    expect(world.nodes[0]?.said.at(-1)).toMatchObject({ type: 'closed', cause: 'terminated-by-paa' });
  });
});

describe('the local home agent', () => {
  const WISH = CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV2_PSK;
  const pac = { mobility: { mode: 'wanted', wish: WISH } } as const;

  function granting(options: { agrees?: boolean; capacity?: number } = {}) {
    const local = { ...LOCAL, capacity: options.capacity ?? LOCAL.capacity };
    const world = new NasWorld({ config: { local } });
    let agrees = options.agrees ?? true;
    world.server.success = () => ({ 'MIP6-Feature-Vector': agrees ? 3n : 1n });
    const told = () => world.outputs.flatMap((output) => (output.type === 'homeAgent' ? [output] : []));
    const leases = () => world.outputs.flatMap((output) => (output.type === 'leases' ? [output.leases] : []));
    return { world, told, leases, disagree: () => (agrees = false) };
  }

  it('is proposed to the server and set up with the key that the node derives', () => {
    const { world, told, leases } = granting();
    world.node({ pac });
    world.run(1_000);
    const der = world.server.ders[0];
    expect(der).toMatchObject({
      'MIP6-Feature-Vector': 3n,
      'MIP6-Agent-Info': [
        { 'MIP-Home-Agent-Host': { 'Destination-Host': LOCAL.host, 'Destination-Realm': ORIGIN.realm } },
      ],
    });
    const homeAddress = der?.['MIP-Mobile-Node-Address']?.[0];
    if (!homeAddress) throw new Error('no home address was proposed');
    expect(homeAddress.subarray(0, 8)).toEqual(LOCAL.prefix.subarray(0, 8));
    const text = formatAddress(homeAddress);
    const [up] = told();
    expect(up).toMatchObject({ event: 'up', mnId: 'mn@home.example', homeAddress: text, lifetime: 600_000 });
    const agent = der?.['MIP6-Agent-Info']?.[0]?.['MIP-Home-Agent-Address']?.[0];
    const expected = derivePsk(mskOf(1), agent ?? new Uint8Array(16), homeAddress);
    expect(up?.psk && fingerprint(up.psk)).toBe(fingerprint(expected));
    expect(world.events).toMatchObject([
      { type: 'localHomeAgent', isRefresh: false, fingerprint: fingerprint(expected) },
      { type: 'authorized', kind: 'local' },
    ]);
    expect(leases()).toEqual([[{ homeAddress: text, mnId: 'mn@home.example' }]]);
    expect(world.nas.localHomeAgent?.used).toBe(1);
  });

  it('gives each node another home address of its prefix', () => {
    const { world, told } = granting();
    for (let n = 0; n < LOCAL.capacity; n += 1) world.node({ pac });
    world.run(1_000);
    const addresses = told().map(({ homeAddress }) => parseAddress(homeAddress ?? '') ?? new Uint8Array(16));
    expect(new Set(addresses.map((octets) => toHex(octets.subarray(8)))).size).toBe(LOCAL.capacity);
    for (const octets of addresses) {
      expect(octets.subarray(0, 8)).toEqual(LOCAL.prefix.subarray(0, 8));
      expect(octets.subarray(8)).not.toEqual(LOCAL.prefix.subarray(8));
    }
  });

  it('is refreshed with a new key at re-authentication, and removed at the end of the session', () => {
    const { world, told, leases } = granting();
    const node = world.node({ pac });
    world.run(1_000);
    world.toNode(node, { type: 'reauthenticate' });
    world.for(1_000);
    world.toNode(node, { type: 'terminate' });
    world.for(1_000);
    expect(told().map(({ event, homeAddress }) => [event, homeAddress])).toEqual(
      ['up', 'refresh', 'down'].map((event) => [event, told()[0]?.homeAddress]),
    );
    const [up, refresh] = told();
    expect(up?.psk && fingerprint(up.psk)).not.toBe(refresh?.psk && fingerprint(refresh.psk));
    // A refresh does not change what must be removed after a restart.
    expect(leases().map(({ length }) => length)).toEqual([1, 0]);
    expect(world.nas.localHomeAgent?.used).toBe(0);
  });

  it('is removed when the server no longer grants it', () => {
    const { world, told, disagree } = granting();
    const node = world.node({ pac });
    world.run(1_000);
    disagree();
    world.toNode(node, { type: 'reauthenticate' });
    world.for(1_000);
    expect(told().map(({ event }) => event)).toEqual(['up', 'down']);
    expect(world.sessionOf()).toMatchObject({ state: 'OPEN', assignment: undefined });
  });

  it('reserves a proposed address until the session ends, whether or not it was granted', () => {
    const { world, told, leases } = granting({ agrees: false, capacity: 1 });
    const node = world.node({ pac });
    world.run(1_000);
    expect(told()).toEqual([]);
    world.node({ pac });
    world.for(1_000);
    // The capacity is used up, so nothing is proposed for the second node.
    expect(world.server.ders.at(-1)?.['MIP6-Agent-Info']).toBeUndefined();
    world.toNode(node, { type: 'terminate' });
    world.for(1_000);
    expect(world.nas.localHomeAgent?.used).toBe(0);
    expect(leases()).toEqual([]);
  });

  it('is not proposed to a node that needs another IKE version or wants a home agent at home', () => {
    for (const wish of [(WISH & ~CAPABILITY.IKEV2_PSK) | CAPABILITY.IKEV1_PSK, 0x02d]) {
      const { world } = granting();
      world.node({ pac: { mobility: { mode: 'wanted', wish } } });
      world.run(1_000);
      expect(world.server.ders[0]).toMatchObject({ 'MIP6-Feature-Vector': 1n });
      expect(world.nas.localHomeAgent?.used).toBe(0);
    }
  });

  it('that is removed from the configuration stays until no node uses it; then another one may follow', () => {
    const { world, told } = granting();
    const node = world.node({ pac });
    world.run(1_000);
    const elsewhere = { ...LOCAL, address: '2001:db8:a::fffe' };
    expect(world.nas.localHomeAgent?.isAt({ ...LOCAL, capacity: 9 })).toBe(true);
    for (const other of [elsewhere, { ...LOCAL, host: 'x' }, { ...LOCAL, ike: 'ikev1' as const }]) {
      expect(world.nas.localHomeAgent?.isAt(other)).toBe(false);
    }
    expect(world.nas.localHomeAgent?.isAt({ ...LOCAL, prefix: new Uint8Array(16) })).toBe(false);
    world.feed({ type: 'configure', config: { ...world.config, local: undefined } });
    world.node({ pac });
    world.for(1_000);
    expect(world.nas.localHomeAgent?.used).toBe(1);
    world.toNode(node, { type: 'terminate' });
    world.for(1_000);
    expect(told().map(({ event }) => event)).toEqual(['up', 'down']);
    world.feed({ type: 'configure', config: { ...world.config, local: elsewhere } });
    world.node({ pac });
    world.for(1_000);
    expect(told().at(-1)).toMatchObject({ event: 'up', homeAgent: elsewhere });
  });
});
