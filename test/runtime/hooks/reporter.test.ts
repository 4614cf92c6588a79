import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hookGauges, makeHookRunner, prepareHookFolder } from '../../../src/runtime/hooks/reporter.js';
import type { HookJob } from '../../../src/runtime/hooks/runner.js';
import type { Logger } from '../../../src/runtime/log/events.js';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { Metrics } from '../../../src/runtime/service/metrics.js';
import { quiet } from '../../quiet.js';
import { SimulatedProcesses } from '../../simulated-hooks.js';
import { VirtualHost } from '../../virtual-host.js';

const TIMEOUT = 10_000;

/** A log that keeps its entries. */
function recorder() {
  const entries: unknown[] = [];
  const at = (level: string) => (fields: object, message: string) => void entries.push({ level, message, ...fields });
  return { entries, log: { info: at('info'), warn: at('warn'), error: at('error') } as unknown as Logger };
}

function running() {
  const { entries, log } = recorder();
  const host = new VirtualHost();
  const processes = new SimulatedProcesses();
  const metrics = new Metrics('pana');
  const section = { 'state-dir': '/nowhere', timeout: TIMEOUT, parallel: 4 };
  const runner = makeHookRunner(section, log, metrics, unguarded, { host, hookProcesses: processes });
  hookGauges(metrics, () => runner.status());
  const job = (more: Partial<HookJob> = {}): HookJob => ({
    program: '/hook',
    role: 'mn',
    event: 'up',
    subject: 'mn',
    variables: {},
    ...more,
  });
  const gauges = async () =>
    (await metrics.text()).split('\n').filter((line) => line.startsWith('pana_hooks_') && !line.includes('_total'));
  return { entries, host, processes, metrics, runner, job, gauges };
}

describe('a hook runner of a daemon', () => {
  it('logs and counts each run, and shows hooks that wait and that have failed', async () => {
    const { entries, host, processes, metrics, runner, job, gauges } = running();
    expect(await gauges()).toEqual(['pana_hooks_waiting 0', 'pana_hooks_failing 0']);
    void runner.run(job());
    await quiet();
    processes.only.say('a line');
    expect(await gauges()).toEqual(['pana_hooks_waiting 1', 'pana_hooks_failing 0']);
    processes.only.end('exit status 1');
    await quiet();
    expect(await gauges()).toEqual(['pana_hooks_waiting 1', 'pana_hooks_failing 1']);
    expect(await metrics.counters()).toEqual({ 'hook_runs{event=up,result=failed}': 1 });
    host.advance(host.next ?? 0);
    await quiet();
    processes.only.end();
    await quiet();
    expect(await gauges()).toEqual(['pana_hooks_waiting 0', 'pana_hooks_failing 0']);
    expect(await metrics.counters()).toEqual({
      'hook_runs{event=up,result=failed}': 1,
      'hook_runs{event=up,result=ok}': 1,
    });
    const of = { subject: 'mn', role: 'mn', event: 'up' };
    expect(entries).toMatchObject([
      { level: 'info', message: 'hook output', line: 'a line', ...of },
      { level: 'warn', message: 'hook failed', try: 1, reason: 'exit status 1', ...of },
      { level: 'info', message: 'hook done', try: 2, ...of },
    ]);
    await runner.stop(0);
  });

  it('logs that runs of an event have another time limit', async () => {
    const { entries, host, processes, runner, job } = running();
    void runner.run(job());
    await quiet();
    host.advance(host.next ?? 0);
    processes.only.end('ended by SIGTERM');
    await quiet();
    const timeLimit = 2 * TIMEOUT;
    expect(entries).toMatchObject([
      { level: 'warn', message: 'hook failed', reason: `timeout after ${TIMEOUT} ms` },
      { level: 'info', message: 'hook time limit changed', event: 'up', timeLimit },
    ]);
    await runner.stop(0);
  });

  it('logs and counts a job with a value that no hook may be given', async () => {
    const { entries, processes, metrics, runner, job } = running();
    await runner.run(job({ variables: { interface: 'a b' } }));
    expect(processes.calls).toEqual([]);
    expect(await metrics.counters()).toEqual({ 'hook_runs{event=up,result=refused}': 1 });
    expect(entries).toMatchObject([{ level: 'error', message: 'hook refused', subject: 'mn' }]);
    await runner.stop(0);
  });
});

describe('the folder of hooks', () => {
  it('is created for its user alone, and survives key files that cannot be removed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pana-hooks-'));
    const section = { 'state-dir': join(folder, 'of', 'hooks'), timeout: 1, parallel: 1 };
    const { entries, log } = recorder();
    const host = new VirtualHost();
    const removed: string[] = [];
    const remove = (path: string) => {
      removed.push(path);
      return removed.length === 1 ? Promise.resolve() : Promise.reject(new Error('busy'));
    };
    const hookProcesses = Object.assign(new SimulatedProcesses(), { removeLeftovers: remove });
    await prepareHookFolder(section, log, { host, hookProcesses });
    expect((await stat(section['state-dir'])).mode & 0o777).toBe(0o700);
    expect(entries).toEqual([]);
    await prepareHookFolder(section, log, { host, hookProcesses });
    expect(removed).toEqual([section['state-dir'], section['state-dir']]);
    expect(entries).toEqual([{ level: 'warn', message: 'old key files not removed', reason: 'busy' }]);
    await rm(folder, { recursive: true, force: true });
  });
});
