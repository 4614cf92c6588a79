import { beforeEach, describe, expect, it } from 'vitest';
import { HomeAgentHooks, MAX_BACKLOG } from '../../src/aaa/home-agent-hooks.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import type { DutyInput } from '../../src/protocol/home/duties.js';
import type { Lease, Session } from '../../src/protocol/home/records.js';
import { HookRunner } from '../../src/runtime/hooks/runner.js';
import { SimulatedProcesses } from '../simulated-hooks.js';
import { VirtualHost } from '../virtual-host.js';

const LEASE: Lease = {
  homeAddress: '2001:db8:1::1234',
  nai: 'mn@home.example',
  sessionId: 'paa.example;1;2',
  acquiredAt: 0,
  expiresAt: 3_600_000,
  homeAgent: {
    id: 1,
    name: 'ha1',
    address: '2001:db8:1::1',
    host: 'ha.home.example',
    prefix: '2001:db8:1::/64',
    capacity: 10,
    weight: 1,
    leases: 1,
    state: 'up',
    failedBy: undefined,
    target: 'root@ha1',
    ike: ['ikev2', 'ikev1'],
  },
};

let host: VirtualHost;
let processes: SimulatedProcesses;
let runner: HookRunner;
let hooks: HomeAgentHooks;
/** What was recorded about duties. */
let duties: DutyInput[];
/** Sessions that were to end with a lease. */
let ended: Session[];

beforeEach(() => {
  host = new VirtualHost();
  processes = new SimulatedProcesses();
  const onEvent = () => undefined;
  runner = new HookRunner({ stateDir: '/state', timeout: 30_000, maxParallel: 8, onEvent, host, processes });
  duties = [];
  ended = [];
  hooks = new HomeAgentHooks(
    runner,
    '/ha',
    (input) => void duties.push(input),
    (sessions) => void ended.push(...sessions),
  );
});

const key = () =>
  ({ psk: Secret.take(new Uint8Array(64).fill(1)), ike: 'ikev1', byIke: false, lifetime: 1_800_500 }) as const;

describe('HomeAgentHooks', () => {
  it('passes the lease and the key to hook up', async () => {
    const worked = hooks.run('up', LEASE, key());
    expect(processes.only.call).toMatchObject({ program: '/ha', event: 'up' });
    expect(processes.only.call.environment).toMatchObject({
      MIP6_ROLE: 'ha',
      MIP6_MN_ID: 'mn@home.example',
      MIP6_SESSION: 'paa.example;1;2',
      MIP6_HA: '2001:db8:1::1',
      MIP6_HA_HOST: 'ha.home.example',
      MIP6_HA_ID: 'ha1',
      MIP6_HA_TARGET: 'root@ha1',
      MIP6_HOA: '2001:db8:1::1234',
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_LIFETIME: '1801',
      MIP6_IKE: 'ikev1',
    });
    expect(processes.only.call.psk?.length).toBe(64);
    processes.only.end();
    expect(await worked).toBe(true);
  });

  it('passes no key to hook down, and the first IKE version of the home agent', () => {
    void hooks.run('down', LEASE, undefined);
    expect(processes.only.call.psk).toBeUndefined();
    expect(processes.only.call.environment).toMatchObject({
      MIP6_EVENT: 'down',
      MIP6_HOA: '2001:db8:1::1234',
      MIP6_LIFETIME: '0',
      MIP6_IKE: 'ikev2',
    });
  });

  it('runs hook down at once while a failed up waits for its retry, and wipes the key that was passed to it', () => {
    void hooks.run('up', LEASE, key());
    const { call } = processes.only;
    processes.only.end('exit status 1');
    expect(call.psk?.isWiped).toBe(false);
    void hooks.run('down', LEASE, undefined);
    expect(call.psk?.isWiped).toBe(true);
    expect(processes.only.call.event).toBe('down');
    processes.only.end();
    host.advance(3_600_000);
    expect(processes.calls.map(({ event }) => event)).toEqual(['up', 'down']);
  });

  it("retries a failed down before it runs the up of the subscriber's next lease", () => {
    void hooks.run('down', LEASE, undefined);
    processes.only.end('exit status 1');
    void hooks.run('up', LEASE, key());
    expect(processes.running).toEqual([]);
    host.advance(1_000);
    expect(processes.only.call.event).toBe('down');
    processes.only.end();
    expect(processes.only.call.event).toBe('up');
  });

  describe('with a duty', () => {
    const lease: Lease = { ...LEASE, duty: '0a' };
    const subject = 'lease 2001:db8:1::1 2001:db8:1::1234 mn@home.example';
    const begun = (mark: string): DutyInput => ({ type: 'dutyBegun', duty: { subject, mark } });
    const ended = (mark: string, over: boolean, event: 'up' | 'down' | undefined): DutyInput => ({
      type: 'dutyEnded',
      duty: { subject, mark, over, notified: event && { event, lease: LEASE } },
    });

    it('holds the duty until the hook succeeds', () => {
      void hooks.run('refresh', lease, key());
      processes.only.end('exit status 1');
      expect(duties).toEqual([begun('0a')]);
      host.advance(1_000);
      processes.only.end();
      expect(duties).toEqual([begun('0a'), ended('0a', true, 'up')]);
    });

    it('ends the duty after the last try', () => {
      void hooks.run('down', lease, undefined);
      for (let tries = 0; tries < 7; tries += 1) {
        processes.only.end('exit status 1');
        expect(duties).toEqual([begun('0a')]);
        host.advance(60_000);
      }
      processes.only.end('exit status 1');
      expect(duties).toEqual([begun('0a'), ended('0a', true, 'down')]);
    });

    it('ends the duty if a value is rejected', () => {
      void hooks.run('down', { ...lease, homeAgent: { ...LEASE.homeAgent, host: 'a b' } }, undefined);
      expect(processes.calls).toEqual([]);
      expect(duties).toEqual([begun('0a'), ended('0a', true, undefined)]);
    });

    it('returns the duty when a newer event ends the retries or the daemon stops', async () => {
      void hooks.run('down', lease, undefined);
      processes.only.end('exit status 1');
      void hooks.run('refresh', { ...lease, duty: '0b' }, key());
      const stopped = runner.stop(0);
      host.advance(10_000);
      await stopped;
      expect(duties).toEqual([begun('0a'), begun('0b'), ended('0a', false, 'down'), ended('0b', false, undefined)]);
    });

    it('does not retry the hook once another server has taken the duty', () => {
      void hooks.run('down', lease, undefined);
      processes.only.end('exit status 1');
      hooks.lose('0a');
      host.advance(60_000);
      expect(processes.calls).toHaveLength(1);
      expect(duties).toEqual([begun('0a'), ended('0a', true, 'down')]);
    });

    it('continues if it loses only an older duty for the lease', () => {
      void hooks.run('down', lease, undefined);
      processes.only.end();
      void hooks.run('up', { ...lease, duty: '0b' }, key());
      hooks.lose('0a');
      processes.only.end();
      expect(processes.calls.map(({ event }) => event)).toEqual(['down', 'up']);
      expect(duties.slice(2)).toEqual([begun('0b'), ended('0b', true, 'up')]);
    });
  });

  it('reports that it is behind once MAX_BACKLOG jobs of a subscriber wait', () => {
    for (let jobs = 0; jobs < MAX_BACKLOG; jobs += 1) {
      expect(hooks.isBehind(LEASE.nai)).toBe(false);
      void hooks.run('down', LEASE, undefined);
    }
    expect(hooks.isBehind(LEASE.nai)).toBe(true);
    expect(hooks.isBehind('other@home.example')).toBe(false);
  });

  it('tells the hook that the node gets its home address by IKEv2', async () => {
    void hooks.run('up', LEASE, { ...key(), byIke: true });
    expect(processes.only.call.environment['MIP6_HOA_BY']).toBe('ikev2');
    processes.only.end();
    void hooks.run('refresh', LEASE, key());
    expect(processes.calls.at(-1)?.environment['MIP6_HOA_BY']).toBeUndefined();
  });

  it('ends the sessions of the home agent that ended with the lease, also without a hook', async () => {
    const session = { sessionId: 'radius;ha1;1' } as Session;
    void hooks.run('down', { ...LEASE, ended: [session] }, undefined);
    expect(ended).toEqual([session]);
    const none = new HomeAgentHooks(
      runner,
      undefined,
      () => undefined,
      (sessions) => void ended.push(...sessions),
    );
    await none.run('down', { ...LEASE, ended: [session] }, undefined);
    expect(ended).toHaveLength(2);
  });

  it('resolves to true and runs nothing if no program is configured', async () => {
    const none = new HomeAgentHooks(
      runner,
      undefined,
      () => undefined,
      () => undefined,
    );
    expect(await none.run('up', LEASE, key())).toBe(true);
    expect(processes.calls).toEqual([]);
  });
});
