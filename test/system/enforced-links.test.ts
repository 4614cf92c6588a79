import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { eventually } from '../eventually.js';
import { announce, missing } from './access-network.js';
import { type Link, ROUTER, ROUTER_LINK_LOCAL, TwoLinks } from './two-links.js';

const run = promisify(execFile);
const possible = announce('moves between enforcement points', missing('nft'));
const FAR = '2001:db8:c::2';
const ROUTER_OUTSIDE = '2001:db8:c::1';

/** Echoes what arrives at the echo port. */
const ECHO = `
const socket = require('node:dgram').createSocket('udp6');
socket.on('message', (octets, from) => socket.send(octets, from.port, from.address));
socket.bind(7, () => console.log('open'));`;

/** Sends a packet every 10 ms and prints a line for each answer. */
const TRAFFIC = `
const socket = require('node:dgram').createSocket('udp6');
const ignore = () => undefined;
socket.on('error', ignore);
socket.on('message', () => console.log('answered'));
socket.bind(0, () => setInterval(() => socket.send('hello', 7, '${FAR}', ignore), 10));`;

function start(namespace: string, script: string) {
  const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  });
  return createInterface({ input: child.stdout });
}

/** A correspondent behind the router of each link; both have the same address. */
async function correspondents(links: TwoLinks): Promise<void> {
  for (const link of ['a', 'b'] as const) {
    const router = links.router(link);
    const far = `${router}f`;
    await run('ip', ['netns', 'add', far]);
    onTestFinished(async () => {
      await run('ip', ['netns', 'delete', far]);
    });
    await run('ip', ['link', 'add', 'out', 'netns', router, 'type', 'veth', 'peer', 'name', 'in', 'netns', far]);
    await links.ip(router, 'address', 'add', `${ROUTER_OUTSIDE}/64`, 'dev', 'out', 'nodad');
    await links.ip(router, 'link', 'set', 'out', 'up');
    await links.ip(far, 'address', 'add', `${FAR}/64`, 'dev', 'in', 'nodad');
    await links.ip(far, 'link', 'set', 'in', 'up');
    await links.ip(far, 'route', 'add', 'default', 'via', ROUTER_OUTSIDE);
    await links.exec(router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    await once(start(far, ECHO), 'line');
  }
  await links.ip(links.node, 'route', 'add', 'default', 'via', ROUTER);
}

/** How long a permit may last after its session was lost, in milliseconds. */
const PERMIT_END = 45_000;

describe.runIf(possible)(
  'A node that moves between enforcement points with the same prefix and care-of address',
  () => {
    it.each([
      ['global', ROUTER],
      ['link-local', `${ROUTER_LINK_LOCAL}%mn0`],
    ])(
      'is admitted on its link and no more on the former one, and returns: PAAs at a %s address',
      async (_kind, paa) => {
        const links = await TwoLinks.make();
        await correspondents(links);
        const { lab } = await links.lab({ aaa: { session: { lifetime: '15s' } } }, [], (made, link) => ({
          pana: { interface: 'ar0' },
          hooks: { ep: hookPath('ep-nft.sh'), 'ep-batch': true, 'state-dir': made.path(`ep-${link}`), wait: '5s' },
        }));
        const admitted = (link: Link) => links.exec(links.router(link), 'nft', 'list', 'table', 'inet', 'pana_ep');
        const client = /set (macs|clients6) \{[^}]*elements/;
        /** When answers have arrived. */
        const answers: number[] = [];
        start(links.node, TRAFFIC).on('line', () => answers.push(Date.now()));
        const flows = async (since: number) => {
          await eventually(() => expect(answers.at(-1) ?? 0).toBeGreaterThan(since));
          return answers.find((at) => at > since) ?? 0;
        };
        expect(await admitted('a')).not.toMatch(client);
        const pac = await lab.startPac('mn1', { pana: { paa: [paa], interface: 'mn0' } });
        await pac.line('bootstrap completed');
        await flows(0);
        const gaps: string[] = [];
        for (const [from, to] of [
          ['a', 'b'],
          ['b', 'a'],
        ] as const) {
          const before = answers.at(-1) ?? 0;
          await links.unplug();
          await links.plug(to);
          const plugged = Date.now();
          const first = await flows(plugged);
          // The kernel delays or repeats neighbour discovery by up to two seconds after the link change.
          gaps.push(`${to}: ${first - plugged} ms after the link, ${first - before} ms in all`);
          expect(await admitted(to)).toMatch(client);
          // The PAA of the former link cannot be told: its permit lasts until the lifetime of the session.
          await eventually(async () => expect(await admitted(from)).not.toMatch(client), { limit: PERMIT_END });
          await flows(Date.now());
        }
        process.stderr.write(`lost traffic, PAAs at ${paa}: ${gaps.join('; ')}\n`);
      },
    );
  },
);
