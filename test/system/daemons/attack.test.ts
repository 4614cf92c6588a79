import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import {
  encodePana,
  FLAG,
  MESSAGE_TYPE,
  type PanaAvp,
  type PanaMessage,
} from '../../../src/protocol/pana/wire/codec.js';
import { AVPS, makeAvp } from '../../../src/protocol/pana/wire/dictionary.js';
import { Link, type Passing } from '../../daemons/link.js';
import { numbersOf } from '../../daemons/numbers.js';
import { run } from '../../daemons/program.js';
import { eventually, within } from '../../eventually.js';

let lab: Lab | undefined;
let link: Link | undefined;

afterEach(async () => {
  await lab?.close();
  link?.close();
  lab = undefined;
  link = undefined;
});

interface Scene {
  readonly made: Lab;
  readonly between: Link;
  readonly paa: DaemonProcess;
  readonly pac: DaemonProcess;
  /** Where the PAA listens. */
  readonly place: Place;
}

async function scene(interfere?: (passing: Passing, paa: Place) => readonly Uint8Array[]): Promise<Scene> {
  const made = await Lab.make({ hooks: false });
  lab = made;
  const { place: aaa } = await made.startAaa();
  const { daemon: paa, place } = await made.startPaa(aaa);
  await made.addSubscriber('mn1@home.example', 'mn1');
  const between = await Link.open(place);
  link = between;
  if (interfere) between.interfere = (passing) => interfere(passing, place);
  const pac = await made.startPac('mn1', { pana: { paa: [between.place.address], port: between.place.port } });
  return { made, between, paa, pac, place };
}

const isAuth = ({ code, vendorId }: PanaAvp) => code === AVPS.AUTH.code && vendorId === undefined;

/** All variants of a protected message with an invalid or missing AUTH. */
function forgeries({ octets, message }: Passing): Uint8Array[] {
  const auth = message.avps.find(isAuth);
  if (!auth) return [];
  const rest = message.avps.filter((avp) => !isAuth(avp));
  const flip = (at: number) => octets.map((octet, i) => (i === at ? octet ^ 1 : octet));
  return [
    // The last octet of AUTH, and an octet before AUTH.
    flip(octets.length - 1),
    flip(octets.length - auth.value.length - 9),
    encodePana({ ...message, avps: rest }),
    encodePana({ ...message, avps: [...rest, { ...auth, value: new Uint8Array(auth.value.length) }] }),
    encodePana({ ...message, avps: [...rest, { ...auth, value: new Uint8Array(0) }] }),
    encodePana({ ...message, avps: [auth, ...rest, makeAvp('Key-Id', 1)] }),
    encodePana({ ...message, avps: [...rest, auth, auth] }),
  ];
}

function withNonce(message: PanaMessage, length: number): Uint8Array {
  const avps = message.avps.map((avp) =>
    avp.code === AVPS.Nonce.code ? { ...avp, value: new Uint8Array(length).fill(5) } : avp,
  );
  return encodePana({ ...message, avps });
}

const FORGED_PER_MESSAGE = 7;

describe('An attacker on the link', () => {
  it('changes nothing by forging and removing AUTH of every protected message', async () => {
    const protectedNames = new Set<string>();
    const forged = { pac: 0, paa: 0 };
    const { made, paa, pac } = await scene((passing) => {
      const bad = forgeries(passing);
      if (bad.length > 0) protectedNames.add(`${passing.from} ${passing.name}`);
      forged[passing.from] += bad.length;
      return [...bad, passing.octets];
    });
    await pac.line('bootstrap completed');
    const { session } = await paa.line('session authorized');
    const operate = async (daemon: 'pac' | 'paa', ...command: string[]) => {
      const name = daemon === 'pac' ? 'mn1' : 'paa';
      expect((await run(daemon, [...command, '--control.socket', made.socket(name)])).status).toBe(0);
    };
    await operate('pac', 'ping');
    await operate('paa', 'session', 'ping', String(session));
    await operate('pac', 'reauth');
    await pac.line('bootstrap refreshed');
    await operate('paa', 'session', 'reauth', String(session));
    await paa.line(
      'session reauthenticated',
      () => paa.lines.filter(({ msg }) => msg === 'session reauthenticated').length === 2,
    );

    const atPac = await numbersOf(made, 'mn1');
    const atPaa = await numbersOf(made, 'paa');
    expect(forged.paa).toBeGreaterThanOrEqual(FORGED_PER_MESSAGE * 10);
    expect(atPac('pana_pac_dropped_total')).toBeGreaterThanOrEqual(forged.paa - FORGED_PER_MESSAGE);
    expect(atPac('pana_pac_dropped_total{code="auth"}')).toBeGreaterThan(0);
    expect(atPaa('pana_paa_dropped_total{code="auth"}')).toBeGreaterThan(0);
    expect(await pac.stop()).toBe(0);
    await paa.line('session ended', ({ reason }) => reason === 'logout');
    expect(paa.lines.filter(({ msg }) => msg === 'session ended')).toHaveLength(1);
    expect([...protectedNames].sort()).toEqual([
      'paa PAR',
      'paa PAR[C]',
      'paa PNA[A]',
      'paa PNA[P]',
      'paa PNR[P]',
      'paa PTA',
      'pac PAN',
      'pac PAN[C]',
      'pac PNA[P]',
      'pac PNR[A]',
      'pac PNR[P]',
      'pac PTR',
    ]);
  });

  it('cannot end the session by forging the PTR of the PAA', async () => {
    const { made, between, paa, pac } = await scene();
    await pac.line('bootstrap completed');
    const { session } = await paa.line('session authorized');
    between.interfere = (passing) => [...forgeries(passing), passing.octets];
    expect((await run('paa', ['session', 'end', String(session), '--control.socket', made.socket('paa')])).status).toBe(
      0,
    );
    expect(await pac.line('session ended')).toMatchObject({ reason: 'terminated-by-paa' });
    expect(
      pac.lines.filter(({ msg, reason }) => msg === 'message dropped' && reason === 'auth').length,
    ).toBeGreaterThan(0);
    // The log of the PaC can arrive before its PTA does.
    await eventually(() => expect(between.recorded.map(({ from, name }) => `${from} ${name}`)).toContain('pac PTA'));
  });

  it('changes nothing by replaying every message, from the same address or another', async () => {
    const { made, between, paa, pac, place } = await scene();
    await pac.line('bootstrap completed');
    await paa.line('session authorized');
    const operate = (name: string) => run('pac', [name, '--control.socket', made.socket('mn1')]);
    await operate('ping');
    await operate('reauth');
    await pac.line('bootstrap refreshed');
    await paa.line('session reauthenticated');
    const sessions = async () =>
      JSON.parse((await run('paa', ['session', 'list', '--json', '--control.socket', made.socket('paa')])).stdout);
    const before = await sessions();
    const all = [...between.recorded];
    const elsewhere = createSocket('udp6');
    for (const { from, octets } of all) {
      between.send(from === 'pac' ? 'paa' : 'pac', octets);
      elsewhere.send(octets, place.port, place.address);
    }
    // Waits for an exchange that begins after the replayed messages.
    await settle(place);
    const [now] = await sessions();
    expect({ ...now, remainingSeconds: 0 }).toEqual({ ...before[0], remainingSeconds: 0 });
    expect(await sessions()).toHaveLength(1);
    expect(paa.lines.some(({ msg }) => msg === 'session moved' || msg === 'session ended')).toBe(false);
    await operate('ping');
    await pac.stop();
    await paa.line('session ended', ({ reason }) => reason === 'logout');

    // The session has ended, so its replayed messages must start no new one.
    for (const { octets } of all) {
      between.send('paa', octets);
      elsewhere.send(octets, place.port, place.address);
    }
    await settle(place);
    expect(await sessions()).toEqual([]);
    elsewhere.close();
  });

  it('cannot prevent an authentication by diverting PAN[S], guessing Session-Ids or forging offers', async () => {
    const stranger = createSocket('udp6');
    let offers = 0;
    const { made, paa, pac, between, place } = await scene(({ from, name, octets, message }, { port, address }) => {
      if (name === 'PAN[S]') stranger.send(octets, port, address);
      if (from === 'pac' || name !== 'PAR[S]') return [octets];
      offers += 1;
      const fake = { ...message, sessionId: message.sessionId ^ 0xff, sequence: message.sequence ^ 0xff00 };
      const stripped = { ...fake, avps: [] };
      // Before and after the real offer, with and without algorithms; only the first time, so that the PaC can succeed.
      return offers > 1 ? [octets] : [encodePana(fake), encodePana(stripped), octets, encodePana(fake)];
    });
    await pac.line('bootstrap completed');
    expect(pac.lines.some(({ msg, reason }) => msg === 'message dropped' && reason === 'no-algorithm')).toBe(true);
    await paa.line('message dropped', ({ reason }) => reason === 'bad-start');
    for (let i = 0; i < 2000; i += 1) {
      const guess = { sessionId: (i * 2_147_483) >>> 0, sequence: i, avps: [] };
      stranger.send(
        encodePana({ ...guess, type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.R | FLAG.P }),
        place.port,
        place.address,
      );
    }
    // An offer that arrives after the first PAR is discarded.
    const offer = between.recorded.find(({ name }) => name === 'PAR[S]');
    if (offer) between.send('pac', encodePana({ ...offer.message, sessionId: 1, sequence: 1 }));
    await pac.line('message dropped', ({ reason }) => reason === 'unexpected');
    await settle(place);
    stranger.close();
    const status = JSON.parse((await run('pac', ['status', '--json', '--control.socket', made.socket('mn1')])).stdout);
    expect(status).toMatchObject({ state: 'OPEN' });
    expect((await numbersOf(made, 'paa'))('pana_paa_dropped_total{code="unknown-session"}')).toBeGreaterThan(0);
  });

  it('only increases drop counters by changing nonces, lengths and order', async () => {
    const tried = new Set<string>();
    const { made, pac, between } = await scene((passing) => {
      const { message, octets, name, from } = passing;
      const bad: Uint8Array[] = [];
      // At most as many as a receive buffer holds, since lost messages prove nothing.
      for (let cut = 1; cut < 20; cut += 1) bad.push(octets.slice(0, (octets.length * cut) / 20));
      bad.push(new Uint8Array([...octets, 0, 0, 0, 0]), new Uint8Array(30_000).fill(0xa5));
      if (message.avps.some(({ code }) => code === AVPS.Nonce.code)) {
        tried.add(`${from} ${name}`);
        bad.push(withNonce(message, 7), withNonce(message, 257), withNonce({ ...message, avps: [] }, 0));
      }
      return [...bad, octets];
    });
    await pac.line('bootstrap completed');
    expect(tried).toEqual(new Set(['paa PAR', 'pac PAN']));
    const atPac = await numbersOf(made, 'mn1');
    const atPaa = await numbersOf(made, 'paa');
    for (const code of ['truncated', 'avp-value']) {
      expect(atPac(`pana_pac_dropped_total{code="${code}"}`)).toBeGreaterThan(0);
      expect(atPaa(`pana_paa_dropped_total{code="${code}"}`)).toBeGreaterThan(0);
    }
    between.interfere = ({ octets }) => [octets];
    expect(await pac.stop()).toBe(0);
  });
});

/** Sends a PCI from another socket until it is answered, so that all earlier messages have been read. */
async function settle(place: Place): Promise<void> {
  const socket = createSocket('udp6');
  socket.connect(place.port, place.address);
  await within(once(socket, 'connect'), 'socket connects');
  for (;;) {
    // The PCIs of an address are limited per second, and replayed ones count.
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(300) }).then(
      () => true,
      () => false,
    );
    socket.send(encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] }));
    if (await answered) break;
  }
  socket.close();
}
