import { afterEach, describe, expect, it } from 'vitest';
import { Lab, type Tree } from '../../dist/lab/lab.js';
import { callDaemon } from '../../dist/runtime/service/control.js';
import { eventually } from '../eventually.js';
import { freePorts } from '../system/radius/free-radius.js';
import { radiusServer, sessionsOf } from './radius-network.js';

const MN = 'mn1@home.example';

let lab: Lab | undefined;

afterEach(async () => {
  const statuses = await lab?.close();
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

describe('A PAA with two AAA servers', () => {
  it('moves a session to the other one when its server is killed, and obeys the other one then', async () => {
    lab = await Lab.make({ family: 'ipv6' });
    const at = lab;
    const [dae = 0] = await freePorts(at.address, 1);
    const first = await radiusServer(at, { dae });
    const second = await radiusServer(at, { dae, name: 'aaa2' });
    const sectionOf = ({ paa }: typeof first) => paa['radius'] as { servers: { port: number }[] };
    const servers = [first, second].flatMap((each) => sectionOf(each).servers);
    const [, { port = 0 } = {}] = servers;
    const toPeer = `[${at.address}]:${port}`;
    const tree: Tree = { ...first.paa, radius: { ...sectionOf(first), servers } };
    const { daemon: paa } = await at.startPaa({ address: at.address, port: 1 }, 'paa', tree);
    await at.addSubscriber(MN, 'mn1');
    const subscriber = { nai: MN, enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace' };
    await at.administer('aaa2', 'addSubscriber', { subscriber });
    const pac = await at.startPac('mn1');
    await pac.line('bootstrap completed');
    await paa.line('peer connected', ({ peer }) => peer === toPeer);
    await eventually(async () => expect((await sessionsOf(at))[0]?.nas).toBeDefined());
    expect(await sessionsOf(at, 'aaa2')).toEqual([]);

    first.aaa.signal('SIGKILL');
    await first.aaa.exited;
    at.forget(first.aaa);
    await callDaemon(at.socket('mn1'), 'POST', '/reauth');
    await paa.line('request failed over', (line) => line['toPeer'] === toPeer);
    await paa.line('session reauthenticated');
    expect(await sessionsOf(at, 'aaa2')).toMatchObject([{ nai: MN }]);

    const answer = await callDaemon(at.socket('aaa2'), 'POST', '/session/disconnect', { of: MN });
    expect(answer).toMatchObject([{ result: 'SUCCESS' }]);
    await pac.line('session ended');
    expect(await sessionsOf(at, 'aaa2')).toEqual([]);
  });
});
