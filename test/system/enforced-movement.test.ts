import { appendFile, chmod, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { eventually } from '../eventually.js';
import { announce, missing, NODE, ROUTER } from './access-network.js';
import { Scene } from './enforcement-scene.js';
import { NODE_MAC } from './forwarding-network.js';

const OTHER = '2001:db8:a::33';
/** On another link of the same router. */
const ELSEWHERE = '2001:db8:b::11';
const ROUTER_ELSEWHERE = '2001:db8:b::1';
const possible = announce('movement behind an enforcement point', missing('nft'));

/** A node that retries quickly, with a hook that records its events and care-of addresses. */
class Mover {
  readonly scene: Scene;
  readonly pac: DaemonProcess;

  private constructor(scene: Scene, pac: DaemonProcess) {
    this.scene = scene;
    this.pac = pac;
  }

  static async make(scene: Scene, pana: object = {}): Promise<Mover> {
    const { made } = scene;
    const hook = made.path('mn.sh');
    await writeFile(hook, `#!/bin/sh\necho "$1 $MIP6_COA" >>${made.path('mn.log')}\n`);
    await chmod(hook, 0o755);
    await appendFile(made.path('mn.log'), '');
    const pac = await made.startPac('mn1', {
      pana: { interface: 'mn0', 'ping-interval': '1s', ...pana },
      retry: { first: '200ms', longest: '1s' },
      hooks: { mn: hook },
    });
    // A stopped process cannot end.
    onTestFinished(() => pac.signal('SIGCONT'));
    await pac.line('bootstrap completed');
    const mover = new Mover(scene, pac);
    await mover.expectPasses(NODE);
    await mover.expectHook(`up ${NODE}`);
    return mover;
  }

  /** The client passes with this address, and with no other one. */
  async expectPasses(address: string): Promise<void> {
    const { net } = this.scene;
    await eventually(async () => {
      const text = JSON.stringify(await net.elements());
      expect([NODE, OTHER, ELSEWHERE].filter((each) => text.includes(`"${each}"`))).toEqual([address]);
    });
    expect(await this.scene.fate(address)).toBe('answered');
    expect(await this.scene.toClient(address)).toBe('answered');
  }

  async expectHook(line: string): Promise<void> {
    await eventually(async () => expect(await readFile(this.scene.made.path('mn.log'), 'utf8')).toContain(line));
  }

  ip(...parameters: readonly string[]): Promise<void> {
    const { access } = this.scene.net;
    return access.ip(access.node, ...parameters);
  }

  count(message: string): number {
    return this.pac.lines.filter(({ msg }) => msg === message).length;
  }

  async expectMore(message: string, before: number): Promise<void> {
    await eventually(() => expect(this.count(message)).toBeGreaterThan(before));
  }
}

describe.runIf(possible)('A mobile node behind an enforcement point', () => {
  it('passes with its new address when a privacy address is replaced, and again when its interface has vanished and is back', async () => {
    const scene = await Scene.make();
    const mover = await Mover.make(scene);
    const { access } = scene.net;
    // The kernel prefers the new address before it removes the old one.
    await mover.ip('address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await mover.ip('address', 'change', `${NODE}/64`, 'dev', 'mn0', 'preferred_lft', '0');
    await mover.pac.line('session moved');
    await mover.expectPasses(OTHER);
    expect(await scene.fate(NODE)).toBe('dropped');
    await mover.expectHook(`move ${OTHER}`);
    await mover.ip('address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    expect(await scene.fate(OTHER)).toBe('answered');

    await mover.ip('link', 'delete', 'mn0');
    await mover.pac.line('network changed', ({ reason }) => reason !== undefined).catch(() => undefined);
    await access.ip(access.router, 'link', 'add', 'ar0', 'type', 'veth', 'peer', 'name', 'mn0', 'netns', access.node);
    await access.ip(access.router, 'link', 'set', 'ar0', 'master', 'br0', 'up');
    await mover.ip('link', 'set', 'mn0', 'address', NODE_MAC, 'up');
    await mover.ip('address', 'add', `${NODE}/64`, 'dev', 'mn0', 'nodad');
    await mover.ip('route', 'replace', 'default', 'via', ROUTER);
    await mover.expectPasses(NODE);
    expect(mover.count('bootstrap withdrawn')).toBe(0);
  });

  it('passes on another link of the same PAA with its new address only', async () => {
    const scene = await Scene.make({ settings: 'ACCESS_INTERFACE="br0 br1"\n' });
    const { access } = scene.net;
    await access.ip(access.router, 'link', 'add', 'br1', 'type', 'bridge');
    await access.ip(access.router, 'link', 'set', 'br1', 'up');
    await access.ip(access.router, 'address', 'add', `${ROUTER_ELSEWHERE}/64`, 'dev', 'br1', 'nodad');
    const mover = await Mover.make(scene);
    await access.ip(access.router, 'link', 'set', 'ar0', 'down');
    await access.ip(access.router, 'link', 'set', 'ar0', 'master', 'br1', 'up');
    await mover.ip('address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    await mover.ip('address', 'add', `${ELSEWHERE}/64`, 'dev', 'mn0', 'nodad');
    await mover.ip('route', 'replace', 'default', 'via', ROUTER_ELSEWHERE);
    await mover.expectPasses(ELSEWHERE);
    await mover.expectHook(`move ${ELSEWHERE}`);
    expect(mover.count('session authorized')).toBe(1);
  });

  it('comes back after a restart of the host of its PAA, which has lost sessions and filter', async () => {
    const scene = await Scene.make();
    const mover = await Mover.make(scene);
    const { access } = scene.net;
    scene.paa.signal('SIGKILL');
    await scene.paa.exited;
    await access.exec(access.router, 'nft', 'delete', 'table', 'inet', 'pana_ep');
    const authorized = mover.count('session authorized');
    await scene.made.start('paa again', 'paa', scene.made.path('paa.yaml')).line('ready');
    expect(await scene.fate()).toBe('dropped');
    await mover.expectMore('session authorized', authorized);
    await mover.expectPasses(NODE);
  });

  it.each([
    ['a stop of its process', ({ pac }: Mover) => pac.signal('SIGSTOP'), ({ pac }: Mover) => pac.signal('SIGCONT')],
    [
      'a loss of its link',
      (mover: Mover) => mover.ip('link', 'set', 'mn0', 'down'),
      async (mover: Mover) => {
        await mover.ip('link', 'set', 'mn0', 'up');
        await mover.ip('address', 'replace', `${NODE}/64`, 'dev', 'mn0', 'nodad');
        await mover.ip('route', 'replace', 'default', 'via', ROUTER);
      },
    ],
  ])('comes back after %s that was longer than its session', async (_what, leave, comeBack) => {
    const scene = await Scene.make({ lifetime: '10s' });
    const mover = await Mover.make(scene);
    await leave(mover);
    await eventually(async () => expect(await scene.net.elements()).toEqual({}));
    const authorized = mover.count('session authorized');
    await comeBack(mover);
    await mover.expectMore('session authorized', authorized);
    await mover.expectPasses(NODE);
  });
});
