// Long, because both ends are tested in each TLS version, with full and resumed handshakes.

import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  DAY,
  issueCertificate,
  type KeyKind,
  makeCrl,
  serialOf,
  validFor,
} from '../../../src/pki/certificate-authority.js';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { MAX_INVALID, MAX_SERVER_ROUNDS } from '../../../src/protocol/eap/authenticator.js';
import { encodeEap } from '../../../src/protocol/eap/codec.js';
import { encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import type { EapPeerEvent } from '../../../src/protocol/eap/peer.js';
import { EapPeer } from '../../../src/runtime/eap/peer.js';
import { createPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { TlsServerHandshake } from '../../../src/runtime/eap/tls-server.js';
import { eventually } from '../../eventually.js';
import {
  type Ends,
  makePki,
  makeServer,
  type Outcome,
  onlySubscriber,
  runEap,
  SUBSCRIBER,
  type TestPki,
} from './eap-run.js';
import { revocationOf } from './revocation-of.js';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const KINDS: readonly KeyKind[] = ['p256', 'rsa'];
const pkis = new Map<KeyKind, TestPki>();

function pki(kind: KeyKind = 'p256'): TestPki {
  const found = pkis.get(kind);
  if (!found) throw new Error('no PKI');
  return found;
}

beforeAll(async () => {
  for (const kind of KINDS) pkis.set(kind, await makePki(kind));
});

/** Asserts that the server refused for this reason and that neither end has keys. */
function expectRefused({ answer, events }: Outcome, reason: string): void {
  expect(answer).toMatchObject({ type: 'failure', reason });
  expect(events.some((event) => event.type === 'keys' || event.type === 'succeeded')).toBe(false);
  expect(events.at(-1)).toMatchObject({ type: 'failed' });
}

describe.each(VERSIONS)('EAP-TLS with %s', (version) => {
  const run = (ends: Ends = {}, kind?: KeyKind) => runEap(pki(kind), { version, ...ends });

  it.each(KINDS)('derives the same keys at both ends: %s certificates', async (kind) => {
    const { answer, events } = await run({}, kind);
    const keys = events.find((event) => event.type === 'keys');
    if (answer.type !== 'success' || !keys) throw new Error(answer.type);
    expect(toHex(answer.msk.octets())).toBe(toHex(keys.msk.octets()));
    expect(toHex(answer.emsk.octets())).toBe(toHex(keys.emsk.octets()));
    expect(toHex(answer.sessionId)).toBe(toHex(keys.sessionId));
    expect([answer.msk.length, answer.emsk.length, answer.sessionId.length]).toEqual([64, 64, 65]);
    expect(toHex(answer.msk.octets())).not.toBe(toHex(answer.emsk.octets()));
    expect(events.at(-1)).toEqual({ type: 'succeeded' });
    expect(answer).toMatchObject({ identity: SUBSCRIBER, grant: 'yes', tlsVersion: version, resumed: false });
    expect(answer.peer.peerIds[0]).toBe(SUBSCRIBER);
  });

  it('wipes the keys of a conversation closed while the server writes its last flight', async () => {
    const close: { conversation?: () => void } = {};
    const server = makeServer(pki(), {
      serverOptions: {
        authorize: async (peer) => {
          setImmediate(() => close.conversation?.());
          return onlySubscriber(peer);
        },
      },
    });
    const begin = server.conversation.bind(server);
    vi.spyOn(server, 'conversation').mockImplementation((of) => {
      const conversation = begin(of);
      close.conversation = conversation.close.bind(conversation);
      // Only the test closes it.
      conversation.close = () => undefined;
      return conversation;
    });
    const wiped = vi.spyOn(Secret.prototype, 'wipe');
    onTestFinished(() => wiped.mockRestore());
    const { answer } = await run({ eapServer: server });
    expect(answer.type).toBe('invalid');
    // The engine is still writing.
    await eventually(() => expect(wiped.mock.calls.length).toBe(2));
  });

  it('frees the engine of the server before the client acknowledges the last flight', async () => {
    const destroyed = vi.spyOn(TlsServerHandshake.prototype, 'destroy');
    onTestFinished(() => destroyed.mockRestore());
    const server = makeServer(pki());
    const begin = server.conversation.bind(server);
    /** The number of times that the engine was destroyed, after each packet of the client. */
    const counts: number[] = [];
    vi.spyOn(server, 'conversation').mockImplementation((of) => {
      const conversation = begin(of);
      const handle = conversation.handle.bind(conversation);
      conversation.handle = async (packet) => {
        const answer = await handle(packet);
        counts.push(destroyed.mock.calls.length);
        return answer;
      };
      return conversation;
    });
    const { answer } = await run({ eapServer: server });
    expect(answer.type).toBe('success');
    expect([counts[0], counts.at(-2)]).toEqual([0, 1]);
  });

  it('derives different keys in each run', async () => {
    const [one, two] = [await run(), await run()];
    if (one.answer.type !== 'success' || two.answer.type !== 'success') throw new Error('no success');
    expect(toHex(one.answer.msk.octets())).not.toBe(toHex(two.answer.msk.octets()));
  });

  it.each([64, 100, 300, 1100, 1400, 65_000])('keeps EAP packets within %i octets in both directions', async (mtu) => {
    const { answer, packets } = await run({ mtu });
    expect(answer.type).toBe('success');
    expect(Math.max(...packets.map((packet) => packet.length))).toBeLessThanOrEqual(mtu);
    if (mtu <= 300) {
      const fragments = packets.filter((packet) => packet[4] === 13 && ((packet[5] ?? 0) & 0x40) !== 0);
      expect(new Set(fragments.map((packet) => packet[0]))).toEqual(new Set([1, 2]));
    }
  });

  it('omits the length field in a flight of one packet', async () => {
    const { packets } = await run({ mtu: 65_000 });
    expect(packets.every((packet) => packet[4] !== 13 || ((packet[5] ?? 0) & 0x80) === 0)).toBe(true);
  });

  it('continues when identifiers wrap at 255', async () => {
    // The first identifier is random: about one conversation in ten wraps.
    let wrapped = 0;
    for (let i = 0; wrapped === 0; i += 1) {
      expect(i).toBeLessThan(1000);
      const { answer, packets } = await run({ mtu: 64 });
      expect(answer.type).toBe('success');
      const ids = packets.filter((packet) => packet[0] === 1).map((packet) => packet[1] ?? 0);
      wrapped += ids.slice(1).filter((id, n) => id < (ids[n] ?? 0)).length;
      for (const [n, id] of ids.slice(1).entries()) expect(id).toBe(((ids[n] ?? 0) + 1) & 0xff);
    }
  });

  it('uses another identifier for each new Request', async () => {
    const { packets } = await run({ mtu: 100 });
    const identifiers = packets.filter((packet) => packet[0] === 1).map((packet) => packet[1]);
    expect(identifiers.slice(1).every((id, i) => id !== identifiers[i])).toBe(true);
  });

  describe('authentication', () => {
    it('refuses a client certificate of another CA', async () => {
      const client = await issueCertificate(pki().otherCa, { kind: 'client', nai: SUBSCRIBER }, validFor(10));
      expectRefused(await run({ client }), 'other-ca');
    });

    it('refuses an expired client certificate', async () => {
      const validity = { notBefore: new Date(Date.now() - 10 * DAY), notAfter: new Date(Date.now() - DAY) };
      const client = await issueCertificate(pki().ca, { kind: 'client', nai: SUBSCRIBER }, validity);
      expectRefused(await run({ client }), 'expired');
    });

    it('refuses a client certificate without a subscriber', async () => {
      const client = await issueCertificate(pki().ca, { kind: 'client', nai: 'other@home.example' }, validFor(10));
      expectRefused(await run({ client }), 'no-subscriber');
    });

    it('refuses a revoked client certificate', async () => {
      const { ca, client } = pki();
      const serial = serialOf(client.certificatePem);
      const crl = await makeCrl(ca, [serial], new Date(Date.now() - DAY), new Date(Date.now() + DAY));
      for (const expired of ['refuse', 'ignore'] as const) {
        const revocation = revocationOf(crl, { expired });
        expectRefused(await run({ serverOptions: { revocation } }), 'revoked');
      }
    });

    it('refuses every client once the CRL has expired, unless expired CRLs are ignored', async () => {
      const { ca } = pki();
      const crl = await makeCrl(ca, [], new Date(Date.now() - 2 * DAY), new Date(Date.now() - DAY));
      expectRefused(await run({ serverOptions: { revocation: revocationOf(crl) } }), 'crl');
      const { answer } = await run({ serverOptions: { revocation: revocationOf(crl, { expired: 'ignore' }) } });
      expect(answer.type).toBe('success');
    });

    it('refuses a client without a certificate', async () => {
      expectRefused(await run({ withoutCertificate: true }), 'no-certificate');
    });

    it('refuses a server certificate of another CA', async () => {
      const server = await issueCertificate(
        pki().otherCa,
        { kind: 'server', hosts: ['aaa.home.example'] },
        validFor(10),
      );
      const outcome = await run({ server });
      expectRefused(outcome, 'tls-alert');
      expect(outcome.events.at(-1)).toMatchObject({ reason: 'server-certificate' });
    });

    it.each(['aaa.other.example', 'home.example', 'xaaa.home.example', 'aaa.home.example.evil.example'])(
      'refuses a server certificate of another name: %s',
      async (host) => {
        const server = await issueCertificate(pki().ca, { kind: 'server', hosts: [host] }, validFor(10));
        const outcome = await run({ server });
        expectRefused(outcome, 'tls-alert');
        expect(outcome.events.at(-1)).toMatchObject({ reason: 'server-name' });
      },
    );

    it('refuses a client if the authorization is unavailable', async () => {
      const authorize = () => Promise.resolve({ ok: false, reason: 'unavailable' } as const);
      expectRefused(await run({ serverOptions: { authorize } }), 'unavailable');
    });
  });
});

describe.each(VERSIONS)('A resumed handshake with %s', (version) => {
  async function first() {
    const eapServer = makeServer(pki());
    const { answer, credentials } = await runEap(pki(), { version, eapServer });
    expect(answer).toMatchObject({ type: 'success', resumed: false });
    expect(credentials.session).toBeDefined();
    return { eapServer, credentials, answer };
  }

  it('derives new keys, the same at both ends, in fewer packets', async () => {
    const full = await runEap(pki(), { version });
    const { eapServer, credentials, answer: before } = await first();
    const { answer, events, packets } = await runEap(pki(), { version, eapServer, credentials });
    const keys = events.find((event) => event.type === 'keys');
    if (answer.type !== 'success' || before.type !== 'success' || !keys) throw new Error(answer.type);
    expect(answer.resumed).toBe(true);
    expect(keys.resumed).toBe(true);
    expect(toHex(answer.msk.octets())).toBe(toHex(keys.msk.octets()));
    expect(toHex(answer.emsk.octets())).toBe(toHex(keys.emsk.octets()));
    expect(toHex(answer.sessionId)).toBe(toHex(keys.sessionId));
    expect(toHex(answer.msk.octets())).not.toBe(toHex(before.msk.octets()));
    expect(answer.identity).toBe(SUBSCRIBER);
    expect(packets.length).toBeLessThan(full.packets.length);
  });

  it('uses a ticket once only', async () => {
    const { eapServer, credentials } = await first();
    const ticket = credentials.session;
    await runEap(pki(), { version, eapServer, credentials });
    expect(credentials.session).not.toBe(ticket);
  });

  it.each(['refuse', 'ignore'] as const)(
    'is refused for a revoked certificate, with an expired-CRL policy of %s',
    async (expired) => {
      const { ca, client } = pki();
      const { eapServer, credentials } = await first();
      const serials = [serialOf(client.certificatePem)];
      const crl = await makeCrl(ca, serials, new Date(Date.now() - DAY), new Date(Date.now() + DAY));
      eapServer.reload({ ...eapServer.options, revocation: revocationOf(crl, { expired }) });
      const outcome = await runEap(pki(), { version, eapServer, credentials });
      expectRefused(outcome, 'revoked');
    },
  );

  it('provides the ticket for the next one', async () => {
    const { eapServer, credentials } = await first();
    for (let i = 0; i < 3; i += 1) {
      const { answer } = await runEap(pki(), { version, eapServer, credentials });
      expect(answer).toMatchObject({ type: 'success', resumed: true });
    }
  });

  it('is not given up for a handshake that was prepared before the ticket arrived', async () => {
    const server = makeServer(pki());
    const first = await runEap(pki(), { version, eapServer: server });
    const { session } = first.credentials;
    first.credentials.session = undefined;
    first.credentials.prepare();
    first.credentials.session = session;
    const second = await runEap(pki(), { version, eapServer: server, credentials: first.credentials });
    expect(second.events.find(({ type }) => type === 'keys')).toMatchObject({ resumed: true });
    first.credentials.prepare();
    const third = await runEap(pki(), { version, eapServer: server, credentials: first.credentials });
    expect(third.events.find(({ type }) => type === 'keys')).toMatchObject({ resumed: true });
  });

  it('is refused for a subscriber that has been disabled since the first handshake', async () => {
    const { eapServer, credentials } = await first();
    const authorize = () => Promise.resolve({ ok: false, reason: 'disabled' } as const);
    eapServer.reload({ ...eapServer.options, authorize });
    const { answer, events } = await runEap(pki(), { version, eapServer, credentials });
    expect(answer).toMatchObject({ type: 'failure', reason: 'disabled' });
    expect(events.at(-1)).toMatchObject({ type: 'failed' });
    // In TLS 1.2 the server's Finished comes before the client's, so the peer derives keys. No other party has them.
    expect(events.some(({ type }) => type === 'keys')).toBe(version === 'TLSv1.2');
    expect(credentials.session).toBeUndefined();
  });

  it('is impossible after a refusal, since the ticket is dropped', async () => {
    const authorize = () => Promise.resolve({ ok: false, reason: 'disabled' } as const);
    const { credentials } = await runEap(pki(), { version, serverOptions: { authorize } });
    expect(credentials.session).toBeUndefined();
  });
});

describe('EAP-TLS at the peer', () => {
  it('uses a prepared handshake once', async () => {
    const { credentials } = await runEap(pki(), { version: 'TLSv1.3' });
    credentials.forgetSession();
    credentials.prepare();
    credentials.prepare();
    const handshakes = [credentials.open(), credentials.open()];
    const hellos = await Promise.all(
      handshakes.map((handshake) => new Promise((resolve) => handshake.exchange(new Uint8Array(0), resolve))),
    );
    const [prepared, other] = hellos.map((answer) =>
      Buffer.from((answer as { flight: Uint8Array }).flight).toString('hex'),
    );
    expect(prepared).toMatch(/^160301/);
    expect(other).toMatch(/^160301/);
    expect(prepared).not.toBe(other);
    for (const handshake of handshakes) handshake.destroy();
    expect((await runEap(pki(), { version: 'TLSv1.3', credentials })).events.at(-1)?.type).toBe('succeeded');
  });

  it('offers only TLS 1.3 by default, and fails with a server limited to 1.2', async () => {
    const outcome = await runEap(pki(), { serverOptions: { maxVersion: 'TLSv1.2' } });
    expectRefused(outcome, 'tls-alert');
  });
});

describe('A stream of EAP-TLS fragments', () => {
  const respond = (id: number, data: Parameters<typeof encodeEapTls>[0]) =>
    encodeEap({ code: 2, identifier: id, type: 13, data: encodeEapTls(data) });
  const fragment = new Uint8Array(1000).fill(0x16);

  async function begin() {
    const conversation = makeServer(pki()).conversation({ mtu: 1100 });
    const identity = await conversation.handle(new Uint8Array(0));
    const start = await conversation.handle(
      encodeEap({ code: 2, identifier: identity.packet?.[1] ?? 0, type: 1, data: new Uint8Array(1) }),
    );
    return { conversation, id: start.packet?.[1] ?? 0 };
  }

  it('that announces more than 64 KiB is refused at once', async () => {
    const { conversation, id } = await begin();
    const answer = await conversation.handle(respond(id, { start: false, more: true, total: 65_537, fragment }));
    expect(answer).toMatchObject({ type: 'failure', reason: 'fragments', detail: 'announces-too-much' });
  });

  it('longer than announced is refused', async () => {
    const { conversation, id } = await begin();
    const first = await conversation.handle(respond(id, { start: false, more: true, total: 1500, fragment }));
    const answer = await conversation.handle(
      respond(first.packet?.[1] ?? 0, { start: false, more: true, total: undefined, fragment }),
    );
    expect(answer).toMatchObject({ type: 'failure', reason: 'fragments', detail: 'more-than-announced' });
  });

  it('without an end is refused within MAX_SERVER_ROUNDS', async () => {
    const { conversation, id } = await begin();
    let answer = await conversation.handle(
      respond(id, { start: false, more: true, total: undefined, fragment: fragment.slice(0, 1) }),
    );
    let rounds = 1;
    for (; answer.type === 'request' && rounds < 1000; rounds += 1) {
      const next = { start: false, more: true, total: undefined, fragment: fragment.slice(0, 1) };
      answer = await conversation.handle(respond(answer.packet[1] ?? 0, next));
    }
    expect(answer).toMatchObject({ type: 'failure', reason: 'too-many-rounds' });
    expect(rounds).toBeLessThanOrEqual(MAX_SERVER_ROUNDS);
  });

  it.each([
    { what: 'announces more than 64 KiB', data: { start: false, more: true, total: 65_537, fragment } },
    { what: 'is shorter than announced', data: { start: false, more: false, total: 2000, fragment } },
  ])('that $what is refused by the peer too', async ({ data }) => {
    const events: EapPeerEvent[] = [];
    const { ca, client } = pki();
    const credentials = createPeerCredentials({
      caPem: ca.certificatePem,
      certificatePem: client.certificatePem,
      keyPem: client.keyPem,
      serverName: 'aaa.home.example',
    });
    const responded = new Promise<void>((resolve) => {
      const peer = new EapPeer({ identity: '@home.example', mtu: 1100, credentials }, (event) => {
        events.push(event);
        if (event.type === 'response' && events.length === 1) {
          peer.receive(encodeEap({ code: 1, identifier: 2, type: 13, data: encodeEapTls(data) }));
        }
        if (event.type === 'failed') resolve();
      });
      peer.receive(encodeEap({ code: 1, identifier: 1, type: 13, data: Uint8Array.of(0x20) }));
    });
    await responded;
    expect(events.at(-1)).toMatchObject({ type: 'failed', reason: 'fragments' });
  });
});

describe('An EAP conversation of the server', () => {
  it('fails after MAX_INVALID invalid packets', async () => {
    const conversation = makeServer(pki()).conversation({ mtu: 1100 });
    await conversation.handle(new Uint8Array(0));
    for (let i = 0; i < MAX_INVALID; i += 1) {
      expect(await conversation.handle(Uint8Array.of(9, 9, 9))).toMatchObject({ type: 'invalid' });
    }
    expect(await conversation.handle(Uint8Array.of(9, 9, 9))).toMatchObject({ type: 'failure', reason: 'protocol' });
  });

  it('fails if the peer wants another method', async () => {
    const conversation = makeServer(pki()).conversation({ mtu: 1100 });
    const identity = await conversation.handle(new Uint8Array(0));
    const start = await conversation.handle(Uint8Array.of(2, identity.packet?.[1] ?? 0, 0, 6, 1, 0x40));
    const answer = await conversation.handle(Uint8Array.of(2, start.packet?.[1] ?? 0, 0, 6, 3, 21));
    expect(answer).toMatchObject({ type: 'failure', reason: 'no-common-method' });
  });

  it('fails on an EAP Request', async () => {
    const conversation = makeServer(pki()).conversation({ mtu: 1100 });
    expect(await conversation.handle(Uint8Array.of(1, 1, 0, 5, 1))).toMatchObject({
      type: 'failure',
      reason: 'protocol',
    });
  });
});

describe('An EAP-Success at the peer', () => {
  it('is discarded before the protected success indication of the server', () => {
    const events: EapPeerEvent[] = [];
    const { ca, client } = pki();
    const credentials = createPeerCredentials({
      caPem: ca.certificatePem,
      certificatePem: client.certificatePem,
      keyPem: client.keyPem,
      serverName: 'aaa.home.example',
    });
    const peer = new EapPeer({ identity: '@home.example', mtu: 1100, credentials }, (event) => events.push(event));
    peer.receive(Uint8Array.of(3, 1, 0, 4));
    peer.close();
    expect(events).toMatchObject([{ type: 'discarded' }]);
  });
});
