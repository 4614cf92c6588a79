import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { hookPath, Lab, type LabOptions, type Place } from '../../dist/lab/lab.js';
import { callDaemon } from '../../dist/runtime/service/control.js';
import { encodePana, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { decodeRelay, encodeRelay } from '../../src/protocol/pana/wire/relayed.js';
import { eventually } from '../eventually.js';
import { Link } from './link.js';
import { numbersOf } from './numbers.js';

let lab: Lab | undefined;
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  const statuses = await lab?.close();
  for (const each of opened.splice(0)) each.close();
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

/** An AAA server, a PAA that serves a relay at the address of the lab and enforces there, and a subscriber. */
async function network(options: LabOptions, more: object = {}) {
  lab = await Lab.make(options);
  const made = lab;
  await mkdir(made.path('relay'));
  await writeFile(made.path('relay', 'hooks.conf'), 'DRY_RUN=no\n');
  const ep = { ep: hookPath('ep-list.sh'), 'state-dir': made.path('relay'), interface: 'lo' };
  const relays = [{ address: made.address, ...ep }];
  const { place } = await made.startAaa();
  const { daemon: paa, place: at } = await made.startPaa(place, 'paa', { pana: { relays, ...more } });
  await made.addSubscriber('mn1@home.example', 'mn1');
  return { made, paa, at };
}

/** A node whose PAA is at this place. */
const startNode = (made: Lab, { address, port }: Place, more: object = {}) =>
  made.startPac('mn1', { pana: { paa: [address], port, ...more } });

/** The lines of the enforcement point of the relay. */
const permitted = async (made: Lab) => (await readFile(made.path('relay', 'clients'), 'utf8')).split('\n').slice(0, -1);

const statusOf = (made: Lab, name: string) => callDaemon(made.socket(name), 'GET', '/status') as Promise<RelayStatus>;

interface RelayStatus {
  readonly state: string;
  readonly listening: readonly string[];
  readonly paa: string;
  readonly source: string;
  readonly lastFromPaaSeconds?: number;
  readonly counters: Readonly<Record<string, number>>;
}

const counter = async (made: Lab, series: string) => (await statusOf(made, 'pre')).counters[series] ?? 0;

/** A client on the access link that speaks for itself. */
async function strangerAt(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  opened.push(socket);
  await once(socket.bind(0, address), 'listening');
  return socket;
}

describe('A node behind pana-pre', () => {
  it('gets its home agent over a link that loses a third of the messages, and is permitted at the relay only', async () => {
    const { made, paa, at } = await network({ family: 'ipv6' });
    const link = await Link.open(at);
    opened.push(link);
    const seen = new Map<string, number>();
    // A third of the different messages is lost once.
    link.interfere = ({ octets }) => {
      const text = Buffer.from(octets).toString('hex');
      const number = seen.get(text);
      seen.set(text, seen.size);
      return number === undefined && seen.size % 3 === 0 ? [] : [octets];
    };
    const { daemon: pre, place } = await made.startPre(link.place);
    const pac = await startNode(made, place);
    await pac.line('bootstrap completed');
    await eventually(async () => expect(await permitted(made)).toHaveLength(1));
    expect(await readFile(made.path('hooks', 'paa', 'clients'), 'utf8')).toBe('');
    expect(link.recorded.every(({ message }) => message.type === MESSAGE_TYPE.RELAY)).toBe(true);
    expect(await paa.line('session authorized')).toMatchObject({ encryption: 'AES128_CTR' });
    expect((await numbersOf(made, 'paa'))('pana_paa_encrypted_sessions ')).toBe(1);
    const [{ address = '', port = 0 } = {}] = (await callDaemon(made.socket('paa'), 'GET', '/sessions')) as Place[];
    expect(decodeRelay(link.recorded[0]?.octets ?? new Uint8Array(0)).pac).toEqual({ address, port });
    const { listening, paa: to, source, lastFromPaaSeconds, counters } = await statusOf(made, 'pre');
    expect({ listening, to }).toEqual({
      listening: [`${place.address} port ${place.port}`],
      to: `${link.place.address} port ${link.place.port}`,
    });
    expect(source).toMatch(/^::1 port \d+$/);
    expect(lastFromPaaSeconds).toBeGreaterThanOrEqual(0);
    expect(counters['datagrams{end=client,direction=in}']).toBe(counters['datagrams{end=paa,direction=out}']);
    expect(pre.lines.filter(({ level }) => level > 30)).toEqual([]);
    await pac.stop();
    await eventually(async () => expect(await permitted(made)).toEqual([]));
  });

  it('does not notice that the relay is killed and started again, in a bootstrap and in a session', async () => {
    const { made, paa, at } = await network({ family: 'ipv6' });
    const link = await Link.open(at);
    opened.push(link);
    const first = await made.startPre(link.place);
    let isCut = false;
    // The relay is killed when the handshake of TLS is under way.
    link.interfere = ({ octets, from }) => {
      const isLarge = octets.length > 300;
      if (isLarge && from === 'pac' && !isCut) {
        isCut = true;
        first.daemon.signal('SIGKILL');
        return [];
      }
      return [octets];
    };
    const pac = await startNode(made, first.place);
    await first.daemon.exited;
    made.forget(first.daemon);
    const second = made.start('pre', 'pre', made.path('pre.yaml'));
    await second.line('ready');
    await pac.line('bootstrap completed');
    await paa.line('session authorized');

    // In the session the PAA reaches the node through another port of the relay as soon as the node was heard through it.
    await second.stop();
    const third = made.start('pre', 'pre', made.path('pre.yaml'), { PANA_PRE_RELAY_SOURCE_PORT: '0' });
    await third.line('ready');
    await callDaemon(made.socket('mn1'), 'POST', '/ping', {});
    await eventually(async () => expect(await counter(made, 'datagrams{end=client,direction=out}')).toBe(1));
    const [{ session = '' } = {}] = (await callDaemon(made.socket('paa'), 'GET', '/sessions')) as { session: string }[];
    await callDaemon(made.socket('paa'), 'POST', '/session/reauth', { session });
    await paa.line('session reauthenticated');
    expect(paa.lines.filter(({ msg }) => msg === 'session ended')).toEqual([]);
    await eventually(async () => expect(await permitted(made)).toHaveLength(1));
  });

  it('gets a new session from a PAA that was killed and started again', async () => {
    const { made, paa, at } = await network({ family: 'ipv4' }, { 'ping-interval': '1s' });
    const { place } = await made.startPre(at);
    // One that encrypts nothing, as before RFC 6786.
    const pac = await startNode(made, place, { encryption: 'off' });
    await pac.line('bootstrap completed');
    paa.signal('SIGKILL');
    await paa.exited;
    made.forget(paa);
    const again = made.start('paa', 'paa', made.path('paa.yaml'));
    await again.line('peer connected');
    await callDaemon(made.socket('mn1'), 'POST', '/reauth', {});
    expect(await again.line('session authorized')).toMatchObject({ encryption: 'none' });
    expect((await numbersOf(made, 'paa'))('pana_paa_encrypted_sessions ')).toBe(0);
    await eventually(async () => expect(await permitted(made)).toHaveLength(1));
  });
});

describe('pana-pre', () => {
  const PAN = encodePana({ type: MESSAGE_TYPE.AUTH, flags: 0, sessionId: 7, sequence: 7, avps: [] });
  const PCI = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });

  it('limits a client that floods it, and serves another one meanwhile', async () => {
    const { made, at } = await network({ family: 'ipv4', logLevel: 'info' });
    const { place } = await made.startPre(at);
    const flooder = await strangerAt('127.0.0.66');
    const flood = () => {
      for (let n = 0; n < 10; n += 1) {
        flooder.send(PAN, place.port, place.address);
        flooder.send(PCI, place.port, place.address);
      }
    };
    const flooding = setInterval(flood, 10);
    opened.push({ close: () => clearInterval(flooding) });
    await eventually(async () => {
      expect(await counter(made, 'dropped{code=messages-of-address}')).toBeGreaterThan(200);
      expect(await counter(made, 'dropped{code=pci-of-address}')).toBeGreaterThan(200);
    });
    const before = await counter(made, 'datagrams{end=client,direction=in}');
    const pac = await startNode(made, place);
    await pac.line('bootstrap completed');
    expect(await counter(made, 'datagrams{end=client,direction=in}')).toBeGreaterThan(before);
  });

  it('relays neither what is no PANA message, nor a PRY of a client, nor one of a stranger as if from the PAA', async () => {
    const { made, at } = await network({ family: 'ipv4' });
    const { place } = await made.startPre(at);
    const victim = await strangerAt('127.0.0.77');
    const received: Buffer[] = [];
    victim.on('message', (octets) => received.push(octets));
    const { address, port } = victim.address();
    const stranger = await strangerAt('127.0.0.66');
    const pry = encodeRelay({ pac: { address, port }, octets: PAN });
    const source = Number(/ port (\d+)$/.exec((await statusOf(made, 'pre')).source)?.[1]);
    stranger.send(pry, source, made.address);
    for (const octets of [pry, Buffer.from('hello'), Buffer.alloc(0), Buffer.from([...PCI, 0])]) {
      stranger.send(octets, place.port, place.address);
    }
    // The PCI of the victim is the last, and its answer the only thing that it gets.
    await eventually(async () => expect(await counter(made, 'dropped{code=leftover}')).toBe(1));
    victim.send(PCI, place.port, place.address);
    await eventually(() => expect(received).toHaveLength(1));
    expect(received[0]?.[7]).toBe(MESSAGE_TYPE.AUTH);
    expect((await statusOf(made, 'pre')).counters).toMatchObject({
      'dropped{code=nested}': 1,
      'dropped{code=truncated}': 2,
      'dropped{code=leftover}': 1,
      'datagrams{end=paa,direction=out}': 1,
      'datagrams{end=paa,direction=in}': 1,
    });
  });
});
