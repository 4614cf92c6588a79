import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { addressesIn, discoverPaas } from '../../src/pac/discovery.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-discovery-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('discoverPaas', () => {
  it('returns the configured PAAs first, then those of DHCP, each once', async () => {
    const file = join(folder, 'agents');
    await writeFile(file, '# by the DHCP client\n2001:db8::2, 192.0.2.1\n2001:db8::1\n');
    const sources = { configured: ['2001:db8::1'], file, defaultRouter: false };
    expect(await discoverPaas(sources)).toEqual(['2001:db8::1', '2001:db8::2', '192.0.2.1']);
  });

  it('returns nothing without a file and without default-router discovery', async () => {
    expect(await discoverPaas({ configured: [], file: join(folder, 'none'), defaultRouter: false })).toEqual([]);
  });

  it('accepts only addresses from the file, at most 32', () => {
    expect(addressesIn('fe80::1%eth0 $(reboot) 300.1.1.1 ::1 x\n')).toEqual(['fe80::1%eth0', '::1']);
    expect(addressesIn('::1 '.repeat(100))).toHaveLength(32);
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
  const found = () => discoverPaas({ configured: [], file: file(), defaultRouter: false });

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
