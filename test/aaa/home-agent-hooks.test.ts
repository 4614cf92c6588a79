import { beforeEach, describe, expect, it } from 'vitest';
import { HomeAgentHooks, MAX_BACKLOG } from '../../src/aaa/home-agent-hooks.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { DutyBook } from '../../src/protocol/home/duties.js';
import type { Lease } from '../../src/protocol/home/records.js';
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
let duties: DutyBook;

beforeEach(() => {
  host = new VirtualHost();
  processes = new SimulatedProcesses();
  const onEvent = () => undefined;
  runner = new HookRunner({ stateDir: '/state', timeout: 30_000, maxParallel: 8, onEvent, host, processes });
  duties = new DutyBook();
  hooks = new HomeAgentHooks(runner, '/ha', duties);
});

const key = () => ({ psk: Secret.take(new Uint8Array(64).fill(1)), ike: 'ikev1', lifetime: 1_800_500 }) as const;

describe('HomeAgentHooks', () => {
  it('gives hook up the lease and the key', async () => {
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

  it('gives hook down no key, and the first IKE version of the home agent', () => {
    void hooks.run('down', LEASE, undefined);
    expect(processes.only.call.psk).toBeUndefined();
    expect(processes.only.call.environment).toMatchObject({
      MIP6_EVENT: 'down',
      MIP6_HOA: '2001:db8:1::1234',
      MIP6_LIFETIME: '0',
      MIP6_IKE: 'ikev2',
    });
  });

  it('runs hook down at once while a failed up waits for its retry, and wipes the key of that up', () => {
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
    const told = (event: 'up' | 'down') => ({ event, lease: LEASE });

    it('holds the duty until the hook succeeds', () => {
      void hooks.run('refresh', lease, key());
      expect(duties.tell()).toMatchObject({ held: [{ subject, mark: '0a' }], ended: [] });
      processes.only.end('exit status 1');
      expect(duties.tell()).toMatchObject({ held: [{ subject, mark: '0a' }], ended: [] });
      host.advance(1_000);
      processes.only.end();
      const ended = [{ subject, mark: '0a', over: true, told: told('up') }];
      expect(duties.tell()).toMatchObject({ held: [], ended });
    });

    it('ends the duty after the last try', () => {
      void hooks.run('down', lease, undefined);
      for (let tries = 0; tries < 7; tries += 1) {
        processes.only.end('exit status 1');
        expect(duties.tell().held).toHaveLength(1);
        host.advance(60_000);
      }
      processes.only.end('exit status 1');
      expect(duties.tell()).toMatchObject({ held: [], ended: [{ over: true, told: told('down') }] });
    });

    it('ends the duty if a value is rejected', () => {
      void hooks.run('down', { ...lease, nai: 'a b' }, undefined);
      expect(processes.calls).toEqual([]);
      expect(duties.tell()).toMatchObject({ held: [], ended: [{ over: true, told: undefined }] });
    });

    it('returns the duty when a newer event ends the retries or the daemon stops', async () => {
      void hooks.run('down', lease, undefined);
      processes.only.end('exit status 1');
      void hooks.run('refresh', { ...lease, homeAddress: '2001:db8:1::5', duty: '0b' }, key());
      const stopped = runner.stop(0);
      host.advance(10_000);
      await stopped;
      expect(duties.tell()).toMatchObject({
        held: [],
        ended: [{ mark: '0a', over: false, told: told('down') }],
      });
    });

    it('does not retry the hook once another server holds the duty', () => {
      void hooks.run('down', lease, undefined);
      processes.only.end('exit status 1');
      duties.tell();
      duties.told({ lost: [subject], taken: [] }, 0);
      host.advance(60_000);
      expect(processes.calls).toHaveLength(1);
      expect(duties.tell()).toMatchObject({ held: [], ended: [{ mark: '0a', told: told('down') }] });
    });

    it('continues if a newer duty for the lease has replaced the lost one', () => {
      void hooks.run('down', lease, undefined);
      duties.tell();
      void hooks.run('up', { ...lease, duty: '0b' }, key());
      duties.told({ lost: [subject], taken: [] }, 0);
      processes.only.end();
      expect(processes.only.call.event).toBe('up');
      processes.only.end();
      expect(duties.tell().ended.map(({ mark }) => mark)).toEqual(['0a', '0b']);
    });
  });

  it('is behind once MAX_BACKLOG jobs of a subscriber wait', () => {
    for (let jobs = 0; jobs < MAX_BACKLOG; jobs += 1) {
      expect(hooks.isBehind(LEASE.nai)).toBe(false);
      void hooks.run('down', LEASE, undefined);
    }
    expect(hooks.isBehind(LEASE.nai)).toBe(true);
    expect(hooks.isBehind('other@home.example')).toBe(false);
  });

  it('resolves to true and runs nothing if no program is configured', async () => {
    expect(await new HomeAgentHooks(runner, undefined, duties).run('up', LEASE, key())).toBe(true);
    expect(processes.calls).toEqual([]);
  });
});
