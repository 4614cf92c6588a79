import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { HOME_AGENT, Lab } from '../../../dist/lab/lab.js';
import type { HomeAgent } from '../../../src/protocol/home/records.js';
import { run } from '../../daemons/program.js';
import { agents, nodeOnFirst, OTHER, operate, type Scene } from '../../daemons/two-home-agents.js';
import { eventually } from '../../eventually.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** Sets how a home agent answers to probes. */
function answer(made: Lab, name: string, what: 'alive' | 'dead' | 'hangs'): Promise<void> {
  return writeFile(made.path('probe', name), `${what}\n`);
}

/** A probe hook that records each run, and whose result is read from the file of the home agent. */
async function probeHook(made: Lab): Promise<string> {
  const folder = made.path('probe');
  await mkdir(folder, { recursive: true });
  const path = made.path('probe', 'hook.sh');
  const text = `#!/bin/sh
echo "$1 $MIP6_EVENT $MIP6_ROLE $MIP6_HA \${MIP6_PSK_FILE:-no key}" >>"${folder}/$MIP6_HA_ID.runs"
read -r what <"${folder}/$MIP6_HA_ID"
case $what in
alive) exit 0 ;;
hangs) trap '' TERM; sleep 60 & wait; sleep 60 ;;
*) echo "no answer from $MIP6_HA_ID"; exit 1 ;;
esac
`;
  await writeFile(path, text);
  await chmod(path, 0o755);
  return path;
}

/** A node on the first of two home agents, both alive. */
async function scene(): Promise<Scene> {
  const made = await Lab.make();
  lab = made;
  const probe = await probeHook(made);
  for (const name of ['ha1', 'ha2']) await answer(made, name, 'alive');
  return nodeOnFirst(made, { hooks: { probe, 'probe-interval': '200ms' } });
}

async function runsOf(made: Lab, name: string): Promise<string[]> {
  return (await readFile(made.path('probe', `${name}.runs`), 'utf8')).trim().split('\n');
}

describe('A probed home agent', () => {
  it('loses its nodes to another one when it dies and gets nodes again when it is back', async () => {
    const { made, aaa, pac } = await scene();
    expect((await runsOf(made, 'ha1'))[0]).toBe(`probe probe ha ${HOME_AGENT} no key`);
    await answer(made, 'ha1', 'dead');
    expect(await aaa.line('home agent not responding')).toMatchObject({
      homeAgent: HOME_AGENT,
      homeAgentName: 'ha1',
      reason: 'exit status 1',
      count: 3,
    });
    expect(await pac.line('bootstrap withdrawn')).toMatchObject({ homeAgent: HOME_AGENT });
    await pac.line('bootstrap completed', (line) => line['homeAgent'] === OTHER);
    await aaa.line('hook done', ({ event }) => event === 'down');
    const ups = () => aaa.lines.filter(({ msg, event }) => msg === 'hook done' && event === 'up');
    await eventually(() => expect(ups().length).toBe(2));
    expect(await agents(made)).toMatchObject({
      ha1: { state: 'up', failedBy: 'aaa.home.example', leases: 0 },
      ha2: { state: 'up', failedBy: undefined, leases: 1 },
    });
    expect((await run('aaa', ['status', '--control.socket', made.socket('aaa')])).stdout).toContain(
      'ha1 up (does not answer), 0 of 1000 leases',
    );

    await answer(made, 'ha1', 'alive');
    expect(await aaa.line('home agent responding again')).toMatchObject({ homeAgentName: 'ha1' });
    expect((await agents(made))['ha1']).toMatchObject({ failedBy: undefined });
    await made.addSubscriber('mn2@home.example', 'mn2');
    expect(await (await made.startPac('mn2')).line('bootstrap completed')).toMatchObject({ homeAgent: HOME_AGENT });
    // The state was reported once.
    expect(aaa.lines.filter(({ msg }) => msg === 'home agent not responding')).toHaveLength(1);
  });

  it('keeps its nodes while fewer than probe-failures probes fail in a row', async () => {
    const { made, aaa, pac } = await scene();
    for (let i = 0; i < 3; i += 1) {
      const from = aaa.lines.length;
      await answer(made, 'ha1', 'dead');
      await eventually(() => expect(aaa.lines.slice(from).map(({ msg }) => msg)).toContain('probe failed'));
      await answer(made, 'ha1', 'alive');
      const before = (await runsOf(made, 'ha1')).length;
      // One probe may be in progress; the next one reads the new state.
      await eventually(async () => expect((await runsOf(made, 'ha1')).length).toBeGreaterThan(before + 1));
    }
    const failed = aaa.lines.flatMap((line) => (line.msg === 'probe failed' ? [Number(line.count)] : []));
    expect(Math.max(...failed)).toBeLessThan(3);
    expect(pac.lines.some(({ msg }) => msg === 'bootstrap withdrawn')).toBe(false);
  });

  it('with a hanging probe is dead, and delays neither other probes nor the end of the server', {
    timeout: 90_000,
  }, async () => {
    const { made, aaa, pac } = await scene();
    await answer(made, 'ha1', 'hangs');
    expect(await aaa.line('home agent not responding')).toMatchObject({
      homeAgent: HOME_AGENT,
      homeAgentName: 'ha1',
      reason: 'timeout after 400 ms',
      count: 3,
    });
    await pac.line('bootstrap completed', (line) => line['homeAgent'] === OTHER);
    const before = (await runsOf(made, 'ha2')).length;
    await eventually(async () => expect((await runsOf(made, 'ha2')).length).toBeGreaterThan(before));
    const started = performance.now();
    expect(await aaa.stop()).toBe(0);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('that an operator set to down is not probed and stays down', async () => {
    const { made, aaa, pac } = await scene();
    expect(await operate(made, 'home-agent', 'down', 'ha1')).toMatchObject({ status: 0 });
    await pac.line('bootstrap completed', (line) => line['homeAgent'] === OTHER);
    const [before, other] = [(await runsOf(made, 'ha1')).length, (await runsOf(made, 'ha2')).length];
    await eventually(async () => expect((await runsOf(made, 'ha2')).length).toBeGreaterThan(other + 3));
    // One probe may have been in progress.
    expect((await runsOf(made, 'ha1')).length).toBeLessThanOrEqual(before + 1);
    expect((await agents(made))['ha1']).toMatchObject({ state: 'down' });
    expect(aaa.lines.some(({ msg }) => msg === 'home agent responding again')).toBe(false);
  });

  it('that was found dead is assigned again once no server probes', async () => {
    const { made, aaa } = await scene();
    await answer(made, 'ha1', 'dead');
    await aaa.line('home agent not responding');
    expect(await aaa.stop()).toBe(0);
    await made.startAaa('again', { store: made.path('aaa.db') });
    await eventually(async () =>
      expect((await made.administer('again', 'listHomeAgents', {})) as HomeAgent[]).toMatchObject([
        { name: 'ha1' },
        { name: 'ha2' },
      ]),
    );
    await eventually(async () =>
      expect(((await made.administer('again', 'listHomeAgents', {})) as HomeAgent[])[0]?.failedBy).toBe(undefined),
    );
  });
});
