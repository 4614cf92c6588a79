import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { announce } from '../system/access-network.js';
import { asText, type Ended, hasProgram, made, pathWith, runCommand, SHELLS, testNode } from './hook-rig.js';

const NODE = testNode(1);
const HERE = SHELLS.filter(({ shell, command: [program = ''] }) =>
  announce(`hooks under ${shell}`, hasProgram(program) ? undefined : `they need ${program}`),
);

let state: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-eap-hooks-'));
});

afterEach(() => rm(state, { recursive: true, force: true }));

const settle = (settings: string) =>
  writeFile(join(state, 'hooks.conf'), `DRY_RUN=yes\nIKE=strongswan\nMOBILITY=none\nWATCH=no\n${settings}`);

const pem = (name: string) => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;

describe.each(HERE)('The hooks of a home address by IKEv2 under $shell', ({ command }) => {
  const hook = (script: string, event: string, more: Record<string, string>): Promise<Ended> =>
    runCommand([...command, hookPath(script), event], '', {
      PATH: pathWith(undefined),
      HOME: '/',
      LANG: 'C',
      SYSCTL: join(state, 'sysctl'),
      SYSFS: join(state, 'sysfs'),
      MIP6_EVENT: event,
      MIP6_ROLE: script.slice(0, 2),
      MIP6_STATE_DIR: state,
      MIP6_MN_ID: NODE.id,
      MIP6_HA: '2001:db8:1::1',
      MIP6_HA_HOST: 'ha.home.example',
      MIP6_IKE: 'ikev2',
      ...more,
    });

  async function ha(event: string, key: string | undefined): Promise<Ended> {
    const keyFile = join(state, 'key');
    await writeFile(keyFile, `${NODE.key}\n`, { mode: 0o600 });
    return hook('ha-linux.sh', event, {
      MIP6_HOA: NODE.hoa,
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_SESSION: 's1',
      ...(event === 'down' ? {} : { MIP6_PSK_FILE: keyFile }),
      ...(key === 'eap' ? { MIP6_HOA_BY: 'ikev2' } : {}),
    });
  }

  async function mn(event: string, more: Record<string, string> = {}): Promise<Ended> {
    const file = (name: string) => join(state, 'keys', name);
    return hook('mn-linux.sh', event, {
      MIP6_HOA_BY: 'ikev2',
      MIP6_AAA_HOST: 'aaa.home.example',
      MIP6_CERTIFICATE_FILE: file('mn.pem'),
      MIP6_KEY_FILE: file('mn-key.pem'),
      MIP6_CA_FILE: file('ca.pem'),
      MIP6_INTERFACE: 'eth0',
      ...more,
    });
  }

  it('give a home agent one connection for all such nodes, and never use "eap" as a key', async () => {
    await settle('HOME_AGENT_CERTIFICATE=ha.pem\n');
    const own = `swanctl/conf.d/pana-${NODE.id}.conf 600`;
    expect(await ha('up', 'psk')).toMatchObject({ status: 0 });
    const withKey = await made(state);
    expect(withKey.get(own)).toContain(`secret = ${NODE.key}`);
    const shared = withKey.get('swanctl/conf.d/mip6-eap.conf 600') ?? '';
    expect(shared).toContain('pools = radius');
    expect(shared).toContain('certs = ha.pem');
    expect(shared).not.toContain(NODE.id);

    expect(await ha('refresh', 'eap')).toMatchObject({ status: 0 });
    expect((await made(state)).has(own)).toBe(false);

    // The node has a key again: the home agent accepts no other one.
    expect(await ha('refresh', 'psk')).toMatchObject({ status: 0 });
    expect((await made(state)).get(own)?.match(/secret = .*/g)).toEqual([`secret = ${NODE.key}`]);

    await settle('');
    expect(await ha('refresh', 'eap')).toEqual({
      status: 1,
      output: `error: ${NODE.id} authenticates by EAP: set HOME_AGENT_CERTIFICATE in hooks.conf\n`,
    });
    expect(await ha('down', undefined)).toMatchObject({ status: 0 });
    expect(asText(await made(state))).not.toContain(NODE.id);
  });

  it('end the IKE_SA that has the home address, and none that the identity of a stranger names', async () => {
    const bin = join(state, 'bin');
    const sa = (id: number, identity: string, rest: string) =>
      `list-sa event {pana-eap {uniqueid=${id} version=2 state=CONNECTING local-id=ha.home.example remote-host=fe80::1 remote-id=${identity} initiator-spi=8 responder-spi=9 ${rest} child-sas {}}}`;
    const forged = `x list-sa event {pana-eap {uniqueid=77 remote-vips=[${NODE.hoa}] initiator-spi=7 remote-vips=[${NODE.hoa}] `;
    const vips = `remote-vips=[${NODE.hoa}]`;
    const list = [sa(5, forged, 'tasks=[]'), sa(6, NODE.id, vips), sa(7, 'mn2@home.example', `${vips.slice(0, -1)}1]`)];
    await mkdirWith(bin, {});
    const swanctl = `#!/bin/sh\necho "$*" >>${bin}/calls\n[ "$1" != --list-sas ] || cat <<'END'\n${list.join('\n')}\nEND\n`;
    await writeFile(join(bin, 'swanctl'), swanctl, { mode: 0o755 });
    await writeFile(join(bin, 'ip'), '#!/bin/sh\n', { mode: 0o755 });
    const settings = ['IKE=strongswan', 'MOBILITY=none', 'WATCH=no', `SWANCTL_DIR=${state}/swanctl`];
    await writeFile(join(state, 'hooks.conf'), `${settings.join('\n')}\nHOME_AGENT_CERTIFICATE=ha.pem\n`);
    const more = {
      MIP6_HOA: NODE.hoa,
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      PATH: pathWith(bin),
    };
    expect(await hook('ha-linux.sh', 'down', more)).toMatchObject({
      status: 0,
    });
    const calls = (await readFile(join(bin, 'calls'), 'utf8')).split('\n');
    expect(calls.filter((call) => call.includes('--ike-id'))).toEqual(['--terminate --ike-id 6 --force']);
  });

  it('give a node a connection with its certificate, and take the copies away', async () => {
    await settle('SWANCTL_DIR="$MIP6_STATE_DIR/own"\n');
    await mkdirWith(join(state, 'keys'), {
      'mn.pem': pem('MN'),
      'mn-key.pem': 'KEY\n',
      'ca.pem': `# comment\n${pem('CA1')}${pem('CA2')}`,
    });
    expect(await mn('up')).toMatchObject({ status: 0 });
    const files = await made(state);
    expect(files.get(`own/conf.d/pana-${NODE.id}.conf 600`)).toMatch(
      /vips = ::\n[\s\S]*?auth = eap-tls\n[\s\S]*?aaa_id = aaa\.home\.example\n[\s\S]*?auth = pubkey\n +cacerts = pana-ca-1\.pem, pana-ca-2\.pem\n +id = ha\.home\.example\n/,
    );
    expect(files.get('own/private/pana-mn.pem 600')).toBe('KEY\n');
    expect(files.get('own/x509ca/pana-ca-2.pem 644')).toBe(pem('CA2'));
    // After a CA was removed.
    await writeFile(join(state, 'keys', 'ca.pem'), pem('CA3'));
    expect(await mn('refresh')).toMatchObject({ status: 0 });
    expect(await readdir(join(state, 'own', 'x509ca'))).toEqual(['pana-ca-1.pem']);
    expect(await readFile(join(state, 'own', 'x509ca', 'pana-ca-1.pem'), 'utf8')).toBe(pem('CA3'));

    expect(await mn('down')).toMatchObject({ status: 0 });
    expect([...(await made(state)).keys()]).toEqual(['own/swanctl.conf 640']);
  });

  it('leave no copy of the key of a certificate to charon, nor to a node that has a key from PANA now', async () => {
    await mkdirWith(join(state, 'keys'), {
      'mn.pem': pem('MN'),
      'mn-key.pem': 'KEY\n',
      'ca.pem': pem('CA'),
      psk: NODE.key,
    });
    const copies = async () => [...(await made(state)).keys()].filter((name) => name.includes('.pem '));
    await settle('');
    expect(await mn('up')).toMatchObject({ status: 0 });
    expect(await copies()).toHaveLength(3);
    const psk = { MIP6_HOA: NODE.hoa, MIP6_PREFIX_LEN: '64', MIP6_PSK_FILE: join(state, 'keys', 'psk') };
    expect(await mn('up', { ...psk, MIP6_HOA_BY: '' })).toMatchObject({ status: 0 });
    expect(await copies()).toEqual([]);

    expect(await mn('up')).toMatchObject({ status: 0 });
    const bin = join(state, 'bin');
    const folder = join(state, 'swanctl');
    const swanctl = `#!/bin/sh\n[ "$1" != --load-all ] || ls ${folder}/private ${folder}/x509ca ${folder}/conf.d >${bin}/loaded\n`;
    await mkdirWith(bin, {});
    await writeFile(join(bin, 'swanctl'), swanctl, { mode: 0o755 });
    await writeFile(join(bin, 'ip'), '#!/bin/sh\n', { mode: 0o755 });
    const settings = ['IKE=strongswan', 'MOBILITY=none', 'WATCH=no', `SWANCTL_DIR=${folder}`];
    await writeFile(join(state, 'hooks.conf'), `${settings.join('\n')}\n`);
    expect(await mn('down', { PATH: pathWith(bin) })).toMatchObject({ status: 0 });
    expect(await readFile(join(bin, 'loaded'), 'utf8')).not.toMatch(/pana-(mn|ca)[^/\n]*\.(pem|conf)/);
  });

  it('refuse what they cannot do', async () => {
    await mkdirWith(join(state, 'keys'), {
      'mn.pem': pem('MN'),
      'mn-key.pem': 'KEY\n',
      'ca.pem': 'nothing\n',
    });
    await settle('');
    expect((await mn('up')).output).toMatch(/^error: there is no certificate in .*ca\.pem\n$/);
    expect((await mn('up', { MIP6_HA_HOST: '' })).output).toBe(
      'error: the home agent has no name: set HOME_AGENT_ID in hooks.conf\n',
    );
    // DNS can be forged, and the PAA may have a certificate of the same CA.
    const forged = { MIP6_SOURCE: 'dns', MIP6_HA_HOST: 'paa.access.example' };
    expect((await mn('up', forged)).output).toBe(
      'error: paa.access.example is not in home.example: set HOME_AGENT_ID in hooks.conf\n',
    );
    expect((await mn('up', { MIP6_AAA_HOST: 'a\n}' })).output).toBe('error: AAA_ID is not a plain name\n');
    await settle('HOME_AGENT_ID=*.*.example\n');
    expect((await mn('up')).output).toBe('error: HOME_AGENT_ID is not a plain name\n');
    await settle('HOME_AGENT_AUTH=no\n');
    expect((await mn('up')).output).toContain('HOME_AGENT_AUTH=no in hooks.conf is not certificate or eap');
    await settle('MOBILITY=umip\n');
    for (const event of ['up', 'test']) {
      expect((await mn(event)).output).toContain('a home address by IKEv2 needs MOBILITY=none in hooks.conf');
    }
    await settle('IKE=racoon\n');
    expect((await mn('up')).output).toContain('a home address by IKEv2 needs IKE=strongswan in hooks.conf');
    expect((await ha('up', 'eap')).output).toContain('a home address by IKEv2 needs IKE=strongswan in hooks.conf');
    expect(await readdir(state)).toEqual(expect.not.arrayContaining(['swanctl', 'nodes']));
  });
});

async function mkdirWith(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
}
