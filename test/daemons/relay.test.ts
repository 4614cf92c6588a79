import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { hookPath, Lab, type Place } from '../../dist/lab/lab.js';
import { PanaRelay } from '../../dist/protocol/pana/relay/relay.js';
import { callDaemon } from '../../dist/runtime/service/control.js';
import { eventually } from '../eventually.js';

const RELAY = '127.0.0.1';
const LIMITS = { perAddress: 100, perNetwork: 100, inAll: 100 };

let lab: Lab | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  const statuses = await lab?.close();
  await Promise.all(sockets.splice(0).map((socket) => once(socket.close(), 'close')));
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

/** A relay between clients and this PAA; resolves with its place. */
async function relayTo(paa: Place): Promise<Place> {
  const [access, up] = [createSocket('udp4'), createSocket('udp4')];
  sockets.push(access, up);
  for (const socket of [access, up]) await once(socket.bind(0, RELAY), 'listening');
  const config = { limits: LIMITS, messages: 100, unproven: 100 };
  const relay = new PanaRelay([{ local: 'access', address: RELAY }], config, new Uint8Array(16), 0);
  access.on('message', (octets, { address, port }) => {
    for (const output of relay.handle({ type: 'fromPac', octets, address, port }, 0)) {
      if (output.type === 'toPaa') up.send(output.octets, paa.port, paa.address);
    }
  });
  up.on('message', (octets) => {
    for (const output of relay.handle({ type: 'fromPaa', octets }, 0)) {
      if (output.type === 'toPac') access.send(output.octets, output.port, output.address);
    }
  });
  return { address: RELAY, port: access.address().port };
}

it('A node behind a relay gets its home agent, is permitted at the relay, and revoked there', async () => {
  lab = await Lab.make({ family: 'ipv4' });
  const folder = lab.path('relay');
  await mkdir(folder);
  await writeFile(lab.path('relay', 'hooks.conf'), 'DRY_RUN=no\n');
  const { daemon: aaa, place } = await lab.startAaa();
  const relays = [{ address: RELAY, ep: hookPath('ep-list.sh'), 'state-dir': folder, interface: 'lo' }];
  const { daemon: paa, place: at } = await lab.startPaa(place, 'paa', { pana: { relays } });
  const { address, port } = await relayTo(at);
  await lab.addSubscriber('mn1@home.example', 'mn1');
  const pac = await lab.startPac('mn1', { pana: { paa: [address], port } });
  const bound = await pac.line('bootstrap completed');
  expect(bound['homeAddress']).toBe((await aaa.line('lease assigned'))['homeAddress']);
  // The list has a line for each session; the own enforcement point of the PAA has none.
  const clients = (file: string) => readFile(file, 'utf8');
  await eventually(async () =>
    expect(await clients(lab?.path('relay', 'clients') ?? '')).toMatch(/ 127\.0\.0\.1 \d+\n$/),
  );
  expect(await clients(lab.path('hooks', 'paa', 'clients'))).toBe('');
  expect(paa.lines.find(({ msg, relayed }) => msg === 'message received' && relayed === true)).toMatchObject({
    message: 'PCI',
    address: RELAY,
  });
  const encryption = 'AES128_CTR';
  expect(await callDaemon(lab.socket('mn1'), 'GET', '/status')).toMatchObject({ encryption });
  expect(await callDaemon(lab.socket('paa'), 'GET', '/sessions')).toMatchObject([{ relay: RELAY, encryption }]);
  await pac.stop();
  await eventually(async () => expect(await clients(lab?.path('relay', 'clients') ?? '')).toBe(''));
});

it('A PAA serves while the enforcement point of a relay cannot be set up, and its status shows that', async () => {
  lab = await Lab.make({ family: 'ipv4' });
  const made = lab;
  const { place } = await made.startAaa();
  // There is no EP_TARGET.
  const relays = [{ address: RELAY, ep: hookPath('ep-ssh.sh'), 'state-dir': made.path('relay') }];
  const { daemon: paa } = await made.startPaa(place, 'paa', { pana: { relays } });
  await paa.line('hook failed', ({ role, event }) => role === 'ep' && event === 'start');
  const status = (await callDaemon(made.socket('paa'), 'GET', '/status')) as { readonly hooks: readonly object[] };
  expect(status.hooks).toMatchObject([{ role: 'ep', event: 'start', problem: expect.any(String) }]);
  await made.addSubscriber('mn1@home.example', 'mn1');
  await (await made.startPac('mn1')).line('bootstrap completed');
});

it('A PAA without relays drops what one sends', async () => {
  lab = await Lab.make({ family: 'ipv4' });
  const { place } = await lab.startAaa();
  const { daemon: paa, place: at } = await lab.startPaa(place);
  const { address, port } = await relayTo(at);
  await lab.addSubscriber('mn1@home.example', 'mn1');
  const pac = await lab.startPac('mn1', { pana: { paa: [address], port } });
  expect(await paa.line('relay not allowed')).toMatchObject({ level: 40, address: RELAY, count: 1 });
  await paa.line('message dropped', ({ reason }) => reason === 'unknown-relay');
  await pac.stop();
});
