import { describe, expect, it } from 'vitest';
import { IN_ALL, PER_CLIENT, RESERVED } from '../../../../src/protocol/dhcpv6/relay/rate.js';
import { MAX_WAITING, RESERVED_WAITING } from '../../../../src/protocol/dhcpv6/relay/relay.js';
import { INFORMATION_REQUEST } from '../wire/vectors.js';
import { CLIENT, CLIENT_GLOBAL, MAC, RelayRig } from './relay-rig.js';

/** Places for messages of clients without a session. */
const STRANGERS = MAX_WAITING - RESERVED_WAITING;

describe('Messages in large numbers', () => {
  it('of one client are limited in each second', () => {
    const rig = new RelayRig();
    for (let i = 0; i < PER_CLIENT; i += 1) rig.datagram(INFORMATION_REQUEST);
    expect(rig.reason).toBeUndefined();
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.reason).toBe('rate-of-client');
    rig.datagram(INFORMATION_REQUEST, { address: 'fe80::2%ar0' });
    expect(rig.reason).toBeUndefined();
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.reason).toBeUndefined();
  });

  it('are limited in total, and leave nothing', () => {
    const rig = new RelayRig();
    for (let i = 0; i < IN_ALL - RESERVED; i += 1) {
      rig.datagram(INFORMATION_REQUEST, { address: `fe80::${i.toString(16)}%ar0` });
    }
    expect(rig.reason).toBeUndefined();
    rig.datagram(INFORMATION_REQUEST, { address: 'fe80::ffff%ar0' });
    expect(rig.reason).toBe('rate-in-all');
    expect([rig.machine.waiting, rig.machine.deadline]).toEqual([0, undefined]);
  });

  it('from changing addresses leave a share to clients with a session', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT_GLOBAL, MAC);
    const flood = () => {
      for (let i = 0; i <= IN_ALL; i += 1) {
        rig.datagram(INFORMATION_REQUEST, { address: `fe80::1:${i.toString(16)}%ar0` });
      }
    };
    // The client is found by its MAC address once.
    rig.now = 1_000;
    rig.datagram(INFORMATION_REQUEST);
    rig.pass();
    rig.neighbours({ [CLIENT.split('%')[0] ?? '']: MAC });
    rig.now = 3_000;
    flood();
    expect([rig.reason, rig.machine.waiting]).toEqual(['rate-in-all', STRANGERS]);
    rig.datagram(INFORMATION_REQUEST);
    expect(rig.reason).toBeUndefined();
    // One with a session under its own address needs no MAC address.
    rig.authorize(2, 'fe80::77%ar0');
    rig.datagram(INFORMATION_REQUEST, { address: 'fe80::77%ar0' });
    expect(rig.all('forwarded')).toMatchObject([{ sessionId: 2 }]);
  });

  it('that wait for MAC addresses are limited, cause few reads, and end', () => {
    const rig = new RelayRig();
    rig.authorize(1, CLIENT_GLOBAL, MAC);
    rig.now = 1_000;
    for (let i = 0; i <= MAX_WAITING; i += 1)
      rig.datagram(INFORMATION_REQUEST, { address: `fe80::${i.toString(16)}%ar0` });
    expect([rig.reason, rig.machine.waiting]).toEqual(['waiting-in-all', STRANGERS]);
    let reads = 0;
    let forwarded = 0;
    while (rig.machine.deadline !== undefined) {
      rig.pass();
      reads += rig.all('readNeighbours').length;
      rig.neighbours({});
      forwarded += rig.all('forwarded').length;
    }
    expect([reads, forwarded, rig.now]).toEqual([4, STRANGERS, 1_800]);
  });

  it('cause one read at a time and ten in a second', () => {
    const rig = new RelayRig();
    let reads = 0;
    for (rig.now = 0; rig.now < 1_000; rig.now += 5) {
      rig.feed({
        type: 'client',
        client: { sessionId: rig.now, address: `2001:db8:a::${rig.now}`, user: '', assignment: undefined },
      });
      const now = rig.all('readNeighbours').length;
      reads += now;
      expect(rig.feed({ type: 'tick' })).toEqual([]);
      if (now > 0) rig.feed({ type: 'neighbours', macs: new Map() });
    }
    expect(reads).toBe(10);
  });
});
