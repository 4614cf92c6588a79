import { describe, expect, it } from 'vitest';
import { EnforcementRunner } from '../../src/paa/enforcement-runner.js';
import { type HookReport, HookRunner } from '../../src/runtime/hooks/runner.js';
import { SimulatedProcesses } from '../simulated-hooks.js';
import { VirtualHost } from '../virtual-host.js';

const HOUR = 3_600_000;
const A = '2001:db8:a::a';
const B = '2001:db8:a::b';

/** An enforcement point and its hook runner in virtual time; the test ends the hooks. */
class Rig {
  readonly host = new VirtualHost();
  readonly processes = new SimulatedProcesses();
  readonly reports: HookReport[] = [];
  readonly runner: HookRunner;
  readonly point: EnforcementRunner;

  constructor(batch: boolean) {
    const { host, processes } = this;
    const onEvent = (report: HookReport) => this.reports.push(report);
    this.runner = new HookRunner({ stateDir: '/state', timeout: 30_000, maxParallel: 8, onEvent, host, processes });
    this.point = new EnforcementRunner(
      { program: '/ep', batch, interface: 'access0', checkInterval: 10_000 },
      this.runner,
      host,
    );
  }

  permit(session: string, address: string): Promise<boolean> {
    const admission = { session, userName: `${session}@home.example`, address, lifetime: HOUR };
    return new Promise((settled) => this.point.permit(admission, settled));
  }

  /** Lets hooks succeed until none is left; returns their events, or the lines of a batch. */
  settle(): string[] {
    const calls: string[] = [];
    for (this.host.advance(1); this.processes.running.length > 0; this.host.advance(1)) {
      const { call } = this.processes.only;
      calls.push(...(call.event === 'batch' ? (call.input ?? '').trim().split('\n') : [call.event]));
      this.processes.only.end();
    }
    return calls;
  }
}

describe('EnforcementRunner', () => {
  it('runs its hook for each event, with the values in the environment', async () => {
    const rig = new Rig(false);
    const started = rig.point.start();
    const permitted = rig.permit('1', A);
    expect(rig.processes.only.call).toMatchObject({ program: '/ep', event: 'start', input: '' });
    rig.processes.only.end();
    expect(await started).toBe(true);
    rig.host.advance(1_000);
    expect(rig.processes.only.call.environment).toMatchObject({
      MIP6_EVENT: 'permit',
      MIP6_ROLE: 'ep',
      MIP6_MN_ID: '1@home.example',
      MIP6_SESSION: '1',
      MIP6_COA: A,
      MIP6_LIFETIME: '3600',
      MIP6_INTERFACE: 'access0',
    });
    expect(rig.runner.status()).toEqual([
      { subject: 'ep 1', event: 'permit', role: 'ep', tries: 0, problem: undefined },
    ]);
    rig.processes.only.end('exit status 1');
    expect(await permitted).toBe(false);
    expect(rig.runner.status()).toMatchObject([{ tries: 1, problem: 'exit status 1' }]);
  });

  it('passes simultaneous events to a batch program in one run, but start and stop in their own runs', async () => {
    const rig = new Rig(true);
    void rig.point.start();
    expect(rig.settle()).toEqual(['start']);
    const permitted = [rig.permit('1', A), rig.permit('2', B)];
    rig.point.revoke('1');
    expect(rig.settle()).toEqual([
      // The permit of session 1 was cancelled by its revoke.
      `permit MIP6_MN_ID=2@home.example MIP6_SESSION=2 MIP6_LIFETIME=3600 MIP6_COA=${B} MIP6_INTERFACE=access0`,
      `revoke MIP6_MN_ID=1@home.example MIP6_SESSION=1 MIP6_COA=${A} MIP6_INTERFACE=access0`,
    ]);
    expect(rig.processes.calls.at(-1)?.environment).toMatchObject({ MIP6_EVENT: 'batch', MIP6_INTERFACE: 'access0' });
    expect(await Promise.all(permitted)).toEqual([true, true]);
    const stopped = rig.point.stop();
    expect(rig.settle()).toEqual(['stop']);
    expect(await stopped).toBe(true);
  });

  it('passes the current permits to hook start, at a retry and at a reload', () => {
    const rig = new Rig(false);
    void rig.point.start();
    rig.processes.only.end('exit status 1');
    void rig.permit('1', A);
    rig.host.advance(1_000);
    expect(rig.processes.only.call.input).toMatch(new RegExp(`^permit .*MIP6_COA=${A} .*\n$`));
    expect(rig.settle()).toEqual(['start']);
    void rig.point.start();
    rig.point.move('1', B);
    expect(rig.processes.only.call.input).toContain(`MIP6_COA=${A} `);
    expect(rig.settle()).toEqual(['start', 'move']);
    expect(rig.processes.calls.at(-1)?.environment).toMatchObject({ MIP6_COA: B, MIP6_COA_OLD: A });
  });

  it('kills a hanging hook after half of the time limit of its stop, and runs hook stop', async () => {
    const rig = new Rig(false);
    void rig.point.start();
    rig.settle();
    void rig.permit('1', A);
    void rig.point.stop();
    const stopped = rig.runner.stop(5_000);
    rig.host.advance(2_500);
    expect(rig.processes.only.signals).toEqual(['SIGKILL']);
    rig.processes.only.end('ended by SIGKILL');
    expect(rig.processes.only.call.event).toBe('stop');
    rig.processes.only.end();
    await stopped;
  });

  it('checks its hook at the interval, runs start again after a failure, and ends the checks with its stop', () => {
    const rig = new Rig(true);
    void rig.point.start();
    expect(rig.settle()).toEqual(['start']);
    void rig.permit('1', A);
    expect(rig.settle()).toHaveLength(1);
    rig.host.advance(10_000);
    expect(rig.processes.only.call).toMatchObject({ event: 'check', environment: { MIP6_INTERFACE: 'access0' } });
    rig.processes.only.end();
    rig.host.advance(10_000);
    expect(rig.processes.only.call.event).toBe('check');
    rig.processes.only.end('exit status 1');
    expect(rig.processes.only.call.event).toBe('start');
    expect(rig.processes.only.call.input).toContain(`MIP6_COA=${A} `);
    rig.processes.only.end();
    rig.host.advance(10_000);
    expect(rig.settle()).toEqual(['check']);
    void rig.point.stop();
    expect(rig.settle()).toEqual(['stop']);
    expect(rig.host.timers).toBe(0);
  });
});
