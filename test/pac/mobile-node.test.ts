import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../src/pac/attempt.js';
import { MobileNode } from '../../src/pac/mobile-node.js';
import { pacSchema } from '../../src/pac/options.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { derivePsk } from '../../src/protocol/keys/kdf.js';
import { CAPABILITY, type MobilityAssignment } from '../../src/protocol/mip6/assignment.js';
import type { PacAuthorized } from '../../src/protocol/pana/session/pac-interface.js';
import type { HookJob, HookRunner } from '../../src/runtime/hooks/runner.js';
import type { Logger } from '../../src/runtime/log/events.js';
import { unguarded } from '../../src/runtime/service/barrier.js';
import { VirtualHost } from '../virtual-host.js';

const MSK = Secret.take(new Uint8Array(64).fill(1));
const EMSK = Secret.take(new Uint8Array(64).fill(2));
const HOME_AGENT = Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), 1);
const HOME_ADDRESS = Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), 7);
const FROM_MSK = CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.IKEV2_PSK;
const FROM_EMSK = FROM_MSK | CAPABILITY.PSK_FROM_EMSK;

function assignment(more: Partial<MobilityAssignment> = {}): MobilityAssignment {
  const none = { prefix: undefined, host: undefined, ikeIdentity: 'mn@example.net', lifetime: undefined };
  return { capability: FROM_MSK, homeAgent: HOME_AGENT, homeAddress: HOME_ADDRESS, ...none, ...more };
}

const octetsOf = (key: Secret | undefined) => key?.use((octets) => Buffer.from(octets).toString('hex'));

/** A mobile node whose hooks are recorded, in virtual time. */
function node(
  mobility: { 'home-address'?: 'ikev2'; 'psk-root'?: 'msk' | 'emsk'; mode?: 'off' | 'wanted' } = {},
  mn: string | null = '/h',
) {
  const options = pacSchema.parse({
    pana: { interface: 'wlan0' },
    eap: { identity: '@example.net' },
    tls: { ca: '/ca', certificate: '/c', key: '/k', 'server-name': 'aaa.example.net' },
    mobility,
    hooks: mn === null ? {} : { mn },
  });
  const host = new VirtualHost();
  const jobs: HookJob[] = [];
  const psks: (string | undefined)[] = [];
  const run = (job: HookJob) => {
    jobs.push(job);
    psks.push(octetsOf(job.psk));
    return Promise.resolve('done');
  };
  const hooks = { run, status: () => ({}), stop: () => Promise.resolve() } as unknown as HookRunner;
  const warnings: unknown[] = [];
  const log = { info: () => undefined, warn: (fields: unknown) => warnings.push(fields) } as unknown as Logger;
  const mobile = new MobileNode(options, log, hooks, unguarded, host);
  const authorize = (given: Partial<PacAuthorized>) => {
    const event = { type: 'authorized', reconfigure: false, mobilityProblem: undefined, ...given };
    const attempt = { ...PLACE, keys: { msk: MSK, emsk: EMSK }, authorized: { event, at: host.monotonic() } };
    mobile.authorized(attempt as unknown as Attempt);
  };
  return { mobile, host, jobs, psks, warnings, authorize, events: () => jobs.map(({ event }) => event) };
}

const PLACE = { sessionId: 0xabcdef01, careOfAddress: 'fe80::5%wlan0' };

describe('MobileNode', () => {
  it('runs hook up with the key for home agent and home address, and with all variables', () => {
    const { authorize, jobs, psks, mobile } = node();
    authorize({ assignment: assignment() });
    expect(jobs).toMatchObject([
      {
        program: '/h',
        role: 'mn',
        event: 'up',
        subject: 'mn',
        variables: {
          homeAgent: '2001:db8::1',
          homeAddress: '2001:db8::7',
          session: 'abcdef01',
          careOfAddress: 'fe80::5%wlan0',
          interface: 'wlan0',
          ike: 'ikev2',
        },
      },
    ]);
    expect(psks).toEqual([octetsOf(derivePsk(MSK, HOME_AGENT, HOME_ADDRESS))]);
    expect(jobs[0]?.psk?.isWiped).toBe(true);
    expect(mobile.status().binding).toMatchObject({ homeAgent: '2001:db8::1' });
  });

  it('with home-address ikev2 passes the files for EAP, and refuses a home address that came by PANA', () => {
    const { authorize, jobs, warnings, events, psks } = node({ 'home-address': 'ikev2' });
    authorize({ assignment: assignment() });
    expect(events()).toEqual([]);
    expect(warnings).toEqual([{ reason: 'its home address came by PANA, but mobility.home-address is ikev2' }]);
    authorize({ assignment: assignment({ homeAddress: undefined }) });
    expect(jobs).toMatchObject([
      {
        event: 'up',
        variables: {
          homeAddress: undefined,
          homeAddressBy: 'ikev2',
          certificateFile: '/c',
          keyFile: '/k',
          caFile: '/ca',
          serverName: 'aaa.example.net',
        },
      },
    ]);
    expect(psks).toEqual([octetsOf(derivePsk(MSK, HOME_AGENT, undefined))]);
  });

  it('with psk-root emsk accepts a key from the EMSK only', () => {
    const wants = node({ 'psk-root': 'emsk' });
    wants.authorize({ assignment: assignment({ capability: FROM_MSK }) });
    expect([wants.events(), wants.mobile.status().binding]).toEqual([[], undefined]);
    expect(wants.warnings).toEqual([{ reason: 'its key comes from the MSK, which the access network has' }]);
    wants.authorize({ assignment: assignment({ capability: FROM_EMSK }) });
    expect(wants.psks).toEqual([octetsOf(derivePsk(EMSK, HOME_AGENT, HOME_ADDRESS))]);
  });

  it('with psk-root msk rejects a key from the EMSK', () => {
    const { authorize, events } = node({ 'psk-root': 'msk' });
    authorize({ assignment: assignment({ capability: FROM_EMSK }) });
    expect(events()).toEqual([]);
  });

  it('runs refresh for the same home agent and address, and down and up for others', () => {
    const { authorize, jobs, events } = node();
    authorize({ assignment: assignment() });
    authorize({ assignment: assignment({ lifetime: 5 }) });
    authorize({ assignment: assignment({ homeAddress: undefined }) });
    authorize({ assignment: assignment({ homeAgent: HOME_ADDRESS, homeAddress: undefined }) });
    expect(events()).toEqual(['up', 'refresh', 'down', 'up', 'down', 'up']);
    expect(jobs.map(({ variables }) => typeof variables === 'object' && variables.homeAgent)).toEqual([
      ...Array(5).fill('2001:db8::1'),
      '2001:db8::7',
    ]);
  });

  it('runs down when a session has no assignment or an invalid one, and warns unless mode is off', () => {
    for (const given of [{}, { mobilityProblem: 'home agent: it is not an address' }]) {
      const { authorize, events, warnings } = node();
      authorize({ assignment: assignment() });
      authorize(given);
      authorize(given);
      expect(events()).toEqual(['up', 'down']);
      expect(warnings).toHaveLength(2);
    }
    const { authorize, warnings } = node({ mode: 'off' });
    authorize({});
    expect(warnings).toEqual([]);
  });

  it('runs reconfigure when the PAA asks for another address, and move when it has one', () => {
    const { authorize, events, mobile } = node();
    mobile.moved(PLACE as Attempt, false);
    authorize({ assignment: assignment(), reconfigure: true });
    mobile.moved(PLACE as Attempt, false);
    expect(events()).toEqual(['up', 'reconfigure', 'move']);
  });

  it('keeps the binding until the rest of its lifetime has passed after its session is lost', () => {
    const { authorize, events, host, mobile } = node();
    authorize({ assignment: assignment() });
    mobile.keepUntil(host.monotonic() + 30_000, PLACE);
    host.advance(29_999);
    expect(events()).toEqual(['up']);
    host.advance(1);
    expect(events()).toEqual(['up', 'down']);
    expect(mobile.status().binding).toBeUndefined();
  });

  it('keeps the binding without a time limit once a new session has the same assignment', () => {
    const { authorize, events, host, mobile } = node();
    authorize({ assignment: assignment() });
    mobile.keepUntil(host.monotonic() + 30_000, PLACE);
    mobile.keepUntil(host.monotonic() + 40_000, PLACE);
    host.advance(20_000);
    authorize({ assignment: assignment() });
    host.advance(100_000);
    expect([events(), host.timers]).toEqual([['up', 'refresh'], 0]);
  });

  it('runs down once only, and no hook if none is configured', async () => {
    const { authorize, events, mobile, host } = node();
    mobile.keepUntil(host.monotonic() + 10, PLACE);
    expect(host.timers).toBe(0);
    authorize({ assignment: assignment() });
    mobile.withdraw(PLACE);
    await mobile.stop(undefined, 5_000);
    expect(events()).toEqual(['up', 'down']);
    const silent = node({}, null);
    silent.authorize({ assignment: assignment() });
    expect(silent.events()).toEqual([]);
  });
});
