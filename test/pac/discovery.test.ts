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

describe('PAAs', () => {
  it('are tried in order: the configured ones, then those of DHCP, each once', async () => {
    const file = join(folder, 'agents');
    await writeFile(file, '# by the DHCP client\n2001:db8::2, 192.0.2.1\n2001:db8::1\n');
    const sources = { configured: ['2001:db8::1'], file, defaultRouter: false };
    expect(await discoverPaas(sources)).toEqual(['2001:db8::1', '2001:db8::2', '192.0.2.1']);
  });

  it('are none when there is no file, and nothing is said of routers', async () => {
    expect(await discoverPaas({ configured: [], file: join(folder, 'none'), defaultRouter: false })).toEqual([]);
  });

  it('are only what is an address', () => {
    expect(addressesIn('fe80::1%eth0 $(reboot) 300.1.1.1 ::1 x\n')).toEqual(['fe80::1%eth0', '::1']);
    expect(addressesIn('::1 '.repeat(100))).toHaveLength(32);
  });
});

describe('the hook of the DHCP client', () => {
  const file = () => join(folder, 'db', 'agents');
  /** As dhclient's and dhcpcd's scripts do it: read by their shell, with options in variables. */
  const run = async (environment: Record<string, string>) => {
    const script = `. '${hookPath('dhcp-pana.sh')}'; echo goes on`;
    const { stdout } = await promisify(execFile)('sh', ['-c', script], {
      env: { PATH: '/usr/bin:/bin', PANA_AGENTS_FILE: file(), ...environment },
    });
    expect(stdout).toBe('goes on\n');
  };
  const found = () => discoverPaas({ configured: [], file: file(), defaultRouter: false });

  it('writes what pana-pac reads, of both address families', async () => {
    await run({ reason: 'BOUND', new_pana_agent: '192.0.2.1,192.0.2.2' });
    expect(await found()).toEqual(['192.0.2.1', '192.0.2.2']);
    await run({ reason: 'BOUND6', new_dhcp6_pana_agent: '2001:db8::1 2001:db8::2' });
    expect(await found()).toEqual(['2001:db8::1', '2001:db8::2', '192.0.2.1', '192.0.2.2']);
    await run({ reason: 'EXPIRE', old_pana_agent: '192.0.2.1' });
    expect(await found()).toEqual(['2001:db8::1', '2001:db8::2']);
  });

  it('writes nothing of a server that says something else, or for another reason', async () => {
    await run({ reason: 'BOUND', new_pana_agent: '192.0.2.1' });
    await run({ reason: 'RENEW', new_pana_agent: '$(reboot)' });
    await run({ reason: 'PREINIT', new_pana_agent: '192.0.2.9' });
    expect((await readFile(file(), 'utf8')).trim()).toBe('192.0.2.1');
  });
});
