import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat } from '../../../src/protocol/bytes/octets.js';
import type { EapServerAnswer } from '../../../src/protocol/eap/authenticator.js';
import { decodeEap, EAP_CODE, EAP_TYPE, encodeEap } from '../../../src/protocol/eap/codec.js';
import { ACKNOWLEDGEMENT, decodeEapTls, type EapTlsData, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import type { EapPeerEvent } from '../../../src/protocol/eap/peer.js';
import { EapPeer } from '../../../src/runtime/eap/peer.js';
import type { EapConversation } from '../../../src/runtime/eap/server.js';
import { createPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { FlightWire } from '../../../src/runtime/tls/engine.js';
import { makePki, makeServer, type TestPki } from './eap-run.js';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
let pki: TestPki;

beforeAll(async () => {
  pki = await makePki('p256');
});

/** Large enough that no flight is fragmented. */
const MTU = 60_000;
const flightOf = (fragment: Uint8Array): EapTlsData => ({ ...ACKNOWLEDGEMENT, fragment });
const whole = (packet: Uint8Array): Uint8Array => decodeEapTls(decodeEap(packet).data).fragment;

/** Runs a PaC against a server that sends this data after the handshake; resolves to the events of the PaC. */
async function afterHandshake(version: SecureVersion, said: readonly Uint8Array[]): Promise<EapPeerEvent[]> {
  const server = createServer({
    ca: pki.ca.certificatePem,
    cert: pki.server.certificatePem,
    key: pki.server.keyPem,
    requestCert: true,
    minVersion: version,
    maxVersion: version,
  });
  const wire = new FlightWire();
  const done = new Promise<TLSSocket>((resolve) => server.on('secureConnection', resolve));
  server.emit('connection', wire);
  let secured: TLSSocket | undefined;
  void done.then((socket) => {
    secured = socket;
    for (const octets of said) socket.write(octets);
  });
  const credentials = createPeerCredentials({
    caPem: pki.ca.certificatePem,
    certificatePem: pki.client.certificatePem,
    keyPem: pki.client.keyPem,
    serverName: 'aaa.home.example',
    minVersion: version,
    maxVersion: version,
  });
  const events: EapPeerEvent[] = [];
  let next: (packet: Uint8Array | undefined) => void = () => undefined;
  const peer = new EapPeer({ identity: '@home.example', mtu: MTU, credentials }, (event) => {
    events.push(event);
    if (event.type === 'response') next(event.packet);
    else if (event.type === 'failed' || event.type === 'discarded') next(undefined);
  });
  const ask = (identifier: number, data: EapTlsData) =>
    new Promise<Uint8Array | undefined>((resolve) => {
      next = resolve;
      peer.receive(encodeEap({ code: EAP_CODE.REQUEST, identifier, type: EAP_TYPE.EAP_TLS, data: encodeEapTls(data) }));
    });
  let answer = await ask(1, { ...ACKNOWLEDGEMENT, start: true });
  for (let identifier = 2; answer && identifier < 8; identifier += 1) {
    const flight = whole(answer);
    await wire.exchange(flight);
    await wire.settle();
    const out = wire.takeFlight();
    if (out.length === 0) break;
    answer = await ask(identifier, flightOf(out));
  }
  secured?.destroy();
  wire.destroy();
  server.close();
  peer.close();
  return events;
}

describe("The server's protected success indication (RFC 9190 2.5)", () => {
  const zero = Uint8Array.of(0);

  it('is one octet 0x00 in TLS 1.3 and nothing in TLS 1.2', async () => {
    expect((await afterHandshake('TLSv1.3', [zero])).some(({ type }) => type === 'keys')).toBe(true);
    expect((await afterHandshake('TLSv1.2', [])).some(({ type }) => type === 'keys')).toBe(true);
  });

  it('is required: without it TLS 1.3 yields no keys', async () => {
    expect((await afterHandshake('TLSv1.3', [])).some(({ type }) => type === 'keys')).toBe(false);
  });

  it.each<[SecureVersion, string, Uint8Array[]]>([
    ['TLSv1.3', 'one octet 0x01', [Uint8Array.of(1)]],
    ['TLSv1.3', 'two octets 0x00', [Uint8Array.of(0, 0)]],
    ['TLSv1.3', '0x00 in two records', [zero, zero]],
    ['TLSv1.3', 'text', [Buffer.from('hello')]],
    ['TLSv1.2', 'one octet 0x00', [zero]],
    ['TLSv1.2', 'text', [Buffer.from('hello')]],
  ])('is rejected if it is anything else: %s, %s', async (version, _what, said) => {
    const events = await afterHandshake(version, said);
    expect(events.some(({ type }) => type === 'keys' || type === 'succeeded')).toBe(false);
    expect(events.at(-1)).toMatchObject({ type: 'failed', reason: 'protocol' });
  });
});

/** A client driven step by step, so that it can break the protocol. */
class RawClient {
  readonly wire = new FlightWire();
  readonly #conversation: EapConversation<string>;
  #identifier = 0;

  constructor(version: SecureVersion, saying?: Uint8Array) {
    this.#conversation = makeServer(pki).conversation({ mtu: MTU });
    const socket = connect({
      socket: this.wire,
      ca: pki.ca.certificatePem,
      cert: pki.client.certificatePem,
      key: pki.client.keyPem,
      servername: 'aaa.home.example',
      minVersion: version,
      maxVersion: version,
    });
    socket.on('error', () => undefined);
    if (saying) socket.on('secureConnect', () => socket.write(saying));
  }

  async start(): Promise<EapServerAnswer<string>> {
    const asked = await this.#conversation.handle(new Uint8Array(0));
    this.#identifier = asked.packet?.[1] ?? 0;
    return this.say(EAP_TYPE.IDENTITY, Buffer.from('@home.example'));
  }

  /** Sends one Response. `identifier`: by default that of the last Request. */
  async say(type: number, data: Uint8Array, identifier = this.#identifier): Promise<EapServerAnswer<string>> {
    const answer = await this.#conversation.handle(encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data }));
    if (answer.type === 'request') this.#identifier = answer.packet[1] ?? 0;
    return answer;
  }

  tls(fragment: Uint8Array): Promise<EapServerAnswer<string>> {
    return this.say(EAP_TYPE.EAP_TLS, encodeEapTls(flightOf(fragment)));
  }

  /** Continues the handshake by this number of flights. */
  async handshake(flights: number): Promise<EapServerAnswer<string>> {
    let answer = await this.start();
    for (let i = 0; i < flights && answer.type === 'request'; i += 1) {
      await this.wire.exchange(i === 0 ? new Uint8Array(0) : whole(answer.packet));
      await this.wire.settle();
      answer = await this.tls(this.wire.takeFlight());
    }
    return answer;
  }
}

describe.each(VERSIONS)('An EAP server and a client that violates the protocol, %s', (version) => {
  it('succeeds for a correct client', async () => {
    const client = new RawClient(version);
    expect(await client.handshake(2)).toMatchObject({ type: 'request' });
    expect(await client.tls(new Uint8Array(0))).toMatchObject({ type: 'success' });
  });

  it('discards a Response with a wrong identifier and repeats its Request', async () => {
    const client = new RawClient(version);
    const asked = await client.start();
    const identifier = ((asked.packet?.[1] ?? 0) + 1) & 0xff;
    const answer = await client.say(EAP_TYPE.EAP_TLS, encodeEapTls(ACKNOWLEDGEMENT), identifier);
    expect(answer).toEqual({ type: 'invalid', packet: asked.packet, reason: 'wrong EAP identifier' });
    expect(await new RawClient(version).handshake(2)).toMatchObject({ type: 'request' });
  });

  it('discards an Identity after the method began', async () => {
    const client = new RawClient(version);
    await client.handshake(1);
    const answer = await client.say(EAP_TYPE.IDENTITY, Buffer.from('@other.example'));
    expect(answer).toMatchObject({ type: 'invalid', reason: 'Identity after the method began' });
  });

  it('discards a Nak after the method began', async () => {
    const client = new RawClient(version);
    await client.handshake(1);
    expect(await client.say(EAP_TYPE.NAK, Uint8Array.of(21))).toMatchObject({ type: 'invalid' });
  });

  it('fails on data or an alert after the handshake', async () => {
    const client = new RawClient(version);
    await client.handshake(2);
    const data = await client.tls(Uint8Array.of(23, 3, 3, 0, 1, 0));
    expect(data).toMatchObject({ type: 'failure', reason: 'protocol', detail: 'data after the handshake' });
    const other = new RawClient(version);
    await other.handshake(2);
    expect(await other.tls(Uint8Array.of(21, 3, 3, 0, 2, 2, 42))).toMatchObject({ reason: 'tls-alert' });
  });

  it('fails on a record that it cannot decrypt, in the last flight of the handshake', async () => {
    const client = new RawClient(version);
    const asked = await client.handshake(1);
    await client.wire.exchange(whole(asked.packet ?? new Uint8Array(0)));
    const forged = concat(Uint8Array.of(23, 3, 3, 0, 64), new Uint8Array(64));
    const answer = await client.tls(concat(client.wire.takeFlight(), forged));
    expect(answer).toMatchObject({ type: 'failure', reason: 'tls-alert' });
  });

  it('fails on an empty flight', async () => {
    const client = new RawClient(version);
    await client.start();
    const answer = await client.tls(new Uint8Array(0));
    expect(answer).toMatchObject({ type: 'failure', reason: 'protocol', detail: 'empty flight' });
  });

  it('fails on a truncated flight', async () => {
    const client = new RawClient(version);
    await client.start();
    await client.wire.exchange(new Uint8Array(0));
    const hello = client.wire.takeFlight();
    const answer = await client.tls(hello.subarray(0, hello.length - 1));
    // Refused before the engine sees it.
    expect(answer).toMatchObject({ type: 'failure', reason: 'effort' });
  });
});

it("An EAP server fails on application data in the client's last flight", async () => {
  const client = new RawClient('TLSv1.3', Buffer.from('x'));
  const answer = await client.handshake(2);
  expect(answer).toMatchObject({ type: 'failure', reason: 'protocol', detail: 'application data from the client' });
});

it('An EAP server fails on two ClientHellos in one flight', async () => {
  const client = new RawClient('TLSv1.3');
  await client.start();
  await client.wire.exchange(new Uint8Array(0));
  const hello = client.wire.takeFlight();
  const answer = await client.tls(concat(hello, hello));
  expect(answer).toMatchObject({ type: 'failure' });
});
