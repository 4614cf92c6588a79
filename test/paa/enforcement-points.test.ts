import { describe, expect, it } from 'vitest';
import { EnforcementPoints } from '../../src/paa/enforcement-points.js';
import { EnforcementRunner } from '../../src/paa/enforcement-runner.js';
import { HookRunner } from '../../src/runtime/hooks/runner.js';
import { SimulatedProcesses } from '../simulated-hooks.js';
import { VirtualHost } from '../virtual-host.js';

const RELAY = '2001:db8:f::5';
const BARE = '2001:db8:f::6';
const A = '2001:db8:a::a';

/** The access link of the PAA, that of a relay with a hook, and one without; every hook succeeds. */
class Rig {
  readonly host = new VirtualHost();
  readonly #places = new Map<string, SimulatedProcesses>();
  readonly points: EnforcementPoints;
  results = 0;

  constructor(relays = true) {
    const own = this.#point('own', 'eth0');
    const relayed = { ...this.#point('relay', 'eth7'), interface: 'eth7' };
    const map = new Map([
      [RELAY, relayed],
      [BARE, undefined],
    ]);
    this.points = new EnforcementPoints(own.ep, relays ? map : new Map());
    void own.ep.start();
    if (relays) this.points.startRelayed();
    this.calls();
  }

  #point(name: string, access: string) {
    const { host } = this;
    const processes = new SimulatedProcesses();
    this.#places.set(name, processes);
    const hooks = new HookRunner({
      stateDir: '/',
      timeout: 1000,
      maxParallel: 8,
      onEvent: () => undefined,
      host,
      processes,
    });
    const options = { program: '/ep', batch: false, interface: access, checkInterval: 0 };
    return { ep: new EnforcementRunner(options, hooks, host), hooks };
  }

  permit(relay: string | undefined, address = A): this {
    const admission = { session: 's', userName: undefined, address, lifetime: 60_000 };
    this.points.permit(admission, relay, () => {
      this.results += 1;
    });
    return this;
  }

  /** What the hooks were run for since the last call. */
  calls(): string[] {
    const calls: string[] = [];
    for (let left = true; left; ) {
      left = false;
      this.host.advance(1);
      for (const [name, processes] of this.#places) {
        for (const process of [...processes.running]) {
          const { event, environment } = process.call;
          calls.push([name, event, environment['MIP6_COA'] ?? '-'].join(' '));
          process.end();
          left = true;
        }
      }
    }
    return calls;
  }
}

describe('the enforcement points of a PAA with relays', () => {
  it('are set up with it', () => {
    const rig = new Rig();
    rig.points.startRelayed();
    expect(rig.calls()).toEqual(['relay start -']);
  });

  it('permit a client where it is, and revoke it there', () => {
    const rig = new Rig();
    expect(rig.permit(RELAY).calls()).toEqual([`relay permit ${A}`]);
    expect(rig.results).toBe(1);
    rig.points.revoke('s');
    expect(rig.calls()).toEqual([`relay revoke ${A}`]);
    expect(rig.permit(undefined).calls()).toEqual([`own permit ${A}`]);
    rig.points.revoke('s');
    expect(rig.calls()).toEqual([`own revoke ${A}`]);
    rig.points.revoke('s');
    expect(rig.calls()).toEqual([]);
  });

  it('give a link-local address the interface at the relay as its scope', () => {
    const rig = new Rig();
    expect(rig.permit(RELAY, `fe80::a%${RELAY}`).calls()).toEqual(['relay permit fe80::a%eth7']);
    rig.points.move('s', `fe80::b%${RELAY}`, RELAY);
    expect(rig.calls()).toEqual(['relay move fe80::b%eth7']);
    expect(rig.permit(undefined, 'fe80::a%eth0').calls()).toContain('own permit fe80::a%eth0');
  });

  it('do not wait for a link whose clients somebody else permits', () => {
    const rig = new Rig();
    expect(rig.permit(BARE).calls()).toEqual([]);
    expect(rig.results).toBe(1);
    expect(rig.permit('2001:db8::99').calls()).toEqual([]);
    expect(rig.results).toBe(2);
  });

  it('follow a client from one link to another', () => {
    const rig = new Rig();
    rig.permit(undefined).calls();
    rig.points.move('s', '2001:db8:b::a', RELAY);
    expect(rig.calls().sort()).toEqual([`own revoke ${A}`, 'relay permit 2001:db8:b::a']);
    rig.points.move('s', '2001:db8:c::a', BARE);
    expect(rig.calls()).toEqual(['relay revoke 2001:db8:b::a']);
    rig.points.move('s', A, undefined);
    expect(rig.calls()).toEqual([`own permit ${A}`]);
    rig.points.revoke('s');
    expect(rig.calls()).toEqual([`own revoke ${A}`]);
    rig.points.move('s', A, undefined);
    expect(rig.calls()).toEqual([]);
  });

  it('are one without relays', () => {
    const rig = new Rig(false);
    expect(rig.permit(undefined).calls()).toEqual([`own permit ${A}`]);
    rig.points.move('s', '2001:db8:a::b', undefined);
    expect(rig.calls()).toEqual(['own move 2001:db8:a::b']);
    rig.points.revoke('s');
    expect(rig.calls()).toEqual(['own revoke 2001:db8:a::b']);
  });
});
