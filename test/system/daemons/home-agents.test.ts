import Database from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { HOME_AGENT, Lab } from '../../../dist/lab/lab.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';
import { run } from '../../daemons/program.js';
import { agents, nodeOnFirst, OTHER, operate, type Scene } from '../../daemons/two-home-agents.js';
import { eventually } from '../../eventually.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

async function scene(): Promise<Scene> {
  lab = await Lab.make();
  return nodeOnFirst(lab);
}

describe('A home agent', () => {
  it('that is set to down loses its nodes to another one, with hooks at both ends', async () => {
    const { made, aaa, pac } = await scene();
    expect(await operate(made, 'home-agent', 'down', 'ha1')).toMatchObject({
      status: 0,
      stdout: 'ha1 is down: the running server moves its nodes.\n',
    });
    expect(await pac.line('bootstrap withdrawn')).toMatchObject({ homeAgent: HOME_AGENT });
    expect(await pac.line('bootstrap completed', (line) => line['homeAgent'] === OTHER)).toMatchObject({
      homeAgent: OTHER,
    });
    await aaa.line('hook done', ({ event }) => event === 'down');
    await pac.line('hook done', ({ event }) => event === 'down');
    expect(await agents(made)).toEqual({ ha1: { state: 'down', leases: 0 }, ha2: { state: 'up', leases: 1 } });
    const events = pac.lines.flatMap((line) => (line.msg === 'hook done' ? [line['event']] : []));
    expect(events.slice(0, 2)).toEqual(['up', 'down']);
    expect((await operate(made, 'home-agent', 'up', 'ha1')).status).toBe(0);
    expect(await agents(made)).toMatchObject({ ha1: { state: 'up' } });
  });

  it('that is set to draining keeps its nodes and gets no new ones', async () => {
    const { made, pac } = await scene();
    expect((await operate(made, 'home-agent', 'drain', 'ha1')).stdout).toBe('ha1 gets no new nodes.\n');
    await made.addSubscriber('mn2@home.example', 'mn2');
    expect(await (await made.startPac('mn2')).line('bootstrap completed')).toMatchObject({ homeAgent: OTHER });
    expect((await run('pac', ['reauth', '--control.socket', made.socket('mn1')])).status).toBe(0);
    expect(await pac.line('bootstrap refreshed')).toMatchObject({ homeAgent: HOME_AGENT });
    expect(await agents(made)).toEqual({ ha1: { state: 'draining', leases: 1 }, ha2: { state: 'up', leases: 1 } });
  });

  it('is changed, shown and removed, with leases only by force', async () => {
    const { made, aaa, pac } = await scene();
    const shown = await operate(made, 'home-agent', 'set', 'ha1', '--capacity', '4', '--ike', 'ikev2,ikev1');
    expect(shown.stdout).toMatch(/ha1 +up .* ikev2,ikev1 +1 +1 of 4 +#####\.+ 25 %/);
    expect(await operate(made, 'home-agent', 'set', 'ha1', '--capacity', '0')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--capacity: must be a whole number of at least 1'),
    });
    expect((await operate(made, 'home-agent', 'drain', 'ha9')).stderr).toContain('no home agent ha9');
    const refused = await operate(made, 'home-agent', 'remove', 'ha1');
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('ha1 has 1 lease') });
    expect((await operate(made, 'home-agent', 'remove', 'ha1', '--force')).stdout).toBe('Removed ha1 and 1 lease.\n');
    await aaa.line('hook done', ({ event }) => event === 'down');
    // The node is asked to re-authenticate and gets the other one.
    await pac.line('bootstrap completed', (line) => line['homeAgent'] === OTHER);
    expect(await agents(made)).toEqual({ ha2: { state: 'up', leases: 1 } });
    // The history shows who held which home address.
    const history = await operate(made, 'lease', 'history', 'mn1@home.example');
    const [head = '', now = '', before = ''] = history.stdout.split('\n');
    expect(head).toMatch(/^HOME ADDRESS +SUBSCRIBER +HOME AGENT +FROM +TO$/);
    expect(now).toMatch(/^2001:db8:2:\S+ +mn1@home\.example +ha2 +\S+Z +now$/);
    expect(before).toMatch(/^2001:db8:1:\S+ +mn1@home\.example +ha1 +\S+Z +\S+Z$/);
    const noon = await operate(made, 'lease', 'history', '--at', '2020-01-01T12:00:00Z');
    expect(noon.stdout).toBe('Nobody.\n');
    expect(await operate(made, 'lease', 'history', '--at', 'noon')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--at: "noon" is not a time'),
    });
  });
});

describe('A subscriber', () => {
  it('that is disabled loses its session at once and is refused until it is enabled', async () => {
    const { made, aaa, pac } = await scene();
    expect(await operate(made, 'subscriber', 'disable', 'mn1@home.example')).toMatchObject({ status: 0 });
    expect(await pac.line('session ended')).toMatchObject({ reason: 'terminated-by-paa' });
    await aaa.line('lease released');
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'disabled' });
    expect(await made.leases()).toEqual([]);
    expect(await operate(made, 'subscriber', 'enable', 'mn1@home.example')).toMatchObject({ status: 0 });
    const again = await made.startPac('mn1', { control: { socket: made.socket('mn1 again') } });
    await again.line('bootstrap completed');
    expect((await operate(made, 'subscriber', 'disable', 'nobody@home.example')).stderr).toContain('no subscriber');
  });
});

describe('The store of a server', () => {
  it('loses the staged rows of an import that was killed', async () => {
    const made = await Lab.make();
    lab = made;
    const { daemon: aaa } = await made.startAaa();
    for (const importId of ['killed', 'goes on']) {
      const subscriber = plainSubscriber('mn@home.example');
      await made.administer('aaa', 'stageImport', { importId, rows: [{ line: 2, subscriber }] });
    }
    expect(await aaa.stop()).toBe(0);
    const file = new Database(made.path('aaa.db'));
    file.exec("UPDATE import_rows SET created_at = created_at - 3600000 WHERE import_id = 'killed'");
    const left = file.prepare('SELECT import_id FROM import_rows').pluck();
    expect(left.all()).toHaveLength(2);
    await made.start('again', 'aaa', made.path('aaa.yaml')).line('ready');
    // The first round of the upkeep is after 5 s.
    await eventually(async () => expect(await left.all()).toEqual(['goes on']));
    file.close();
  });

  it('is backed up while the server runs and restored while it does not', async () => {
    const { made, aaa } = await scene();
    const file = made.path('backup.db');
    expect(await operate(made, 'store', 'backup', file)).toMatchObject({ status: 0 });
    expect(await operate(made, 'store', 'backup', file)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('already exists'),
    });
    await made.addSubscriber('mn2@home.example', 'mn2');
    expect(await operate(made, 'store', 'restore', file)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('stop it first'),
    });
    expect(await aaa.stop()).toBe(0);
    expect(await operate(made, 'store', 'restore', file)).toMatchObject({ status: 0 });
    const { stdout } = await operate(made, 'subscriber', 'list', '--json');
    expect(JSON.parse(stdout).items).toMatchObject([{ nai: 'mn1@home.example' }]);
  });
});
