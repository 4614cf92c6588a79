import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { Lab } from '../../../dist/lab/lab.js';
import { NotifySocket } from '../../daemons/notify-socket.js';
import { announce } from '../access-network.js';

function missing(): string | undefined {
  for (const program of ['systemd-notify', 'python3']) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `they need ${program}`;
    }
  }
  return undefined;
}

const possible = announce('daemons and their service manager', missing());
let lab: Lab | undefined;
const sockets: NotifySocket[] = [];

afterEach(async () => {
  await lab?.close();
  for (const socket of sockets.splice(0)) socket.close();
  lab = undefined;
});

async function open(made: Lab, name: string): Promise<NotifySocket> {
  const socket = await NotifySocket.open(made.path(`${name}.notify`));
  sockets.push(socket);
  return socket;
}

/** Starts a daemon of the lab again under a service manager. */
async function managed(made: Lab, name: string, daemon: 'pac' | 'paa' | 'aaa', watchdog: string) {
  const socket = await open(made, name);
  const environment = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: watchdog };
  const started = made.start(`${name} managed`, daemon, made.path(`${name}.yaml`), environment);
  return { socket, started };
}

describe.skipIf(!possible)('Notifications to a service manager', () => {
  it('are sent in the order ready, alive, reloading, ready, stopping', async () => {
    lab = await Lab.make();
    await (await lab.startAaa()).daemon.stop();
    const { socket, started } = await managed(lab, 'aaa', 'aaa', '2000000');
    const ready = await socket.message(/^READY=1$/);
    expect(ready).toBe(0);
    expect(started.lines.some(({ msg }) => msg === 'ready')).toBe(true);
    expect(socket.messages[ready]).toContain('STATUS=0 conversations, 0 of 2 peers up');
    const alive = await socket.message(/^WATCHDOG=1$/, ready);
    await socket.message(/^WATCHDOG=1$/, alive + 1);

    started.signal('SIGHUP');
    const reloading = await socket.message(/^RELOADING=1$/);
    expect(socket.messages[reloading]?.[1]).toMatch(/^MONOTONIC_USEC=\d{4,}$/);
    await started.line('configuration reloaded');
    const again = await socket.message(/^READY=1$/, reloading);

    const ended = started.stop();
    await socket.message(/^STOPPING=1$/, again);
    expect(await ended).toBe(0);
    expect(socket.messages.at(-1)).toEqual(['STOPPING=1']);
  });

  it('report changes of the status and a failed reload', async () => {
    lab = await Lab.make();
    const { place } = await lab.startAaa();
    await (await lab.startPaa(place)).daemon.stop();
    const { socket, started } = await managed(lab, 'paa', 'paa', '');
    await socket.message(/^STATUS=0 sessions, 1 of 1 peer up$/);
    expect(socket.messages.flat()).not.toContain('WATCHDOG=1');

    await lab.configure('paa', { pana: { prot: 1 } });
    started.signal('SIGHUP');
    const { reason } = await started.line('reload failed');
    expect(reason).toContain('pana.prot: unknown key; did you mean "port"?');
    const reloading = await socket.message(/^RELOADING=1$/);
    const again = await socket.message(/^READY=1$/, reloading);
    expect(socket.messages[again]?.[1]).toMatch(/^STATUS=.*; the last reload failed$/);
  });

  it('contain no watchdog message if WATCHDOG_PID is another process', async () => {
    lab = await Lab.make();
    await (await lab.startAaa()).daemon.stop();
    const socket = await open(lab, 'mn1');
    await lab.issueClient('mn1', 'mn1@home.example');
    const environment = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000', WATCHDOG_PID: '1' };
    const pac = lab.start('mn1', 'pac', await lab.configurePac('mn1'), environment);
    await socket.message(/^READY=1$/);
    expect(await pac.stop()).toBe(0);
    expect(socket.messages.flat()).not.toContain('WATCHDOG=1');
    expect(socket.messages.at(-1)).toEqual(['STOPPING=1']);
  });

  it('that cannot be sent are logged, and the daemon continues', async () => {
    lab = await Lab.make();
    await (await lab.startAaa()).daemon.stop();
    const environment = { NOTIFY_SOCKET: lab.path('nobody') };
    const aaa = lab.start('aaa alone', 'aaa', lab.path('aaa.yaml'), environment);
    await aaa.line('service manager not notified');
    expect(await aaa.stop()).toBe(0);
  });
});
