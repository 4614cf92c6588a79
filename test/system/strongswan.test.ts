import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hookPath, type Lab } from '../../dist/lab/lab.js';
import { hasEsp } from '../../dist/lab/network-lab/charon.js';
import { run } from '../daemons/program.js';
import { AccessNetwork, announce, NODE } from './access-network.js';
import { Charon, charonMissing, until } from './charon.js';

const possible = announce('IKE by strongSwan in network namespaces', charonMissing());
const execute = promisify(execFile);
const HA = '2001:db8:1::1';
const HA_HOST = 'ha.home.example';
const KEYS = ['11', '22', '33'].map((octet) => `0x${octet.repeat(64)}`);

interface Mn {
  readonly id: string;
  readonly hoa: string;
}

interface Given {
  readonly key?: string | undefined;
  readonly session?: string;
  readonly ike?: 'ikev1' | 'ikev2';
  /** Lines of hooks.conf. */
  readonly settings?: string;
  /** A folder of programs that is first in PATH. */
  readonly programs?: string;
}

const mn = (n: number): Mn => ({ id: `mn${n}@home.example`, hoa: `2001:db8:1::${(0x1000 + n).toString(16)}` });

/** A home agent and mobile nodes behind one address, with a charon at each end. */
class Scene {
  readonly net: AccessNetwork;
  readonly folder: string;
  readonly ha: Charon;
  readonly node: Charon;
  readonly esp: boolean;

  private constructor(net: AccessNetwork, folder: string, esp: boolean) {
    this.net = net;
    this.folder = folder;
    this.ha = new Charon(net.router, join(folder, 'ha'));
    this.node = new Charon(net.node, join(folder, 'mn'));
    this.esp = esp;
  }

  static async make(which: readonly ('ha' | 'node')[] = ['ha', 'node']): Promise<Scene> {
    const net = await AccessNetwork.make();
    const folder = await mkdtemp(join(tmpdir(), 'pana-ike-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await net.ip(net.router, 'address', 'add', `${HA}/64`, 'dev', 'lo', 'nodad');
    await net.ip(net.node, 'route', 'add', '2001:db8:1::/64', 'via', '2001:db8:a::1');
    const esp = await hasEsp(net.node);
    if (!esp) process.stderr.write('*** this kernel has no ESP: only IKE_SAs are checked, no CHILD_SAs ***\n');
    const scene = new Scene(net, folder, esp);
    for (const name of which) {
      onTestFinished(() => scene[name].stop());
      await scene[name].start();
    }
    return scene;
  }

  get settings(): string {
    return `MOBILITY=none\nWATCH=no\nINITIATE_SECONDS=2\n${this.esp ? '' : 'CHILD_SA=no\n'}`;
  }

  /** Runs a hook as a daemon does; resolves with its output. */
  async hook(role: 'mn' | 'ha', event: string, { id, hoa }: Mn, given: Given = {}): Promise<string> {
    const { key = event === 'down' || event === 'probe' ? undefined : KEYS[0], session = 's1', ike = 'ikev2' } = given;
    const charon = role === 'mn' ? this.node : this.ha;
    const state = role === 'mn' ? join(this.folder, `state-${id}`) : join(this.folder, 'state');
    await mkdir(state, { recursive: true });
    await writeFile(join(state, 'hooks.conf'), charon.settings + this.settings + (given.settings ?? ''));
    const keyFile = join(state, 'key');
    if (key !== undefined) await writeFile(keyFile, `${key}\n`, { mode: 0o600 });
    const command = ['netns', 'exec', charon.namespace, hookPath(`${role}-linux.sh`), event];
    const env = {
      PATH: `${given.programs ?? '/'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
      HOME: '/',
      LANG: 'C',
      MIP6_EVENT: event,
      MIP6_ROLE: role,
      MIP6_STATE_DIR: state,
      MIP6_MN_ID: id,
      MIP6_SESSION: session,
      MIP6_HOA: hoa,
      MIP6_HA: HA,
      MIP6_HA_HOST: HA_HOST,
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_IKE: ike,
      ...(key === undefined ? {} : { MIP6_PSK_FILE: keyFile }),
    };
    const { stdout, stderr } = await execute('/usr/sbin/ip', command, { env }).finally(() =>
      rm(keyFile, { force: true }),
    );
    return stdout + stderr;
  }

  /** Asserts that a node is bound; includes a ping under ESP if the kernel supports it. */
  async expectBound({ id, hoa }: Mn): Promise<void> {
    const sas = (await this.ha.established()).filter(({ remoteId }) => remoteId === id);
    expect(sas).toHaveLength(1);
    expect(await this.net.exec(this.net.node, 'ip', '-6', 'address')).toContain(`${hoa}/128`);
    if (!this.esp) return;
    expect(sas[0]?.child).toBe(true);
    await this.net.exec(this.net.node, 'ping', '-6', '-c', '1', '-W', '2', '-I', hoa, HA);
  }
}

describe.runIf(possible)('strongSwan hooks', () => {
  it('establish an IKE_SA with the key of both ends, report its duration, and remove everything at down', async () => {
    const scene = await Scene.make();
    expect(await scene.hook('ha', 'up', mn(1))).toMatch(/^ready\n(.*\n)*nodes: 1\n$/);
    const said = await scene.hook('mn', 'up', mn(1));
    expect(said).toMatch(/^IKE_SA up \d+ ms after the hook began \(1 tries\)$/m);
    process.stderr.write(`*** ${said.split('\n')[0]} ***\n`);
    await scene.expectBound(mn(1));
    expect(await scene.node.established()).toMatchObject([{ remoteId: HA_HOST, version: 2 }]);

    expect(await scene.hook('mn', 'up', mn(1))).toContain('IKE_SA up');
    expect(await scene.ha.established()).toHaveLength(1);

    await scene.hook('mn', 'down', mn(1));
    await scene.hook('ha', 'down', mn(1));
    expect(await scene.ha.sas()).toEqual([]);
    expect(await scene.node.sas()).toEqual([]);
    for (const charon of [scene.ha, scene.node]) {
      expect(await readdir(join(charon.swanctl, 'conf.d'))).toEqual([]);
      expect(await charon.call('--list-conns')).not.toContain('pana');
    }
    expect(await scene.ha.log()).not.toContain('1111111111');
  });

  it('use aggressive mode if the home agent was assigned with IKEv1', async () => {
    const scene = await Scene.make();
    await scene.hook('ha', 'up', mn(1), { ike: 'ikev1' });
    await scene.hook('mn', 'up', mn(1), { ike: 'ikev1' });
    expect(await scene.ha.established()).toMatchObject([{ remoteId: mn(1).id, version: 1 }]);
  });

  it('leave home address and policies to UMIP', async () => {
    const scene = await Scene.make();
    // UMIP is not installed. A substitute for pgrep makes the home agent's hook believe that mip6d runs. Of the node's
    // hook only IKE is checked.
    const programs = join(scene.folder, 'bin');
    await mkdir(programs);
    await writeFile(join(programs, 'pgrep'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    await writeFile(join(programs, 'pkill'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const given = { programs, settings: 'MOBILITY=umip\nRADVD=no\n' };
    await scene.hook('ha', 'up', mn(1), { ...given, settings: `${given.settings}MIP6D_RELOAD=restart\n` });
    expect(await scene.hook('mn', 'up', mn(1), given)).toContain('IKE_SA up');
    expect(await scene.ha.established()).toMatchObject([{ remoteId: mn(1).id, child: scene.esp }]);
    expect(await scene.net.exec(scene.net.node, 'ip', '-6', 'address')).not.toContain(mn(1).hoa);
    expect(await scene.ha.log()).toContain(`is a transport mode proxy for ${mn(1).hoa}`);
  });

  it('establish no IKE_SA with another key or for a node unknown to the home agent', async () => {
    const scene = await Scene.make();
    await expect(scene.hook('mn', 'up', mn(1))).rejects.toThrow(
      /no IKE_SA with ha.home.example after \d+ tries: .*NO_PROPOSAL/,
    );
    await scene.hook('ha', 'up', mn(1), { key: KEYS[1] ?? '' });
    await scene.hook('ha', 'up', mn(2));
    await expect(scene.hook('mn', 'up', mn(1))).rejects.toThrow(/no IKE_SA .*AUTHENTICATION_FAILED/);
    expect(await scene.ha.established()).toEqual([]);
    expect(await scene.node.established()).toEqual([]);
    await scene.hook('mn', 'up', mn(2));
    expect(await scene.ha.established()).toMatchObject([{ remoteId: mn(2).id }]);
  });

  it('retry until the home agent knows the node', async () => {
    const scene = await Scene.make();
    const bound = scene.hook('mn', 'up', mn(1), { settings: 'INITIATE_SECONDS=20\n' });
    await until('a first try', async () => (await scene.ha.log()).includes('NO_PROP'));
    await scene.hook('ha', 'up', mn(1));
    expect(await bound).toMatch(/IKE_SA up \d+ ms after the hook began \(([2-9]|\d\d) tries\)/);
  });

  it('start charon if it does not run', async () => {
    const scene = await Scene.make(['ha']);
    await scene.hook('ha', 'up', mn(1));
    await scene.node.configure();
    const script = join(scene.folder, 'start-charon');
    const pidFile = join(scene.folder, 'charon.pid');
    await writeFile(script, `#!/bin/sh\necho $$ >${pidFile}\nexec unshare -m sh -c '${scene.node.command.at(-1)}'\n`, {
      mode: 0o755,
    });
    onTestFinished(async () => {
      process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGTERM');
    });
    const said = await scene.hook('mn', 'up', mn(1), { settings: `CHARON=${script}\n` });
    expect(said).toContain('charon is not running: ');
    await scene.expectBound(mn(1));
  });

  it('serve 20 nodes and change one without effect on the others', async () => {
    const scene = await Scene.make();
    const nodes = Array.from({ length: 20 }, (_, i) => mn(i + 1));
    for (const node of nodes) {
      await scene.hook('ha', 'up', node);
      await scene.hook('mn', 'up', node);
    }
    const before = await scene.ha.established();
    expect(before.map(({ remoteId }) => remoteId)).toEqual(nodes.map(({ id }) => id));

    // A re-authentication of one node gives it a new SA; the other 19 stay the same.
    await scene.hook('ha', 'refresh', mn(7), { key: KEYS[1] ?? '' });
    await scene.hook('mn', 'refresh', mn(7), { key: KEYS[1] ?? '' });
    const after = await scene.ha.established();
    const others = ({ remoteId }: { readonly remoteId: string }) => remoteId !== mn(7).id;
    expect(after.filter(others)).toEqual(before.filter(others));
    expect(after.filter((sa) => !others(sa)).map(({ id }) => id)).not.toEqual(
      before.filter((sa) => !others(sa)).map(({ id }) => id),
    );
    await scene.expectBound(mn(7));

    await scene.hook('ha', 'down', mn(8));
    const left = await scene.ha.established();
    expect(left.filter(others)).toEqual(before.filter(others).filter(({ remoteId }) => remoteId !== mn(8).id));
    expect(left).toHaveLength(19);
  });

  it('accept the old key until the new one has been used', async () => {
    const scene = await Scene.make();
    const key = KEYS[1] ?? '';
    const knowsOld = async () =>
      (await readFile(join(scene.ha.swanctl, 'conf.d', `pana-${mn(1).id}.conf`), 'utf8')).includes('-old');
    await scene.hook('ha', 'up', mn(1));
    await scene.hook('mn', 'up', mn(1));
    const [first] = await scene.ha.established();
    await scene.hook('ha', 'refresh', mn(1), { key });
    expect(await knowsOld()).toBe(true);
    expect(await scene.ha.established()).toEqual([first]);
    await scene.hook('ha', 'probe', mn(1));
    expect(await knowsOld()).toBe(true);

    // The node does not have the new key yet and loses its SA.
    const [{ connection = '' } = {}] = await scene.node.established();
    await scene.node.call('--terminate', '--ike', connection);
    await scene.node.call('--initiate', '--ike', connection, '--timeout', '5');
    const [second] = await scene.ha.established();
    expect(second).toMatchObject({ remoteId: mn(1).id });
    expect(second?.id).not.toBe(first?.id);

    await scene.hook('mn', 'refresh', mn(1), { key });
    await scene.expectBound(mn(1));
    const [third] = await scene.ha.established();
    expect(third?.id).not.toBe(second?.id);
    await scene.hook('ha', 'probe', mn(1));
    expect(await knowsOld()).toBe(false);

    // From here on only the new key is accepted.
    const [{ connection: now = '' } = {}] = await scene.node.established();
    await scene.node.call('--terminate', '--ike', now);
    await scene.node.call('--initiate', '--ike', now, '--timeout', '5');
    await scene.expectBound(mn(1));
    await scene.hook('mn', 'down', mn(1));
    await expect(scene.hook('mn', 'up', mn(1))).rejects.toThrow('AUTHENTICATION_FAILED');
  });

  it('accept only the new key of a node with a new session', async () => {
    const scene = await Scene.make();
    await scene.hook('ha', 'up', mn(1));
    await scene.hook('ha', 'refresh', mn(1), { key: KEYS[1] ?? '', session: 's2' });
    await scene.hook('mn', 'up', mn(1), { key: KEYS[1] ?? '' });
    await scene.expectBound(mn(1));
  });
});

/** Starts daemons at both ends, with the shipped hooks. */
async function daemons(local: boolean): Promise<{ readonly made: Lab; readonly scene: Scene }> {
  const scene = await Scene.make();
  const localHa = { 'local-home-agent': { ike: 'ikev2' } };
  const made = await scene.net.lab({ localHomeAgent: local, ...(local ? { paa: localHa } : {}) });
  const { place } = await made.startAaa();
  await made.administer('aaa', 'changeHomeAgent', { name: 'ha1', change: { ike: ['ikev2'] } });
  await made.startPaa(place);
  await made.addSubscriber('mn1@home.example', 'mn1');
  const settings = scene.settings;
  await writeFile(made.path('hooks', local ? 'paa' : 'aaa', 'hooks.conf'), scene.ha.settings + settings);
  return { made, scene };
}

async function startNode(made: Lab, scene: Scene, where: 'home' | 'local') {
  const config = await made.configurePac('mn1', {
    pana: { interface: 'mn0' },
    mobility: { ike: ['ikev2'], 'home-agent': where },
  });
  await writeFile(made.path('hooks', 'mn1', 'hooks.conf'), scene.node.settings + scene.settings);
  return made.start('mn1', 'pac', config);
}

describe.runIf(possible).each(['home', 'local'] as const)('A node with a %s home agent', (where) => {
  it('has an IKE_SA with the derived key after PAR[C], and another after re-authentication', async () => {
    const { made, scene } = await daemons(where === 'local');
    const pac = await startNode(made, scene, where);
    const said = await pac.line('hook output', ({ line }) => String(line).startsWith('IKE_SA up'));
    expect(Number(said['sinceEvent'])).toBeGreaterThan(0);
    process.stderr.write(`*** ${where} home agent: ${said['line']}, ${said['sinceEvent']} ms after PAR[C] ***\n`);
    expect(await pac.line('hook done')).toMatchObject({ event: 'up' });
    const [first] = await scene.ha.established();
    expect(first).toMatchObject({ remoteId: 'mn1@home.example', version: 2 });
    expect((await scene.node.log()).includes(NODE)).toBe(true);

    expect((await run('pac', ['reauth', '--control.socket', made.socket('mn1')])).status).toBe(0);
    await pac.line('hook done', ({ event }) => event === 'refresh');
    const [second, more] = await scene.ha.established();
    expect(more).toBe(undefined);
    expect(second).toMatchObject({ remoteId: 'mn1@home.example' });
    expect(second?.id).not.toBe(first?.id);

    expect(await pac.stop()).toBe(0);
    await until('no SA', async () => (await scene.ha.sas()).length === 0);
  });
});
