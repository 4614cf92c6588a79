import { expect, it } from 'vitest';
import { waysReport } from '../../src/lab/network-lab/ways-report.js';

it('shows the ways side by side, with what is missing', () => {
  const text = waysReport([
    {
      way: 'ikev2',
      result: 'yes',
      agentKnown: 80.4,
      ikeBegins: 41,
      ike: 120,
      traffic: 410,
      homeAddress: '2001:db8:1::5',
      access: { count: 14, octets: 5000 },
      ikeMessages: { count: 18, octets: 9000 },
    },
    { way: 'dns', result: 'no', detail: 'MN3 has no IKE_SA' },
    { way: 'dhcpv6', result: 'skipped', detail: 'not installed: kea-dhcp6' },
  ]);
  const [, ikev2, dns, dhcpv6, ...rest] = text.split('\n').map((line) => line.trim().split(/ {2,}/));
  expect(ikev2).toEqual([
    'ikev2',
    'PANA',
    'IKEv2, EAP-TLS',
    'yes',
    '80 ms',
    '41 ms',
    '120 ms',
    '410 ms',
    '14 (5000 octets)',
    '18 (9000 octets)',
  ]);
  expect(dns?.slice(0, 4)).toEqual(['dns', 'DNS', 'IKEv2, EAP-TLS', 'NO']);
  expect(dhcpv6?.slice(0, 4)).toEqual(['dhcpv6', 'DHCPv6', 'IKEv2, EAP-TLS', '-']);
  expect(rest.flat()).toContain('dhcpv6: not installed: kea-dhcp6');
});
