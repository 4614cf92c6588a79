import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { WayResult } from '../../dist/lab/network-lab/ways.js';
import { run } from '../daemons/program.js';
import { announce, missing } from './access-network.js';
import { userSpaceEspMissing } from './charon.js';

const NEEDS = missing('dnsmasq', 'kea-dhcp6', 'dhclient') ?? userSpaceEspMissing();
const possible = announce('the ways of the lab side by side', NEEDS);

describe.runIf(possible)('The lab', () => {
  // The limit is for a machine with twenty times as much work as cores.
  it('compares PANA, IKEv2, DNS and DHCPv6, each with traffic, and leaves nothing', { timeout: 300_000 }, async () => {
    const { status, stdout, stderr } = await run('tool', ['lab', '--way', 'all', '--json']);
    expect(status, `${stderr}\n${stdout}`).toBe(0);
    const { items } = JSON.parse(stdout) as { readonly items: readonly WayResult[] };
    expect(items.map(({ way, result }) => [way, result])).toEqual([
      ['pana', 'yes'],
      ['ikev2', 'yes'],
      ['dns', 'yes'],
      ['dhcpv6', 'yes'],
    ]);
    // One home agent gives each node an address.
    expect(new Set(items.map(({ homeAddress }) => homeAddress)).size).toBe(4);
    const [pana, ikev2, dns, dhcpv6] = items.map(({ access, ikeMessages }) => [access?.count, ikeMessages?.count]);
    // SRV and AAAA; an Information-request and its answer.
    expect(dns?.[0]).toBeGreaterThanOrEqual(4);
    expect(dhcpv6?.[0]).toBeGreaterThanOrEqual(2);
    expect(pana?.[0]).toBeGreaterThanOrEqual(10);
    // EAP-TLS takes more messages of IKE than a key.
    for (const way of [ikev2, dns, dhcpv6]) expect(way?.[1]).toBeGreaterThan((pana?.[1] ?? 0) + 6);
    expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).not.toMatch(
      new RegExp(`pana-lab-${/pana-lab-(\d+)-/.exec(stderr)?.[1] ?? 'none'}-`),
    );
  });

  it('refuses other cases beside --way', async () => {
    const { status, stderr } = await run('tool', ['lab', '--way', 'all', '--reauth']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('--way is a lab of its own')]);
  });
});
