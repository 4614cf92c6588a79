import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../dist/lab/lab.js';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { DEFAULT_VENDOR_ID } from '../../src/protocol/bytes/assigned-numbers.js';
import { toHex } from '../../src/protocol/bytes/octets.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { SessionKeys } from '../../src/tool/decode/keys.js';
import { LossyLink, radiusNetwork } from './radius-network.js';

const MN = 'mn1@home.example';

let lab: Lab | undefined;
let link: LossyLink | undefined;

afterEach(async () => {
  const statuses = await lab?.close();
  await link?.close();
  [lab, link] = [undefined, undefined];
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

/** Starts the servers, and records what the node and the AAA server exchange with the PAA where a datagram can be seen. */
async function network(aaa: 'diameter' | 'radius', seen: Buffer[], paaTree: object = {}) {
  lab = await Lab.make({ family: 'ipv6' });
  const watch = new LossyLink((octets) => {
    seen.push(octets);
    return false;
  });
  link = watch;
  const tree = { log: { level: 'debug' as const }, ...paaTree };
  if (aaa === 'radius') {
    const made = await radiusNetwork(lab, { paa: tree, between: (address, port) => watch.to(address, port) });
    return { ...made, lab };
  }
  const { daemon, place } = await lab.startAaa();
  const { daemon: paa } = await lab.startPaa(place, 'paa', tree);
  return { lab, aaa: daemon, paa };
}

/** The port of the PAA for PANA, behind the recorder. */
async function watchedPort(at: Lab, paa: DaemonProcess): Promise<number> {
  const [place] = (await paa.line('ready'))['listening'] as Place[];
  return (await link?.to(at.address, place?.port ?? 0)) ?? 0;
}

async function keyOf(at: Lab, name: string): Promise<string> {
  const [, key = ''] = (await readFile(at.path('hooks', name, 'psk.txt'), 'utf8')).trim().split(' ');
  return key;
}

/** Decodes a datagram with the keys of this file. */
async function opener(keys: string): Promise<(octets: Uint8Array) => string> {
  const known = SessionKeys.read(await readFile(keys, 'utf8'), keys);
  return (octets) => new Decoder(DEFAULT_VENDOR_ID, known).message(octets).text;
}

describe.each(['diameter', 'radius'] as const)('A node with mobility.privacy required, with AAA over %s', (kind) => {
  it('gets home agent, home address and key, which the access network does not see', async () => {
    const seen: Buffer[] = [];
    const { lab: at, aaa, paa } = await network(kind, seen);
    await at.addSubscriber(MN, 'mn1');
    const pac = await at.startPac('mn1', {
      // What AVPs on the access link hide is not what the seal hides.
      pana: { port: await watchedPort(at, paa), encryption: 'off' },
      mobility: { privacy: 'required' },
      'key-log': at.path('mn1.keys'),
    });
    expect(await pac.line('weak setting')).toMatchObject({ level: 40, reason: expect.stringContaining('key-log') });
    const bound = await pac.line('bootstrap completed');
    const given = await aaa.line('lease assigned');
    expect(bound).toMatchObject({
      homeAgent: '2001:db8:1::1',
      homeAgentHost: 'ha1.home.example',
      homeAddress: given['homeAddress'],
      ikeIdentity: MN,
      capability: expect.stringContaining('PSK_FROM_EMSK SEALED'),
    });
    await aaa.line('hook done', ({ event }) => event === 'up');
    await pac.line('hook done', ({ event }) => event === 'up');
    const key = await keyOf(at, 'mn1');
    expect(key).toMatch(/^0x[0-9a-f]{128}$/);
    expect(await keyOf(at, 'aaa')).toBe(key);
    expect(await paa.line('session authorized')).toMatchObject({ nai: MN, homeAgentKind: 'sealed' });
    const logOf = () => paa.lines.map((line) => JSON.stringify(line)).join('\n');
    const before = logOf();

    await at.addSubscriber('mn2@home.example', 'mn2');
    const open = await at.startPac('mn2', { pana: { port: await watchedPort(at, paa), encryption: 'off' } });
    const other = await open.line('bootstrap completed');
    await paa.line('session authorized', ({ nai }) => nai === 'mn2@home.example');

    const log = logOf();
    const wire = toHex(Buffer.concat(seen));
    const octets = (text: unknown) => toHex(parseAddress(String(text)) ?? new Uint8Array());
    // What is searched for is found of a node without privacy.
    expect(log).toContain(String(other['homeAddress']));
    expect(wire).toContain(octets(other['homeAddress']));
    expect(log).not.toContain(String(bound['homeAddress']));
    expect(wire).not.toContain(octets(bound['homeAddress']));
    expect(before).not.toContain('2001:db8:1::1');

    const opened = await opener(at.path('mn1.keys'));
    expect(seen.map(opened).join('\n')).toMatch(
      new RegExp(`opened with MIP6_SEALING_KEY [^]* MIP6-Home-Address +${String(bound['homeAddress'])}\n`),
    );
    expect(paa.lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });
});

describe('A node with mobility.privacy at a PAA that does not forward sealed assignments', () => {
  it('gets access without Mobile IPv6 if it requires privacy', async () => {
    const { lab: at, paa, aaa } = await network('diameter', [], { mobility: { offer: false } });
    await at.addSubscriber(MN, 'mn1');
    const pac = await at.startPac('mn1', {
      pana: { port: await watchedPort(at, paa) },
      mobility: { privacy: 'required' },
    });
    expect(await pac.line('Mobile IPv6 unavailable')).toMatchObject({ reason: 'none was assigned' });
    await paa.line('session authorized');
    expect(aaa.lines.some(({ msg }) => msg === 'lease assigned')).toBe(false);
  });
});
