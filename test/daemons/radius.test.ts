import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Lab, type Place } from '../../dist/lab/lab.js';
import type { FeedEvent } from '../../src/runtime/log/feed.js';
import { eventually } from '../eventually.js';
import { SEED } from '../seed.js';
import { LossyLink, type RadiusNetwork, radiusNetwork, radiusServer, sessionsOf } from './radius-network.js';
import { operate } from './two-home-agents.js';

const MN = 'mn1@home.example';
/** Milliseconds for what takes retransmission times of 2 and 4 s. */
const SLOWED = 60_000;

let lab: Lab | undefined;
let link: LossyLink | undefined;

afterEach(async () => {
  const statuses = await lab?.close();
  await link?.close();
  [lab, link] = [undefined, undefined];
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

async function made(family: 'ipv4' | 'ipv6'): Promise<Lab> {
  lab = await Lab.make({ family });
  return lab;
}

/** Starts a node that gets a session and a home address. */
async function enter({ lab: at }: Pick<RadiusNetwork, 'lab'>, limit?: number) {
  await at.addSubscriber(MN, 'mn1');
  const pac = await at.startPac('mn1');
  return { pac, bound: await pac.line('bootstrap completed', undefined, limit) };
}

/** The key of a daemon's only security association. */
async function keyOf(at: Lab, name: string): Promise<string> {
  const [, key = ''] = (await readFile(at.path('hooks', name, 'psk.txt'), 'utf8')).trim().split(' ');
  return key;
}

describe('A PAA that asks the AAA server over RADIUS', () => {
  it('gives a node home agent, home address and key', async () => {
    const network = await radiusNetwork(await made('ipv6'));
    const { lab: at, aaa, paa } = network;
    const { pac, bound } = await enter(network);
    const given = await aaa.line('lease assigned');
    expect(bound).toMatchObject({ homeAgent: '2001:db8:1::1', homeAgentHost: 'ha1.home.example', ikeIdentity: MN });
    expect(bound['homeAddress']).toBe(given['homeAddress']);
    await aaa.line('hook done', ({ event }) => event === 'up');
    await pac.line('hook done', ({ event }) => event === 'up');
    const key = await keyOf(at, 'mn1');
    expect(key).toMatch(/^0x[0-9a-f]{128}$/);
    expect(await keyOf(at, 'aaa')).toBe(key);
    expect(await paa.line('session authorized')).toMatchObject({ nai: MN });
    // The Accounting-Start names the session as a later Disconnect-Request has to.
    await eventually(async () => expect((await network.sessions())[0]?.nas).toBeDefined());

    // The node ends its session, and the server learns it from the Accounting-Stop.
    await pac.stop();
    expect(await aaa.line('session ended', ({ reason }) => reason === 'User-Request')).toMatchObject({ known: true });
    await eventually(async () => expect([await network.sessions(), await at.leases()]).toEqual([[], []]));
    expect(paa.lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
    // Both ends log each message with its session.
    for (const message of ['Access-Request', 'Access-Accept', 'Accounting-Request', 'Accounting-Response']) {
      const isRequest = message.endsWith('Request');
      const [atPaa, atAaa] = isRequest ? (['sent', 'received'] as const) : (['received', 'sent'] as const);
      await paa.line(
        `message ${atPaa}`,
        (line) => line['message'] === message && line['diameterSession'] !== undefined,
      );
      await aaa.line(`message ${atAaa}`, (line) => line['message'] === message && line['session'] !== undefined);
    }
  });

  // Without accounting, the server knows a session only as its Access-Requests name it.
  it.each([true, false])(
    'reaches a session by CoA-Request and Disconnect-Request (accounting: %s)',
    async (accounting) => {
      const network = await radiusNetwork(await made(accounting ? 'ipv6' : 'ipv4'), { accounting });
      const { lab: at, paa, aaa } = network;
      const { pac } = await enter(network);
      expect((await operate(at, 'session', 'reauth', MN)).stdout).toContain('SUCCESS');
      await paa.line('request accepted', ({ message }) => message === 'CoA-Request');
      await paa.line('session reauthenticated');
      // The node resumes its TLS session.
      await aaa.line('authentication succeeded', ({ resumed }) => resumed === true);
      expect(await network.sessions()).toHaveLength(1);
      const ended = await operate(at, 'session', 'disconnect', MN);
      expect(ended).toMatchObject({ status: 0, stderr: '' });
      expect(ended.stdout).toContain('SUCCESS');
      await paa.line('request accepted', ({ message }) => message === 'Disconnect-Request');
      const is = (name: string) => (line: FeedEvent) =>
        line.message === name && (line.session ?? line.diameterSession) !== undefined;
      await aaa.line('message sent', is('Disconnect-Request'));
      await paa.line('message received', is('Disconnect-Request'));
      await paa.line('message sent', is('Disconnect-ACK'));
      await aaa.line('message received', is('Disconnect-ACK'));
      await pac.line('session ended');
      await aaa.line('request answered', ({ resultCode }) => resultCode === 'SUCCESS');
      expect([await network.sessions(), await at.leases()]).toEqual([[], []]);
    },
  );

  it('says at both ends that their secrets differ', async () => {
    const at = await made('ipv6');
    const { aaa, paa: tree } = await radiusServer(at, { secret: 'not the secret that the server has' });
    // It waits in vain until it is connected.
    const starting = at.startPaa({ address: at.address, port: 1 }, 'paa', tree).catch(() => undefined);
    const paa = await eventually(() => at.daemon('paa') ?? Promise.reject(new Error('not started')));
    const [place] = (await paa.line('ready'))['listening'] as Place[];
    await at.addSubscriber(MN, 'mn1');
    const discarded = { reason: 'wrong-authenticator', detail: 'wrong secret, or forged' };
    expect(await aaa.line('RADIUS packet discarded')).toMatchObject({
      peer: 'paa1',
      address: at.address,
      ...discarded,
    });
    expect(await paa.line('peer disconnected')).toMatchObject({
      reason: 'no answer to Status-Server',
      detail: expect.stringContaining('the same secret'),
    });
    // No request is tried, because all servers are down.
    await at.startPac('mn1', { pana: { port: place?.port } });
    expect(await paa.line('AAA server not responding')).toMatchObject({
      reason: expect.stringMatching(/^not responding: /),
    });
    await paa.line('session refused', ({ reason }) => reason === 'no-answer');
    expect(aaa.lines.filter(({ msg }) => msg === 'RADIUS packet discarded')).toHaveLength(1);
    expect(await sessionsOf(at)).toEqual([]);
    await paa.stop();
    await starting;
  });

  it('keeps its sessions when the AAA server is killed and starts again', async () => {
    const network = await radiusNetwork(await made('ipv6'));
    const { lab: at, aaa, paa } = network;
    const { pac, bound } = await enter(network);
    aaa.signal('SIGKILL');
    await aaa.exited;
    at.forget(aaa);
    const again = at.start('aaa again', 'aaa', at.path('aaa.yaml'));
    await again.line('ready');
    expect(await network.sessions()).toMatchObject([{ nai: MN, homeAddress: bound['homeAddress'] }]);
    expect((await operate(at, 'session', 'reauth', MN)).stdout).toContain('SUCCESS');
    await paa.line('session reauthenticated');
    expect(await at.leases()).toMatchObject([{ nai: MN, homeAddress: bound['homeAddress'] }]);

    // The Accounting-Stop waits until a server acknowledges it.
    again.signal('SIGKILL');
    await again.exited;
    at.forget(again);
    await pac.stop();
    await paa.line('session ended');
    const third = at.start('aaa at last', 'aaa', at.path('aaa.yaml'));
    // A server that was killed before it noted the end of a hook asks for the session again when it starts. It may then
    // know from the PAA that the session is over before the Accounting-Stop says so.
    expect(await third.line('session ended')).toMatchObject({ reason: 'User-Request' });
    await eventually(async () => expect([await network.sessions(), await at.leases()]).toEqual([[], []]));
  });

  it('works while every third datagram is lost', async () => {
    const at = await made('ipv4');
    let datagrams = SEED;
    const seen = new Set<string>();
    // Repeated datagrams pass, so that each request and each answer is late by one retransmission time at most.
    const lossy = new LossyLink((octets) => {
      const datagram = octets.toString('latin1');
      if (seen.has(datagram)) return false;
      seen.add(datagram);
      datagrams += 1;
      return datagrams % 3 === 0;
    });
    link = lossy;
    const network = await radiusNetwork(at, { between: (address, port) => lossy.to(address, port) });
    const { aaa } = network;
    const { pac, bound } = await enter(network, SLOWED);
    expect(bound['homeAddress']).toBe((await aaa.line('lease assigned'))['homeAddress']);
    await aaa.line('hook done', ({ event }) => event === 'up');
    await pac.line('hook done', ({ event }) => event === 'up');
    expect(await keyOf(at, 'aaa')).toBe(await keyOf(at, 'mn1'));
    await pac.stop();
    expect(await aaa.line('session ended', undefined, SLOWED)).toMatchObject({ reason: 'User-Request' });
    expect(lossy.lost).toBeGreaterThan(3);
    expect(aaa.lines.filter(({ msg }) => msg === 'authentication succeeded')).toHaveLength(1);
    expect(aaa.lines.filter(({ msg }) => msg === 'lease assigned')).toHaveLength(1);
    await eventually(async () => expect([await network.sessions(), await at.leases()]).toEqual([[], []]));
  });
});
