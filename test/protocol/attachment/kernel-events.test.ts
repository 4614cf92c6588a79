import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kernelEventOf, MAX_EVENT_LINE, routeEventOf } from '../../../src/protocol/attachment/kernel-events.js';
import { runs } from '../../seed.js';

/** Lines of `ip -oneline monitor link address prefix route` of iproute2 6.1. */
const LINES: readonly (readonly [line: string, event: object])[] = [
  [
    '3: a0@b0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default \\    link/ether d6:d9:1b:ba:7d:14 brd ff:ff:ff:ff:ff:ff',
    { type: 'link', interface: 'a0', up: true },
  ],
  [
    '3: a0@b0: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> mtu 1500 qdisc noqueue state LOWERLAYERDOWN group default \\    link/ether d6:d9:1b:ba:7d:14 brd ff:ff:ff:ff:ff:ff',
    { type: 'link', interface: 'a0', up: false },
  ],
  [
    '2: wlan0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state DORMANT group default \\    link/ether 46:f4:56:a0:ca:c5 brd ff:ff:ff:ff:ff:ff',
    { type: 'link', interface: 'wlan0', up: false },
  ],
  [
    'Deleted 2: usb0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noop state UP group default \\    link/ether 46:f4:56:a0:ca:c5 brd ff:ff:ff:ff:ff:ff',
    { type: 'link', interface: 'usb0', up: false },
  ],
  [
    '3: a0    inet6 2001:db8::1/64 scope global tentative \\       valid_lft forever preferred_lft forever',
    { type: 'address', interface: 'a0', address: '2001:db8::1', flags: 'scope global tentative', deleted: false },
  ],
  [
    'Deleted 3: a0    inet6 2001:db8::99/64 scope global nodad home \\       valid_lft forever preferred_lft forever',
    { type: 'address', interface: 'a0', address: '2001:db8::99', flags: 'scope global nodad home', deleted: true },
  ],
  [
    '2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\       valid_lft 3600sec preferred_lft 3600sec',
    {
      type: 'address',
      interface: 'eth0',
      address: '192.0.2.2',
      flags: 'brd 192.0.2.255 scope global eth0',
      deleted: false,
    },
  ],
  [
    'default via fe80::706a:45ff:fea7:b8a4 dev mn0 proto ra metric 1024 expires 3sec pref medium',
    { type: 'router', interface: 'mn0', router: 'fe80::706a:45ff:fea7:b8a4', deleted: false },
  ],
  [
    'Deleted default via fe80::706a:45ff:fea7:b8a4 dev mn0 proto ra metric 1024 hoplimit 64 pref medium',
    { type: 'router', interface: 'mn0', router: 'fe80::706a:45ff:fea7:b8a4', deleted: true },
  ],
  [
    'prefix 2001:db8:a::/64dev mn0 valid 86400 preferred 14400 ',
    { type: 'prefix', interface: 'mn0', prefix: '2001:db8:a::/64' },
  ],
  [
    'prefix 2001:db8:a::/64 dev mn0 onlink autoconf valid 86400 preferred 14400 ',
    { type: 'prefix', interface: 'mn0', prefix: '2001:db8:a::/64' },
  ],
  ['2001:db8:a::/64 dev mn0 proto kernel metric 256 expires 86399sec pref medium', { type: 'route' }],
  ['multicast ff00::/8 dev b0 table local proto kernel metric 256 pref medium', { type: 'route' }],
  ['Deleted local fe80::1 dev a0 table local proto kernel metric 0 pref medium', { type: 'route' }],
  ['default dev ip6tnl1 metric 1024 pref medium', { type: 'route' }],
];

describe('kernelEventOf', () => {
  it.each(LINES)('reads %s', (line, event) => {
    expect(kernelEventOf(line)).toEqual(event);
  });

  it.each([
    '',
    ' ',
    'Deleted ',
    '3:',
    '3: a0',
    'prefix dev',
    '    link/ether d6:d9:1b:ba:7d:14',
    'fe80::1 lladdr x',
    '[{"ifname":"eth0"}]',
  ])('refuses %j', (line) => {
    expect(kernelEventOf(line)).toBeUndefined();
  });

  it('refuses a line that is too long', () => {
    const [first = ''] = LINES[0] ?? [];
    expect(kernelEventOf(first.padEnd(MAX_EVENT_LINE))).toBeDefined();
    expect(kernelEventOf(first.padEnd(MAX_EVENT_LINE + 1))).toBeUndefined();
  });

  it('never throws, and takes little time for the longest lines', () => {
    const pieces = fc.constantFrom(
      '3: ',
      'a0',
      '@',
      ': <',
      'UP,',
      '>',
      ' state ',
      'inet6 ',
      '::',
      '/64',
      'default via ',
      ' dev ',
      '\\',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 2_000, size: 'max' }), (parts) => {
        kernelEventOf(parts.join('').slice(0, MAX_EVENT_LINE));
      }),
      { numRuns: runs(200) },
    );
  });
});

describe('routeEventOf', () => {
  it.each([
    ['20:19:41.333 add iface iface#3 vtnet0 admin UP oper UP mtu 1500 table inet.0', 'vtnet0', true],
    ['20:19:41.333 add iface iface#3 vtnet0 admin UP oper DOWN mtu 1500 table inet.0', 'vtnet0', false],
    ['20:19:41.333 add iface iface#3 vtnet0 admin DOWN mtu 1500 table inet.0', 'vtnet0', false],
    ['20:19:41.333 add iface iface#1 lo0 admin UP oper UNKNOWN mtu 16384', 'lo0', true],
    ['RTM_IFINFO: iface status change: len 168, if# 3, link: up, flags:<UP,BROADCAST,RUNNING>', '#3', true],
    ['RTM_IFINFO: iface status change: len 168, if# 3, link: down, flags:<UP,BROADCAST>', '#3', false],
  ])('reads the state of a link: %s', (line, name, up) => {
    expect(routeEventOf(line)).toEqual({ type: 'link', interface: name, up });
  });

  it('treats any other text as a change, and ignores empty lines and lines that are too long', () => {
    expect(routeEventOf('got message of size 240 on Thu Nov 26 12:00:00 2026')).toEqual({ type: 'route' });
    expect(['', '  ', 'x'.repeat(MAX_EVENT_LINE + 1)].map(routeEventOf)).toEqual([undefined, undefined, undefined]);
  });
});
