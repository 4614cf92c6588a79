import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../eventually.js';
import { announce, missing, NODE } from './access-network.js';
import { CORRESPONDENT4, NEIGHBOUR, NODE4 } from './forwarding-network.js';
import { PAA_LINK_LOCAL, RemoteScene } from './remote-scene.js';
import { sshMissing } from './ssh-server.js';

const OTHER = '2001:db8:a::33';
const possible = announce('the enforcement point over ssh', missing('nft', 'ip6tables') ?? (await sshMissing()));

describe.runIf(possible)('An enforcement point on another machine than the PAA', () => {
  it('forwards packets of authorized clients; is filled after its restart; keeps its clients while it cannot be reached', async () => {
    const scene = await RemoteScene.make('ep-nft.sh');
    const { net } = scene;
    const { access } = net;
    await scene.expectFate('dropped');
    const pac = await scene.enter();
    await scene.expectFate('answered');
    expect(await net.fate(net.neighbour, NEIGHBOUR, '2001:db8:c::2')).toBe('dropped');
    // The router has looked up the MAC address, though the client has only sent packets to the PAA.
    await net.takeAddress(NODE);
    expect(await net.fate(net.neighbour, NODE, '2001:db8:c::2')).toBe('dropped');
    await net.restoreNeighbour();

    // A restarted router is closed, until a check has found it empty.
    await scene.restartRouter();
    await scene.expectFate('answered');
    expect(scene.paa.lines.filter(({ msg }) => msg === 'session authorized')).toHaveLength(1);

    // While the router cannot be reached, its client passes, and no other one.
    scene.ssh.signal('SIGSTOP');
    await scene.paa.line('hook failed', ({ event }) => event === 'check');
    await access.ip(access.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    expect(await scene.fate()).toBe('answered');
    await access.ip(access.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    await scene.paa.line('session moved');
    expect(await scene.fate(OTHER)).toBe('dropped');
    scene.ssh.signal('SIGCONT');
    await scene.expectFate('answered', OTHER);
    expect(JSON.stringify(await net.elements())).not.toContain(NODE);

    // A run whose result is lost.
    await scene.loseResult();
    expect(await pac.stop()).toBe(0);
    await scene.expectFate('dropped', OTHER);
    await eventually(async () => expect(await net.elements()).toEqual({}));
    await eventually(async () => expect(await readdir(scene.made.folder)).not.toContain('lost'));
    expect(await scene.paa.stop()).toBe(0);
    // Nothing of a run is left on either end.
    const left = [...(await readdir(scene.near)), ...(await readdir(scene.state))];
    expect(left.filter((name) => /^\.(ssh|message|new|lock)/.test(name))).toEqual([]);
  });

  it('reconciles its clients with a PAA that was restarted, and is left as it is by one that cannot reach it', async () => {
    const scene = await RemoteScene.make('ep-nft.sh');
    await scene.enter();
    await scene.expectFate('answered');
    await scene.ssh.stop();
    scene.paa.signal('SIGKILL');
    await scene.paa.exited;
    const failed = scene.startPaa();
    expect(await failed.exited).toBe(1);
    expect(failed.errors).toContain('the enforcement point was not set up');
    expect(failed.lines.some(({ msg }) => msg === 'ready')).toBe(false);
    expect(await scene.fate()).toBe('answered');
    await scene.ssh.listen();
    const again = scene.startPaa();
    await again.line('ready');
    expect(await scene.fate()).toBe('dropped');
  });

  it.each(['ep-nft.sh', 'ep-ip6tables.sh'])(
    'forwards packets of a client authenticated from a link-local address, with %s',
    async (hook) => {
      const scene = await RemoteScene.make(hook, '5s');
      const pac = await scene.enter(`${PAA_LINK_LOCAL}%mn0`);
      expect(await scene.fate()).toBe('answered');
      expect(await scene.net.fate(scene.net.access.node, NODE4, CORRESPONDENT4)).toBe('answered');
      expect(await pac.stop()).toBe(0);
      await scene.paa.line('hook done', ({ event }) => event === 'revoke');
      expect(await scene.fate()).toBe('dropped');
    },
  );
});
