import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { HOME_AGENT, hookPath, type Lab, type Tree } from '../../dist/lab/lab.js';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { run } from '../daemons/program.js';
import { eventually } from '../eventually.js';
import { AccessNetwork, announce, ROUTER } from './access-network.js';
import { Charon, userSpaceEspMissing } from './charon.js';
import { startDns } from './dns-server.js';

const possible = announce('home addresses by IKEv2 with EAP', userSpaceEspMissing());

const MN = 'mn1@home.example';
const HA_HOST = 'ha1.home.example';
const SECRET = 'a secret of more than sixteen octets';
const CORRESPONDENT = '2001:db8:c::2';

const EAP_RADIUS = `
    eap-radius {
      eap_start = no
      accounting = yes
      nas_identifier = ${HA_HOST}
      dae {
        enable = yes
        listen = 127.0.0.1
        port = 3799
        secret = ${SECRET}
      }
      servers {
        aaa {
          address = 127.0.0.1
          secret = ${SECRET}
          auth_port = 1812
          acct_port = 1813
        }
      }
    }`;

/** A node; and on the other host the access router, the AAA server, the home agent and a correspondent. */
class Scene {
  readonly net: AccessNetwork;
  readonly lab: Lab;
  readonly ha: Charon;
  readonly node: Charon;

  private constructor(net: AccessNetwork, lab: Lab) {
    this.net = net;
    this.lab = lab;
    this.ha = new Charon(net.router, lab.path('ha'), { userSpaceEsp: true, eap: EAP_RADIUS });
    this.node = new Charon(net.node, lab.path('mn'), { userSpaceEsp: true, eap: '' });
  }

  /** `certificate`: whether the home agent has one. `hasHook`: whether the AAA server runs its hook when a node leaves. */
  static async make(certificate: boolean, hasHook = true): Promise<Scene> {
    const net = await AccessNetwork.make();
    // charon has no EC keys without the plugin openssl.
    const hookSettings = (name: string): string => (name === 'aaa' ? scene.#settings(certificate) : '');
    const lab: Lab = await net.lab({ keys: 'rsa', hookSettings });
    const scene = new Scene(net, lab);
    for (const address of [HOME_AGENT, CORRESPONDENT]) {
      await net.ip(net.router, 'address', 'add', `${address}/128`, 'dev', 'lo', 'nodad');
      await net.ip(net.node, 'route', 'add', address, 'via', ROUTER);
    }
    const charons = [scene.ha, scene.node].map(async (charon) => {
      onTestFinished(() => charon.stop());
      await charon.start();
    });
    await lab.issueServer('ha', [HA_HOST]);
    if (certificate) await scene.#certify();
    // The first probe gives the home agent its connection.
    await Promise.all(charons);
    await scene.#startAaa(hasHook);
    await lab.addSubscriber(MN, 'mn1', { ikev2HomeAddress: true });
    return scene;
  }

  async #certify(): Promise<void> {
    for (const [folder, from] of [
      ['x509', 'ha.pem'],
      ['private', 'ha-key.pem'],
    ] as const) {
      await mkdir(join(this.ha.swanctl, folder), { recursive: true });
      await copyFile(this.lab.path('pki', from), join(this.ha.swanctl, folder, 'ha.pem'));
    }
  }

  #settings(certificate: boolean): string {
    const name = certificate ? 'ha.pem' : 'none';
    return `${this.ha.settings}MOBILITY=none\nINTERFACE=lo\nWATCH=no\nHOME_AGENT_CERTIFICATE=${name}\n`;
  }

  async #startAaa(hasHook: boolean): Promise<void> {
    const { lab } = this;
    await writeFile(lab.path('ha.secret'), `${SECRET}\n`, { mode: 0o600 });
    // strongSwan 5.9.8 does not know it.
    const older = { 'extended-master-secret': 'wanted' };
    const client = { name: 'ha1', from: ['127.0.0.0/8'], 'secret-file': lab.path('ha.secret'), 'home-agent': true };
    await lab.startAaa('aaa', {
      diameter: { listen: ['::1'], port: 3868 },
      hooks: { probe: hookPath('ha-linux.sh'), ...(hasHook ? {} : { ha: '/bin/true' }) },
      radius: { listen: ['127.0.0.1'], clients: [{ ...client, ...older, dae: { address: '127.0.0.1' } }] },
    });
    await lab.administer('aaa', 'changeHomeAgent', { name: 'ha1', change: { ike: ['ikev2'] } });
  }

  async startPac(more: Tree, settings = ''): Promise<DaemonProcess> {
    const { lab, node } = this;
    const config = await lab.configurePac('mn1', { tls: { 'server-name': 'aaa.home.example' }, ...more });
    const own = `MOBILITY=none\nWATCH=no\nINITIATE_SECONDS=5\n${settings}`;
    await writeFile(lab.path('hooks', 'mn1', 'hooks.conf'), node.settings + own);
    return lab.start('mn1', 'pac', config);
  }

  /** A ping in ESP between the home address of the lease and the correspondent. Resolves with the home address. */
  async ping(): Promise<string> {
    const { net, lab } = this;
    const [lease, more] = await lab.leases();
    expect(more).toBeUndefined();
    const home = lease?.homeAddress ?? '';
    await net.exec(net.node, 'ping', '-6', '-c', '1', '-W', '2', '-I', home, CORRESPONDENT);
    await net.exec(net.router, 'ping', '-6', '-c', '1', '-W', '2', '-I', CORRESPONDENT, home);
    return home;
  }

  disable(): Promise<unknown> {
    return this.lab.administer('aaa', 'changeSubscriber', { nai: MN, change: { enabled: false } });
  }

  /** Asserts that neither end has anything of the node, except the home agent's connection of all nodes. */
  async expectNothingLeft(home: string): Promise<void> {
    await eventually(async () => {
      expect(await this.ha.sas()).toEqual([]);
      expect(await this.node.sas()).toEqual([]);
      expect(await this.lab.administer('aaa', 'listSessions', {})).toMatchObject({ items: [] });
      expect(await this.lab.leases()).toEqual([]);
    });
    const { net, node } = this;
    expect(await readdir(join(node.swanctl, 'conf.d'))).toEqual([]);
    for (const folder of ['x509', 'x509ca', 'private']) {
      expect(await readdir(join(node.swanctl, folder)).catch(() => [])).toEqual([]);
    }
    expect(await net.exec(net.node, 'ip', '-6', 'rule')).not.toMatch(/^21[89]:/m);
    for (const host of [net.node, net.router]) {
      expect(await net.exec(host, 'ip', '-6', 'address')).not.toContain(home);
      expect(await net.exec(host, 'ip', '-6', 'neighbour', 'show', 'proxy')).not.toContain(home);
    }
  }

  /** Another connection of the node's charon, with the credentials of the shipped hook's; resolves with what swanctl says. */
  async initiate(name: string, change: (connection: string) => string): Promise<string> {
    const { node } = this;
    const folder = join(node.swanctl, 'conf.d');
    const [file = ''] = await readdir(folder);
    const own = await readFile(join(folder, file), 'utf8');
    const other = change(own.replace(/^ {2}pana-eap-\d+/m, `  ${name}`).replace(/^ *start_action.*\n/m, ''));
    await writeFile(join(folder, 'other.conf'), other);
    await node.call('--load-all', '--noprompt');
    const said = await node
      .call('--initiate', '--child', 'mip6', '--ike', name, '--timeout', '5')
      .catch(({ stdout }: { stdout: string }) => stdout);
    await rm(join(folder, 'other.conf'));
    return said;
  }
}

const up = ({ event }: { readonly event?: unknown }) => event === 'up';

describe.runIf(possible)('A node that gets its home agent by PANA and its home address by IKEv2', () => {
  it('has traffic, keeps it when it authenticates again, and loses everything when its subscriber is disabled', async () => {
    const scene = await Scene.make(true);
    const { lab, ha } = scene;
    await lab.startPaa({ address: '::1', port: 3868 });
    const pac = await scene.startPac({
      pana: { interface: 'mn0' },
      mobility: { ike: ['ikev2'], 'home-address': 'ikev2' },
    });
    expect((await pac.line('bootstrap completed'))['homeAddress']).toBeUndefined();
    const said = await pac.line('hook output', ({ line }) => String(line).startsWith('home address'));
    await pac.line('hook done', up);
    const home = await scene.ping();
    expect(said['line']).toBe(`home address ${home}`);
    const [sa, more] = await ha.established();
    expect(more).toBeUndefined();
    expect(sa).toMatchObject({ connection: 'pana-eap', remoteId: MN, child: true });

    expect((await run('pac', ['reauth', '--control.socket', lab.socket('mn1')])).status).toBe(0);
    await pac.line('hook done', ({ event }) => event === 'refresh');
    expect(await ha.established()).toEqual([sa]);
    expect(await scene.ping()).toBe(home);

    await scene.disable();
    await pac.line('hook done', ({ event }) => event === 'down');
    await scene.expectNothingLeft(home);
    // The Disconnect-Request, or the hook of the home agent, whichever came first.
    expect(await ha.log()).toMatch(/received RADIUS DAE Disconnect|deleting IKE_SA pana-eap/);
  });

  it('gets neither the name nor the address of another node', async () => {
    const scene = await Scene.make(true);
    const { lab, ha } = scene;
    const other = '2001:db8:1::77';
    await lab.addSubscriber('mn2@home.example', 'mn2', { ikev2HomeAddress: true, homeAddress: other });
    await lab.startPaa({ address: '::1', port: 3868 });
    const pac = await scene.startPac({
      pana: { interface: 'mn0' },
      mobility: { ike: ['ikev2'], 'home-address': 'ikev2' },
    });
    await pac.line('hook done', up);
    const home = await scene.ping();

    // Without the certificate of the other one; that the AAA server compares name and certificate is shown without charon.
    const renamed = await scene.initiate('as-mn2', (text) => text.replace(`id = ${MN}`, 'id = mn2@home.example'));
    expect(renamed).toContain('EAP authentication failed');
    await lab.daemon('aaa')?.line('authentication failed', ({ identity }) => identity === 'mn2@home.example');
    expect((await ha.established()).map(({ remoteId }) => remoteId)).toEqual([MN]);

    await scene.initiate('for-mn2', (text) =>
      text.replace('vips = ::', `vips = ${other}`).replace('local_ts = dynamic', `local_ts = ${other}/128`),
    );
    const raw = await ha.call('--list-sas', '--raw');
    expect(raw).not.toContain(other);
    expect(raw).toContain(home);
  });
});

describe.runIf(possible).each(['dns', 'dhcpv6'] as const)('A node that finds its home agent by %s', (discovery) => {
  it('has traffic, and loses it when its subscriber is disabled', async () => {
    // Without the hook, only a Disconnect-Request can end the IKE_SA at the home agent.
    const scene = await Scene.make(discovery === 'dns', discovery === 'dns');
    const { lab, net, ha } = scene;
    const option = `69 00480010${Buffer.from(parseAddress(HOME_AGENT) ?? []).toString('hex')}`;
    await writeFile(lab.path('home-agents'), `${option}\n`);
    if (discovery === 'dns') {
      await startDns(net, lab, [
        `srv-host=_mip6._ipv6.home.example,${HA_HOST},500,1`,
        `host-record=${HA_HOST},${HOME_AGENT}`,
      ]);
    }
    // EAP-only authentication needs the name only to recognize the home agent.
    const settings = discovery === 'dns' ? '' : `HOME_AGENT_ID=${HA_HOST}\nHOME_AGENT_AUTH=eap\n`;
    const pac = await scene.startPac(
      {
        pana: { paa: [ROUTER], interface: 'mn0' },
        mobility: {
          discovery,
          ...(discovery === 'dns'
            ? { 'dns-after': '1s', 'dns-servers': [ROUTER] }
            : { 'home-agent-file': lab.path('home-agents') }),
        },
      },
      settings,
    );
    await pac.line('bootstrap completed', ({ source }) => source === discovery);
    await pac.line('hook done', up);
    const home = await scene.ping();
    expect(await ha.established()).toMatchObject([{ connection: 'pana-eap', remoteId: MN, child: true }]);

    await scene.disable();
    await eventually(async () => expect(await ha.sas()).toEqual([]));
    if (discovery === 'dhcpv6') expect(await ha.log()).toContain('received RADIUS DAE Disconnect');
    await pac.stop();
    await scene.expectNothingLeft(home);
  });
});
