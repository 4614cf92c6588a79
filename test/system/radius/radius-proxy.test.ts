import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import type { Session } from '../../../src/protocol/home/records.js';
import { operate } from '../../daemons/two-home-agents.js';
import { eventually } from '../../eventually.js';
import { announce, missing } from '../access-network.js';
import { eapol, runProgram, SECRET, startRadius, valuesOf } from './eapol.js';
import { FreeRadius, freePort } from './freeradius.js';

const naiOf = (name: string) => `${name}@home.example`;
const why = missing('eapol_test', 'radclient', 'freeradius');

describe.skipIf(!announce('FreeRADIUS between eapol_test and the AAA server', why))('Behind FreeRADIUS', () => {
  let lab: Lab;
  let aaa: DaemonProcess;
  let servers: { readonly place: Place; readonly accounting: Place };
  let proxy: FreeRadius | undefined;
  let ports: readonly [number, number, number];
  const at = (which: 0 | 1): Place => ({ address: '127.0.0.1', port: ports[which] });

  beforeAll(async () => {
    lab = await Lab.make({ family: 'ipv4' });
    ports = [await freePort(), await freePort(), await freePort()];
    const client = { name: 'proxy1', from: ['127.0.0.1'], 'secret-file': lab.path('nas.secret') };
    const { daemon, place, accounting } = await startRadius(lab, {
      clients: [{ ...client, dae: { address: '127.0.0.1', port: ports[2] } }],
    });
    aaa = daemon;
    servers = { place, accounting };
    for (const name of ['mn1', 'mn2', 'mn3', 'mn4']) await lab.addSubscriber(naiOf(name), name);
  });

  afterEach(() => proxy?.stop());
  afterAll(() => lab.close());

  const sessions = async (name: string) =>
    ((await lab.administer('aaa', 'listSessions', { of: naiOf(name) })) as { items: readonly Session[] }).items;
  const leases = async (name: string) => (await lab.leases()).filter(({ nai }) => nai === naiOf(name));
  const account = (attributes: string) =>
    runProgram(
      'radclient',
      ['-x', '-r', '3', '-t', '5', `127.0.0.1:${ports[1]}`, 'acct', SECRET],
      `User-Name = "@home.example", Acct-Session-Id = "5", ${attributes}\n`,
    );

  /** Authenticates through the proxy. Returns the Class of the session. */
  async function enter(name: string, coa?: string): Promise<string> {
    proxy = await FreeRadius.start(lab, servers, ports, coa);
    const { status, output } = await eapol(lab, at(0), name, {
      attributes: ['124:x:0000000000000001', `44:s:${name}`, '32:s:ap7'],
    });
    expect(output).toMatch(/MPPE keys OK: 1 {2}mismatch: 0/);
    expect(status).toBe(0);
    const [sessionClass = ''] = valuesOf(output, 25);
    return `0x${sessionClass}`;
  }

  it('a node authenticates, and its octets are accounted until its session stops', async () => {
    const own = await enter('mn1');
    expect(await leases('mn1')).toHaveLength(1);
    expect((await account(`Acct-Status-Type = Start, Class = ${own}`)).output).toContain(
      'Received Accounting-Response',
    );
    const octets = 'Acct-Input-Octets = 7, Acct-Input-Gigawords = 2, Acct-Output-Octets = 4096';
    const interim = await account(`Acct-Status-Type = Interim-Update, Class = ${own}, ${octets}`);
    expect(interim.output).toContain('Received Accounting-Response');
    const shown = await operate(lab, 'session', 'show', naiOf('mn1'));
    expect(shown.stdout).toMatch(/octets +8589934599 from and 4096 to the node, reported at /);
    const stop = await account(
      `Acct-Status-Type = Stop, Acct-Terminate-Cause = User-Request, Class = ${own}, ${octets}`,
    );
    expect(stop.output).toContain('Received Accounting-Response');
    expect(await aaa.line('session ended', ({ reason }) => reason === 'User-Request')).toMatchObject({ known: true });
    expect([await sessions('mn1'), await leases('mn1')]).toEqual([[], []]);
    // A session that is over, or of nobody, is not made by a report.
    for (const status of ['Interim-Update', 'Stop']) {
      const late = await account(`Acct-Status-Type = ${status}, Class = ${own}, ${octets}`);
      expect(late.output).toContain('Received Accounting-Response');
    }
    expect(await sessions('mn1')).toEqual([]);
  });

  it('sessions are disconnected and authenticated again by command', async () => {
    await enter('mn2');
    const again = await operate(lab, 'session', 'reauth', naiOf('mn2'));
    expect(again.stdout).toContain('SUCCESS');
    expect(await sessions('mn2')).toHaveLength(1);
    const ended = await operate(lab, 'session', 'disconnect', naiOf('mn2'));
    expect(ended).toMatchObject({ status: 0 });
    expect([await sessions('mn2'), await leases('mn2')]).toEqual([[], []]);
    // The NAS finds the session by the names that it gave it.
    await eventually(() => {
      const text = proxy?.lines.join('\n') ?? '';
      const request = text.slice(text.lastIndexOf('Received Disconnect-Request'));
      expect(request).toMatch(/Acct-Session-Id = "mn2"/);
      expect(request).toMatch(/NAS-Identifier = "ap7"/);
      expect(request).toMatch(/Message-Authenticator = 0x/);
    });
  });

  it('a refusal of the NAS is shown with its cause, and the session stays', async () => {
    await enter('mn3', 'update reply {\n&Error-Cause := Administratively-Prohibited\n}\nreject');
    const { stdout, status } = await operate(lab, 'session', 'disconnect', naiOf('mn3'));
    expect(stdout).toContain('Disconnect-NAK (Administratively-Prohibited)');
    expect(status).toBe(1);
    expect(await sessions('mn3')).toHaveLength(1);
  });

  it('a session that the NAS does not know ends', async () => {
    await enter('mn4', 'update reply {\n&Error-Cause := Session-Context-Not-Found\n}\nreject');
    const { stdout } = await operate(lab, 'session', 'disconnect', naiOf('mn4'));
    expect(stdout).toContain('Disconnect-NAK (Session-Context-Not-Found)');
    expect(await sessions('mn4')).toEqual([]);
  });
});
