import { describe, expect, it } from 'vitest';
import type { DeaValues } from '../../../src/protocol/nas/access.js';
import { type Client, Clients } from '../../../src/protocol/nas/clients.js';

const GRANT = { lifetime: undefined, authorizationLifetime: undefined, assignment: undefined };

function client(clients: Clients, session: number, userName: string): Client {
  const peer = { address: `2001:db8:a::${session}`, port: 716, local: 'a' };
  const made = clients.add(session, `paa.access.example;1;${session}`, peer, { sessionLifetime: 1 }, 0, 0);
  made.granted = { userName, server: undefined, kind: undefined, grant: GRANT };
  return made;
}

/** A client that this AAA server has granted access. */
function clientOf(server: string, clients: Clients, session: number, userName: string): Client {
  const made = client(clients, session, userName);
  made.access.handle({ type: 'start', wish: undefined });
  made.access.handle({ type: 'packet', packet: Uint8Array.of(2, 1, 0, 5, 1) });
  const answer = { 'Origin-Host': server, 'Origin-Realm': 'example', 'Result-Code': 2001 } as DeaValues;
  made.access.handle({ type: 'answer', answer });
  return made;
}

const numbers = (list: readonly Client[]) => list.map(({ panaSession }) => panaSession);

describe('the sessions of one subscriber', () => {
  it('are limited in number, and the oldest one is ended; the case of the name does not matter', () => {
    const clients = new Clients();
    const first = client(clients, 1, 'mn1@home.example');
    expect(clients.admit(first, 2)).toEqual([]);
    expect(clients.admit(client(clients, 2, 'MN1@home.example'), 2)).toEqual([]);
    expect(clients.admit(client(clients, 3, 'mn2@home.example'), 2)).toEqual([]);
    expect(numbers(clients.admit(client(clients, 4, 'mn1@HOME.example'), 2))).toEqual([1]);
    clients.remove(first);
    expect(clients.admit(client(clients, 5, 'mn3@home.example'), 2)).toEqual([]);
    expect(numbers(clients.admit(client(clients, 6, 'mn1@home.example'), 2))).toEqual([2]);
  });

  it('are limited separately for each server', () => {
    const clients = new Clients();
    const [home, roaming] = ['aaa.home.example', 'aaa.roaming.example'];
    expect(clients.admit(clientOf(home, clients, 1, 'mn1@home.example'), 1)).toEqual([]);
    expect(clients.admit(clientOf(roaming, clients, 2, 'mn1@home.example'), 1)).toEqual([]);
    expect(numbers(clients.admit(clientOf(roaming, clients, 3, 'mn1@home.example'), 1))).toEqual([2]);
    expect(numbers(clients.admit(clientOf('AAA.home.example', clients, 4, 'mn1@home.example'), 1))).toEqual([1]);
  });

  it('count once each, and a re-authentication makes a session the newest', () => {
    const clients = new Clients();
    const [first, second] = [client(clients, 1, 'mn1'), client(clients, 2, 'mn1')];
    for (const each of [first, second, first, first]) expect(clients.admit(each, 2)).toEqual([]);
    expect(numbers(clients.admit(client(clients, 3, 'mn1'), 2))).toEqual([2]);
    clients.remove(second);
    // The re-authentication uses the certificate of another subscriber.
    const { granted } = first;
    if (granted) first.granted = { ...granted, userName: 'mn2' };
    expect(clients.admit(first, 1)).toEqual([]);
    expect(clients.admit(client(clients, 4, 'mn1'), 2)).toEqual([]);
  });

  it('leave nothing behind when the last one has ended', () => {
    const clients = new Clients();
    const [first, second, other] = [client(clients, 1, 'mn1'), client(clients, 2, 'mn1'), client(clients, 3, 'mn2')];
    for (const each of [first, second, other]) clients.admit(each, 2);
    expect(clients.subscribers).toBe(2);
    clients.remove(first);
    expect(clients.subscribers).toBe(2);
    clients.remove(second);
    expect(clients.subscribers).toBe(1);
    clients.remove(other);
    expect(clients.subscribers).toBe(0);
    expect([...clients.all()]).toEqual([]);
    expect([clients.ofPana(1), clients.ofDiameter('paa.access.example;1;1')]).toEqual([undefined, undefined]);
  });
});
