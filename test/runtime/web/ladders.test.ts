import { beforeEach, describe, expect, it } from 'vitest';
import type { LogFields } from '../../../src/runtime/log/events.js';
import { type Daemon, type Ladder, Ladders } from '../../../src/runtime/web/ladders.js';
import { event } from './fed-event.js';

const SESSION = '0a1b2c3d';
const DIAMETER = 'paa.access.example;1;2';
const PLACE = { address: '2001:db8::1', port: 5000 };

let gone: string[];
let ladders: Ladders;

function open(daemon: Daemon): void {
  gone = [];
  ladders = new Ladders(
    daemon,
    (session) => (session === DIAMETER ? SESSION : undefined),
    () => undefined,
    ({ head }) => gone.push(head.session),
  );
}

function received(at: number, message: string, session: string, fields: LogFields = PLACE): void {
  ladders.handle(event(at, 'message received', { message, session, ...fields }, 10));
}

function sent(at: number, message: string, session: string, fields: LogFields = PLACE): void {
  ladders.handle(event(at, 'message sent', { message, session, ...fields }, 10));
}

/** A client that arrives at the PAA, until its first PAR. */
function arrives(at: number, session: string, address = PLACE.address): void {
  const place = { address, port: 5000 };
  received(at, 'PCI', '00000000', place);
  sent(at + 1, 'PAR[S]', session, place);
  received(at + 2, 'PAN[S]', session, place);
  sent(at + 3, 'PAR', session, place);
}

function texts(ladder: Ladder | undefined): string[] {
  return (ladder?.rungs ?? []).map(([at, from, to, text]) => `${at} ${from}${from === to ? '' : `>${to}`} ${text}`);
}

describe('Ladders of a PAA', () => {
  beforeEach(() => open('pana-paa'));

  it('do not begin with the end of a session', () => {
    sent(10, 'PTR', SESSION);
    received(11, 'PTA', SESSION);
    expect(ladders.all()).toEqual([]);
  });

  it('have the RADIUS messages of their session, and none of the watchdog', () => {
    arrives(10, SESSION);
    const of = (at: number, msg: 'message sent' | 'message received', message: string, diameterSession?: string) =>
      ladders.handle(event(at, msg, { message, peer: '192.0.2.1:1812', diameterSession }, 10));
    of(20, 'message sent', 'Status-Server');
    of(21, 'message sent', 'Access-Request', DIAMETER);
    of(22, 'message received', 'Access-Challenge', DIAMETER);
    expect(texts(ladders.all()[0]).slice(-2)).toEqual(['21 1>2 Access-Request', '22 2>1 Access-Challenge']);
  });

  it('grow from PCI to PAN[C], with Diameter beside', () => {
    arrives(10, SESSION);
    received(20, 'PAN', SESSION);
    ladders.handle(event(21, 'message sent', { message: 'DER', peer: 'aaa', diameterSession: DIAMETER }, 10));
    ladders.handle(
      event(
        30,
        'message received',
        { message: 'DEA', peer: 'aaa', diameterSession: DIAMETER, resultCode: 'SUCCESS' },
        10,
      ),
    );
    sent(31, 'PAR[C]', SESSION, { ...PLACE, paper: 'PBR' });
    received(32, 'PAN[C]', SESSION);
    const grant = { homeAgent: '2001:db8:1::1', homeAddress: '2001:db8:1::5' };
    ladders.handle(event(33, 'session authorized', { session: SESSION, nai: 'mn@home.example', ...grant }));
    const [ladder] = ladders.all();
    expect(texts(ladder)).toEqual([
      '10 0>1 PCI',
      '11 1>0 PAR[S]',
      '12 0>1 PAN[S]',
      '13 1>0 PAR',
      '20 0>1 PAN',
      '21 1>2 DER',
      '30 2>1 DEA SUCCESS',
      '31 1>0 PAR[C] (PBR)',
      '32 0>1 PAN[C]',
      '33 1 session authorized · 2001:db8:1::5',
    ]);
    expect(ladder?.head).toMatchObject({ who: 'mn@home.example', state: 'authorized', duration: 23, ...grant });
  });

  it('do not exist for what anybody can send', () => {
    for (let i = 0; i < 10_000; i += 1) {
      const place = { address: `2001:db8::${i.toString(16)}`, port: 5000 };
      received(i, 'PCI', '00000000', place);
      sent(i, 'PAR[S]', i.toString(16).padStart(8, '1'), place);
      received(i, 'PAN', i.toString(16).padStart(8, '2'), place);
    }
    expect(ladders.all()).toEqual([]);
  });

  it('of clients that were authorized stay whatever strangers do', () => {
    arrives(1, SESSION);
    ladders.handle(event(5, 'session authorized', { session: SESSION, nai: 'mn@home.example' }));
    for (let i = 0; i < 500; i += 1) {
      const session = `5${i.toString(16).padStart(7, '0')}`;
      arrives(10 + i, session, `2001:db8::${i.toString(16)}`);
      ladders.handle(event(12 + i, 'session refused', { session, identity: 'mn@home.example', reason: 'no-answer' }));
    }
    expect(ladders.all()).toHaveLength(41);
    expect(gone).toHaveLength(460);
    expect(ladders.all()[0]?.head).toMatchObject({ session: SESSION, state: 'authorized' });
    // Nor do events of the subscriber go to one who only claimed to be it.
    ladders.handle(event(900, 'hook done', { subject: 'ep mn@home.example', role: 'ep', event: 'permit' }));
    expect(texts(ladders.all()[0]).at(-1)).toBe('900 1 hook done · permit');
  });

  it('begin again with a re-authentication, and leave out pings', () => {
    arrives(1, SESSION);
    ladders.handle(event(5, 'session authorized', { session: SESSION, nai: 'mn@home.example' }));
    sent(100, 'PNR[P]', SESSION);
    received(101, 'PNA[P]', SESSION);
    received(200, 'PNR[A]', SESSION);
    sent(201, 'PNA[A]', SESSION);
    ladders.handle(event(300, 'session reauthenticated', { session: SESSION, nai: 'mn@home.example' }));
    expect(ladders.all().map((ladder) => [ladder.head.id, ladder.head.duration, texts(ladder)])).toEqual([
      [2, 100, ['200 0>1 PNR[A]', '201 1>0 PNA[A]', '300 1 session reauthenticated']],
    ]);
    expect(gone).toEqual([SESSION]);
  });

  it('have so many messages at most', () => {
    arrives(1, SESSION);
    for (let i = 0; i < 1_000; i += 1) received(i, 'PAN', SESSION);
    const [ladder] = ladders.all();
    expect([ladder?.rungs.length, ladder?.head.more]).toEqual([100, 904]);
  });
});

describe('Ladders of an AAA server', () => {
  beforeEach(() => open('pana-aaa'));

  it('have the lease and the hook, whose events name only the subscriber', () => {
    const peer = 'paa.access.example';
    received(1, 'DER', DIAMETER, { peer });
    ladders.handle(event(2, 'lease assigned', { nai: 'mn@home.example', homeAddress: '2001:db8:1::5' }));
    ladders.handle(event(3, 'authentication succeeded', { session: DIAMETER, nai: 'mn@home.example', peer }));
    sent(4, 'DEA', DIAMETER, { peer, resultCode: 'SUCCESS' });
    ladders.handle(event(5, 'hook done', { subject: 'ha mn@home.example', role: 'ha', event: 'up' }));
    expect(texts(ladders.all()[0])).toEqual([
      '1 0>1 DER',
      '2 1 lease assigned · 2001:db8:1::5',
      '3 1 authentication succeeded',
      '4 1>0 DEA SUCCESS',
      '5 2 hook done · up',
    ]);
  });
});

describe('Ladders of a PaC', () => {
  beforeEach(() => open('pana-pac'));

  it('have the events of the node', () => {
    ladders.handle(event(0, 'hook done', { subject: 'mn', role: 'mn', event: 'up' }));
    sent(1, 'PCI', '00000000', {});
    received(2, 'PAR[S]', SESSION, {});
    sent(3, 'PAN[S]', SESSION, {});
    ladders.handle(event(4, 'bootstrap completed', { homeAddress: '2001:db8:1::5' }));
    ladders.handle(event(5, 'configuration reloaded'));
    expect(texts(ladders.all()[0])).toEqual([
      '1 0>1 PCI',
      '2 1>0 PAR[S]',
      '3 0>1 PAN[S]',
      '4 0 bootstrap completed · 2001:db8:1::5',
    ]);
  });
});
