import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab } from '../../../dist/lab/lab.js';
import { run } from '../../daemons/program.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

interface Scene {
  readonly made: Lab;
  readonly aaa: DaemonProcess;
  readonly paa: DaemonProcess;
  readonly pac: DaemonProcess;
}

async function scene(paaTree = {}): Promise<Scene> {
  const made = await Lab.make();
  lab = made;
  const { daemon: aaa, place } = await made.startAaa();
  const { daemon: paa } = await made.startPaa(place, 'paa', paaTree);
  await made.addSubscriber('mn1@home.example', 'mn1');
  const pac = await made.startPac('mn1', { pana: { 'ping-interval': '1s' } });
  await pac.line('bootstrap completed');
  await paa.line('session authorized');
  return { made, aaa, paa, pac };
}

function session(made: Lab, ...parameters: readonly string[]) {
  return run('aaa', ['session', ...parameters, '--control.socket', made.socket('aaa'), '--store', made.path('aaa.db')]);
}

describe('pana-aaa session', () => {
  it('list prints a table or JSON, filtered by subscriber', async () => {
    const { made, pac } = await scene();
    const { homeAddress } = await pac.line('bootstrap completed');
    const shown = await session(made, 'list');
    expect(shown.stdout).toMatch(/^SESSION +SUBSCRIBER +PAA +HOME AGENT +HOME ADDRESS +SINCE +UNTIL/);
    expect(shown.stdout).toContain('mn1@home.example');
    const [row] = JSON.parse((await session(made, 'list', 'MN1@home.example', '--json')).stdout).items;
    expect(row).toMatchObject({ nai: 'mn1@home.example', origin: 'paa.access.example', kind: 'home', homeAddress });
    expect((await session(made, 'list', 'nobody@home.example')).stdout).toBe('No match.\n');
  });

  it('disconnect ends the session with ASR, PTR and STR, and releases the lease', async () => {
    const { made, aaa, paa, pac } = await scene();
    expect(await session(made, 'disconnect', 'mn1@home.example')).toMatchObject({ status: 0 });
    expect(await pac.line('session ended')).toMatchObject({ reason: 'terminated-by-paa' });
    await pac.line('hook done', ({ event }) => event === 'down');
    expect(await paa.line('session ended')).toMatchObject({ reason: 'administrative' });
    // RFC 6733 8.15: DIAMETER_ADMINISTRATIVE.
    expect(await aaa.line('session ended')).toMatchObject({ reason: 'ADMINISTRATIVE', known: true });
    await aaa.line('lease released');
    await paa.line('message received', ({ message }) => message === 'STA');
    const names = paa.lines.flatMap((line) =>
      line.msg === 'message sent' || line.msg === 'message received' ? [line['message']] : [],
    );
    const ofDiameter = names.filter((name) => name !== 'PTR' && name !== 'PTA');
    expect(ofDiameter.slice(ofDiameter.indexOf('ASR'))).toEqual(['ASR', 'ASA', 'STR', 'STA']);
  });

  it('reauth re-authenticates the client with RAR', async () => {
    const { made, paa, pac } = await scene();
    const [{ sessionId }] = JSON.parse((await session(made, 'list', '--json')).stdout).items;
    const ended = await session(made, 'reauth', sessionId);
    expect(ended).toMatchObject({ status: 0 });
    expect(ended.stdout).toMatch(/paa\.access\.example +SUCCESS/);
    await pac.line('bootstrap refreshed');
    await paa.line('session reauthenticated');
    // The session keeps its Session-Id (RFC 6733 8.17).
    const ders = paa.lines.filter(({ msg, message }) => msg === 'message sent' && message === 'DER');
    expect(new Set(ders.map((line) => line['diameterSession']))).toEqual(new Set([sessionId]));
  });

  it("disconnect fails for an unknown session and an unreachable PAA; the PAA's restart ends its sessions", async () => {
    const { made, aaa, paa } = await scene({ pana: { 'ping-interval': '0s' } });
    expect(await session(made, 'disconnect', 'paa;1;1')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no session paa;1;1'),
    });
    paa.signal('SIGKILL');
    await paa.exited;
    const away = await session(made, 'disconnect', 'mn1@home.example');
    expect(away.status).toBe(1);
    expect(away.stdout).toContain('not connected: paa.access.example');
    made.start('paa again', 'paa', made.path('paa.yaml'));
    // Its Origin-State-Id has grown, so the server ends its old sessions. The lease stays for the node.
    expect(await aaa.line('sessions lost')).toMatchObject({ count: 1 });
    expect(await made.leases()).toHaveLength(1);
  });
});
