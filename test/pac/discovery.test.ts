import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { addressesIn, discoverPaas, routersIn } from '../../src/pac/discovery.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-discovery-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('discoverPaas', () => {
  it('returns the configured PAAs first, then those of DHCP, each once', async () => {
    const file = join(folder, 'agents');
    await writeFile(file, '# by the DHCP client\n2001:db8::2, 192.0.2.1\n2001:db8::1\n');
    const sources = { configured: ['2001:db8::1'], file, defaultRouter: false, access: undefined };
    expect(await discoverPaas(sources)).toEqual(['2001:db8::1', '2001:db8::2', '192.0.2.1']);
  });

  it('returns nothing without a file and without default-router discovery', async () => {
    expect(
      await discoverPaas({ configured: [], file: join(folder, 'none'), defaultRouter: false, access: undefined }),
    ).toEqual([]);
  });

  it('accepts only addresses from the file, at most 32', () => {
    expect(addressesIn('fe80::1%eth0 $(reboot) 300.1.1.1 ::1 x\n')).toEqual(['fe80::1%eth0', '::1']);
    expect(addressesIn('::1 '.repeat(100))).toHaveLength(32);
  });
});

describe('routersIn', () => {
  it('returns every default router of the access link, a link-local one with its interface', () => {
    const text = [
      'default via fe80::1 dev eth0 proto ra metric 1024 expires 1800sec hoplimit 64 pref medium',
      'default proto ra metric 1024 \\\tnexthop via fe80::2 dev eth0 weight 1 \\\tnexthop via 2001:db8::3 dev wlan0 weight 1 ',
    ].join('\n');
    expect(routersIn(text, undefined)).toEqual(['fe80::1%eth0', 'fe80::2%eth0', '2001:db8::3']);
    expect(routersIn(text, 'wlan0')).toEqual(['2001:db8::3']);
    expect(routersIn('default via inet6 fe80::1 dev eth0 proto dhcp', 'eth0')).toEqual(['fe80::1%eth0']);
  });

  it('ignores a default route into a tunnel, and does not take the router of another route for it', () => {
    const tunnel = 'default dev ip6tnl1 metric 1024 pref medium';
    expect(routersIn(tunnel, undefined)).toEqual([]);
    expect(routersIn('default via fe80::9 dev tun0', undefined)).toEqual([]);
    expect(routersIn(`${tunnel}\ndefault via fe80::1 dev eth0 metric 2048`, undefined)).toEqual(['fe80::1%eth0']);
  });

  it('parses the output of the route command of FreeBSD', () => {
    const text =
      '   route to: ::\n    gateway: fe80::1%em0\n        fib: 0\n  interface: em0\n      flags: <UP,GATEWAY>\n';
    expect(routersIn(text, undefined)).toEqual(['fe80::1%em0']);
    expect(routersIn('    gateway: 192.0.2.1\n        fib: 0\n  interface: em0\n', 'em0')).toEqual(['192.0.2.1']);
  });
});

describe('The hook script of the DHCP client', () => {
  const file = () => join(folder, 'db', 'agents');
  /** Sourced by a shell with the options in variables, as in the scripts of dhclient and dhcpcd. */
  const run = async (environment: Record<string, string>) => {
    const script = `. '${hookPath('dhcp-pana.sh')}'; echo goes on`;
    const { stdout } = await promisify(execFile)('sh', ['-c', script], {
      env: { PATH: '/usr/bin:/bin', PANA_AGENTS_FILE: file(), ...environment },
    });
    expect(stdout).toBe('goes on\n');
  };
  const found = () => discoverPaas({ configured: [], file: file(), defaultRouter: false, access: undefined });

  it('writes the PAAs of both address families for pana-pac', async () => {
    await run({ reason: 'BOUND', new_pana_agent: '192.0.2.1,192.0.2.2' });
    expect(await found()).toEqual(['192.0.2.1', '192.0.2.2']);
    await run({ reason: 'BOUND6', new_dhcp6_pana_agent: '2001:db8::1 2001:db8::2' });
    expect(await found()).toEqual(['2001:db8::1', '2001:db8::2', '192.0.2.1', '192.0.2.2']);
    await run({ reason: 'EXPIRE', old_pana_agent: '192.0.2.1' });
    expect(await found()).toEqual(['2001:db8::1', '2001:db8::2']);
  });

  it('ignores values that are not addresses, and reasons that announce no new values', async () => {
    await run({ reason: 'BOUND', new_pana_agent: '192.0.2.1' });
    await run({ reason: 'RENEW', new_pana_agent: '$(reboot)' });
    await run({ reason: 'PREINIT', new_pana_agent: '192.0.2.9' });
    expect((await readFile(file(), 'utf8')).trim()).toBe('192.0.2.1');
  });
});
