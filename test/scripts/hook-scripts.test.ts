import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { eventually, within } from '../eventually.js';

const run = promisify(execFile);
const KEYS = ['00', '11', '22'].map((octet) => `0x${octet.repeat(64)}`);
const NODES = [
  { id: 'mn@home.example', hoa: '2001:db8:1::1234' },
  { id: 'mn2@home.example', hoa: '2001:db8:1::5678' },
] as const;
let state: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-hook-'));
  await writeFile(join(state, 'hooks.conf'), 'DRY_RUN=yes\nIKE=racoon\nINTERFACE=eth7\n');
});

afterEach(() => rm(state, { recursive: true, force: true }));

interface Call {
  readonly event: string;
  readonly role?: 'mn' | 'ha' | 'ep';
  readonly node?: { readonly id: string; readonly hoa: string };
  readonly key?: string | undefined;
  readonly environment?: Record<string, string>;
}

/** Runs a hook as a daemon does. */
async function hook(name: string, { event, role = 'mn', node = NODES[0], key = KEYS[0], environment = {} }: Call) {
  const keyFile = join(state, 'the-key');
  if (key !== undefined) await writeFile(keyFile, `${key}\n`, { mode: 0o600 });
  return run(hookPath(name), [event], {
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/',
      LANG: 'C',
      MIP6_EVENT: event,
      MIP6_ROLE: role,
      MIP6_STATE_DIR: state,
      MIP6_MN_ID: node.id,
      MIP6_HOA: node.hoa,
      MIP6_HA: '2001:db8:1::1',
      MIP6_HA_HOST: 'ha.home.example',
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_LIFETIME: '3600',
      MIP6_IKE: 'ikev1',
      ...(event === 'down' ? {} : { MIP6_PSK_FILE: keyFile }),
      ...environment,
    },
  });
}

async function file(name: string): Promise<string> {
  return (await readFile(join(state, name), 'utf8')).replaceAll(state, '$STATE');
}

async function files(): Promise<string[]> {
  const entries = await readdir(state, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !['hooks.conf', 'the-key'].includes(entry.name))
    .map((entry) => entry.name)
    .sort();
}

const RACOON_TIMER = `timer {
  counter 20;
  interval 1 sec;
}
`;
const RACOON_PROPOSAL = `  exchange_mode aggressive;
  ike_frag off;
  initial_contact on;
  dpd_delay 2;
  dpd_retry 1;
  dpd_maxfail 2;
  proposal_check obey;
  lifetime time 1 hour;
  proposal {
    encryption_algorithm aes 128;
    hash_algorithm sha256;
    authentication_method pre_shared_key;
    dh_group modp2048;
  }
`;
const SAINFO = `{
  lifetime time 30 min;
  encryption_algorithm aes 128;
  authentication_algorithm hmac_sha256;
  compression_algorithm deflate;
}
`;

describe.each(['mn-linux.sh', 'mn-freebsd.sh'])('%s at the mobile node, with racoon', (script) => {
  it('writes a racoon configuration with identifier and key', async () => {
    await hook(script, { event: 'up' });
    expect(await file('psk.txt')).toBe(`ha.home.example ${KEYS[0]}\n`);
    expect(await file('racoon.conf')).toBe(`path pre_shared_key "$STATE/psk.txt";

${RACOON_TIMER}
remote 2001:db8:1::1 {
  my_identifier user_fqdn "mn@home.example";
  peers_identifier fqdn "ha.home.example";
  verify_identifier on;
  script "$STATE/racoon-dead" phase1_dead;
${RACOON_PROPOSAL}}

sainfo address 2001:db8:1::1234[any] 135 address 2001:db8:1::1[any] 135 ${SAINFO}`);
  });

  it('replaces the key at refresh, and removes all files at down, which may be repeated', async () => {
    await hook(script, { event: 'up' });
    await hook(script, { event: 'up' });
    await hook(script, { event: 'refresh', key: KEYS[1] });
    expect(await file('psk.txt')).toBe(`ha.home.example ${KEYS[1]}\n`);
    await hook(script, { event: 'move' });
    await hook(script, { event: 'reconfigure' });
    await hook(script, { event: 'down', key: undefined });
    expect(await files()).toEqual([]);
    await hook(script, { event: 'down', key: undefined });
  });

  it('never prints the key', async () => {
    const { stdout, stderr } = await hook(script, { event: 'up', key: KEYS[1] });
    expect(stdout + stderr).not.toContain('1111');
    expect(stdout).toContain('dry run: ');
  });
});

describe('mn-linux.sh with UMIP', () => {
  it('writes mip6d.conf', async () => {
    await hook('mn-linux.sh', { event: 'up' });
    expect(await file('mip6d.conf')).toBe(`NodeConfig MN;
DebugLevel 0;
Interface "eth7";
MnMaxHaBindingLife 60;
InitialBindackTimeoutFirstReg 1.5;
DoRouteOptimizationMN disabled;
OptimisticHandoff enabled;
InitialBindackTimeoutReReg 0.2;
UseMnHaIPsec enabled;
KeyMngMobCapability enabled;

MnHomeLink "eth7" {
  HomeAgentAddress 2001:db8:1::1;
  HomeAddress 2001:db8:1::1234/64;
}

IPsecPolicySet {
  HomeAgentAddress 2001:db8:1::1;
  HomeAddress 2001:db8:1::1234/64;
  IPsecPolicy Mh UseESP 1 2;
}
`);
    expect(await files()).toEqual(['mip6d.conf', NODES[0].id, 'psk.txt', 'racoon.conf']);
  });
});

describe('mn-freebsd.sh with SHISA', () => {
  it('writes setkey files that add and delete its policies', async () => {
    await hook('mn-freebsd.sh', { event: 'up' });
    expect(
      await file('setkey.conf'),
    ).toBe(`spdadd 2001:db8:1::1234 2001:db8:1::1 mobility-header -P out ipsec esp/transport//unique:1;
spdadd 2001:db8:1::1 2001:db8:1::1234 mobility-header -P in ipsec esp/transport//unique:2;
`);
    expect(await file('setkey-down.conf')).toBe(`spddelete 2001:db8:1::1234 2001:db8:1::1 mobility-header -P out;
spddelete 2001:db8:1::1 2001:db8:1::1234 mobility-header -P in;
`);
    expect(await file('mnd.conf')).toContain('home-registration-lifetime 60;');
  });
});

describe.each(['ha-linux.sh', 'ha-freebsd.sh'])('%s at the home agent, with racoon', (script) => {
  const ha = (event: string, node: (typeof NODES)[number], key?: string) =>
    hook(script, { event, role: 'ha', node, ...(key === undefined ? {} : { key }) });
  const sainfo = ({ id, hoa }: (typeof NODES)[number]) =>
    `\nsainfo address 2001:db8:1::1[any] 135 address ${hoa}[any] 135 from user_fqdn "${id}" ${SAINFO}`;
  const head = `path pre_shared_key "$STATE/psk.txt";

${RACOON_TIMER}
listen {
  isakmp 2001:db8:1::1 [500];
}

remote anonymous {
  my_identifier fqdn "ha.home.example";
${RACOON_PROPOSAL}  passive on;
  generate_policy off;
}
`;

  it("writes racoon's files for one node, for two, for the other one and for none", async () => {
    await ha('up', NODES[0], KEYS[0]);
    expect(await file('psk.txt')).toBe(`${NODES[0].id} ${KEYS[0]}\n`);
    expect(await file('racoon.conf')).toBe(head + sainfo(NODES[0]));
    await ha('up', NODES[1], KEYS[1]);
    expect(await file('psk.txt')).toBe(`${NODES[1].id} ${KEYS[1]}\n${NODES[0].id} ${KEYS[0]}\n`);
    expect(await file('racoon.conf')).toBe(head + sainfo(NODES[1]) + sainfo(NODES[0]));
    await ha('refresh', NODES[1], KEYS[2]);
    expect(await file('psk.txt')).toBe(`${NODES[1].id} ${KEYS[2]}\n${NODES[0].id} ${KEYS[0]}\n`);
    await ha('down', NODES[0]);
    expect(await file('psk.txt')).toBe(`${NODES[1].id} ${KEYS[2]}\n`);
    expect(await file('racoon.conf')).toBe(head + sainfo(NODES[1]));
    await ha('down', NODES[1]);
    expect(await file('psk.txt')).toBe('');
    expect(await file('racoon.conf')).toBe(head);
  });

  it('loses no node when many hooks run at once', async () => {
    const nodes = Array.from({ length: 12 }, (_, i) => ({ id: `n${i}@home.example`, hoa: `2001:db8:1::${i + 16}` }));
    // Each has its own key file, as from the daemon.
    await Promise.all(
      nodes.map(async (node, i) => {
        const keyFile = join(state, 'keys', String(i));
        await mkdir(join(state, 'keys'), { recursive: true });
        await writeFile(keyFile, `0x${'ab'.repeat(64)}\n`);
        return hook(script, { event: 'up', role: 'ha', node, key: undefined, environment: { MIP6_PSK_FILE: keyFile } });
      }),
    );
    const names = (await file('psk.txt'))
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]);
    expect(names.sort()).toEqual(nodes.map(({ id }) => id).sort());
  });

  it('works after a hook was killed halfway', async () => {
    await ha('up', NODES[0], KEYS[0]);
    // The lock of a process that has ended, and a partial file.
    await symlink('999999', join(state, '.locked'));
    await writeFile(join(state, '.new.999999'), 'half');
    const before = await file('racoon.conf');
    await ha('up', NODES[1], KEYS[1]);
    expect(await file('racoon.conf')).not.toBe(before);
    expect((await file('psk.txt')).split('\n')).toHaveLength(3);
  });

  it.each([
    {
      what: 'a process id with a boot id, used by another process now',
      target: `${process.pid}@0b6e7a0c-0000-0000-0000-000000000000:77`,
    },
    { what: 'a process id alone, used by another process now', target: `${process.pid}` },
  ])('removes a lock from before a restart of the host: $what', async ({ target }) => {
    await symlink(target, join(state, '.locked'));
    // The process that was about to remove it was killed too.
    await symlink(target, join(state, '.locked.stale'));
    await ha('up', NODES[0], KEYS[0]);
    expect((await readdir(state)).filter((name) => name.startsWith('.locked'))).toEqual([]);
  });

  it('removes a stale lock left by an earlier version that was killed while removing it', async () => {
    await symlink('999999', join(state, '.locked'));
    await mkdir(join(state, '.locked.stale'));
    await ha('up', NODES[0], KEYS[0]);
    expect((await readdir(state)).filter((name) => name.startsWith('.locked'))).toEqual([]);
  });

  it('waits for a process that holds the lock', async () => {
    const holder = spawn('sh', ['-c', `. "${hookPath('common.sh')}"; lock; echo; read -r _`, 'hook', ''], {
      env: { PATH: process.env['PATH'] ?? '', MIP6_STATE_DIR: state, MIP6_ROLE: 'ha', MIP6_EVENT: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await within(once(holder.stdout, 'data'), 'holder.stdout says something');
    const bin = join(state, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'sleep'), `#!/bin/sh\necho >>${state}/waits\nexec /bin/sleep "$@"\n`, { mode: 0o755 });
    const PATH = `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`;
    const up = hook(script, { event: 'up', role: 'ha', environment: { PATH } });
    await eventually(async () => expect(await files()).toContain('waits'));
    expect(await files()).toEqual(['sleep', 'waits']);
    holder.stdin.end();
    await up;
    expect(await file('psk.txt')).toContain(NODES[0].id);
  });
});

describe('ha-linux.sh with UMIP', () => {
  it('writes mip6d.conf for all nodes', async () => {
    for (const [i, node] of NODES.entries()) await hook('ha-linux.sh', { event: 'up', role: 'ha', node, key: KEYS[i] });
    const policy = (hoa: string) => `
IPsecPolicySet {
  HomeAgentAddress 2001:db8:1::1;
  HomeAddress ${hoa}/64;
  IPsecPolicy Mh UseESP 1 2;
}
`;
    expect(await file('mip6d.conf')).toBe(`NodeConfig HA;
DebugLevel 0;
Interface "eth7";
HaMaxBindingLife 60;
UseMnHaIPsec enabled;
KeyMngMobCapability enabled;
DefaultBindingAclPolicy deny;
BindingAclPolicy 2001:db8:1::5678 allow;
BindingAclPolicy 2001:db8:1::1234 allow;
${policy('2001:db8:1::5678')}${policy('2001:db8:1::1234')}`);
  });
});

describe('ha-freebsd.sh with SHISA', () => {
  it('writes the policies of all nodes to setkey.conf for the next boot', async () => {
    for (const [i, node] of NODES.entries())
      await hook('ha-freebsd.sh', { event: 'up', role: 'ha', node, key: KEYS[i] });
    const lines = (await file('setkey.conf')).trim().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines).toContain(
      'spdadd 2001:db8:1::1 2001:db8:1::1234 mobility-header -P out ipsec esp/transport//unique:2;',
    );
    expect(await file('had.conf')).toBe('interface eth7 {\n  preference 10;\n};\n');
  });
});

describe('ep-list.sh', () => {
  const ep = (event: string, session: string, address: string) =>
    hook('ep-list.sh', { event, role: 'ep', environment: { MIP6_SESSION: session, MIP6_COA: address } });

  it('lists the permitted sessions with address and lifetime', async () => {
    await ep('permit', '0000000a', '2001:db8:a::11');
    await ep('permit', '0000000b', 'fe80::1%eth0');
    await ep('move', '0000000a', '2001:db8:b::11');
    expect((await file('clients')).trim().split('\n').sort()).toEqual([
      '0000000a 2001:db8:b::11 3600',
      '0000000b fe80::1%eth0 3600',
    ]);
    await ep('revoke', '0000000a', '2001:db8:b::11');
    expect(await file('clients')).toBe('0000000b fe80::1%eth0 3600\n');
  });
});

describe('Hostile values', () => {
  const scripts = ['mn-linux.sh', 'mn-freebsd.sh', 'ha-linux.sh', 'ha-freebsd.sh'];
  const ids = ['a"b', "a'b", 'a\nb', '$(touch pwned)', 'a;b', '-rf', '.hidden', '..', 'a/../b', 'x'.repeat(300), ''];

  it.each(scripts)('are rejected by %s before it writes a file', async (script) => {
    const role = script.startsWith('mn') ? 'mn' : 'ha';
    for (const id of ids) {
      await expect(hook(script, { event: 'up', role, node: { id, hoa: NODES[0].hoa } })).rejects.toThrow(
        'error: MIP6_MN_ID',
      );
    }
    for (const hoa of ['2001:db8::1;', '::1 ::2', '$(x)', '']) {
      await expect(hook(script, { event: 'up', role, node: { id: 'mn@home.example', hoa } })).rejects.toThrow(
        'MIP6_HOA',
      );
    }
    await expect(hook(script, { event: 'up', role, environment: { MIP6_PREFIX_LEN: '64;' } })).rejects.toThrow(
      'MIP6_PREFIX_LEN',
    );
    await expect(hook(script, { event: 'up', role, environment: { MIP6_HA_HOST: 'a b' } })).rejects.toThrow(
      'MIP6_HA_HOST',
    );
    await expect(hook(script, { event: 'up', role, key: '0x12; touch pwned' })).rejects.toThrow('key file');
    await expect(hook(script, { event: 'permit', role })).rejects.toThrow('is not for a');
    expect(await files()).toEqual([]);
  });
});

it('mn-freebsd.sh says that it cannot get a home address by IKEv2', async () => {
  const environment = { MIP6_HOA: '', MIP6_HOA_BY: 'ikev2' };
  await expect(hook('mn-freebsd.sh', { event: 'up', environment })).rejects.toMatchObject({
    stderr: expect.stringContaining('this hook cannot get a home address by IKEv2'),
  });
});
