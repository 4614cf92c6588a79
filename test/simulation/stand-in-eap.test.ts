import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/protocol/bytes/octets.js';
import type { EapServerAnswer } from '../../src/protocol/eap/authenticator.js';
import type { EapPeerEvent } from '../../src/protocol/eap/peer.js';
import { EapPeer } from '../../src/runtime/eap/peer.js';
import { EapServer } from '../../src/runtime/eap/server.js';
import { VirtualHost } from '../virtual-host.js';
import { StandInAuthority, type StandInCertificate, StandInPeer, StandInServer } from './stand-in-eap.js';

const NAI = 'mn1@home.example';
const SERVER = 'aaa.home.example';
const authority = new StandInAuthority(new Uint8Array(32).fill(1));
const other = new StandInAuthority(new Uint8Array(32).fill(2));
const pem = { caPem: '', certificatePem: '', keyPem: '' };

interface Run {
  readonly certificate?: StandInCertificate;
  readonly peerAuthority?: StandInAuthority;
  readonly serverName?: string;
  readonly host?: VirtualHost;
  readonly engine?: StandInServer<unknown>;
}

async function run({
  certificate = authority.issue([NAI]),
  peerAuthority = authority,
  serverName = SERVER,
  host = new VirtualHost(),
  engine = new StandInServer({ authority, name: SERVER, host }),
}: Run = {}): Promise<{ answer: EapServerAnswer<string>; events: EapPeerEvent[] }> {
  const authorize = async () => ({ ok: true, identity: NAI, grant: 'yes' }) as const;
  const conversation = new EapServer({ ...pem, host, authorize }, engine).conversation({ mtu: 1100 });
  const credentials = new StandInPeer({ authority: peerAuthority, certificate: () => certificate, serverName, host });
  const events: EapPeerEvent[] = [];
  const peer = new EapPeer({ identity: '@home.example', mtu: 1100, credentials }, (event) => events.push(event));
  let answer = await conversation.handle(new Uint8Array(0));
  for (;;) {
    peer.receive(answer.packet ?? new Uint8Array(0));
    // The peer answered before `receive` returned.
    const last = events.at(-1);
    if (last?.type !== 'response' || answer.type !== 'request') return { answer, events };
    answer = await conversation.handle(last.packet);
  }
}

describe('The stand-in EAP engine', () => {
  it('derives the same keys at both ends and passes the names to the server', async () => {
    const { answer, events } = await run();
    const keys = events.find((event) => event.type === 'keys');
    if (answer.type !== 'success' || !keys) throw new Error(JSON.stringify(answer));
    expect(toHex(keys.msk.octets())).toBe(toHex(answer.msk.octets()));
    expect(toHex(keys.emsk.octets())).toBe(toHex(answer.emsk.octets()));
    expect(toHex(keys.sessionId)).toBe(toHex(answer.sessionId));
    expect(toHex(keys.msk.octets())).not.toBe(toHex(keys.emsk.octets()));
    expect([keys.msk.length, keys.emsk.length, keys.sessionId.length]).toEqual([64, 64, 65]);
    expect(answer.peer).toMatchObject({ peerIds: [NAI], issuerId: authority.id });
    expect(events.at(-1)).toEqual({ type: 'succeeded' });
  });

  it('refuses what TLS would refuse', async () => {
    const host = new VirtualHost();
    const now = host.wall();
    const expired = await run({ host, certificate: authority.issue([NAI], 0, now) });
    expect(expired.answer).toMatchObject({ type: 'failure', reason: 'expired' });
    const early = await run({ host, certificate: authority.issue([NAI], now + 1) });
    expect(early.answer).toMatchObject({ type: 'failure', reason: 'not-yet-valid' });
    const stranger = await run({ peerAuthority: other });
    expect(stranger.answer).toMatchObject({ type: 'failure', reason: 'tls-alert' });
    expect(stranger.events.at(-1)).toMatchObject({ type: 'failed', reason: 'server-certificate' });
    const elsewhere = await run({ serverName: 'aaa.other.example' });
    expect(elsewhere.events.at(-1)).toMatchObject({ type: 'failed', reason: 'server-name' });
  });

  it('refuses a revoked certificate after a reload, and shows it in the CRL in force', async () => {
    const host = new VirtualHost();
    const engine = new StandInServer({ authority, name: SERVER, host });
    const certificate = authority.issue([NAI]);
    authority.revoke(certificate.serial);
    expect((await run({ certificate, engine, host })).answer.type).toBe('success');
    engine.reload();
    expect((await run({ certificate, engine, host })).answer).toMatchObject({ reason: 'revoked' });
    const [list] = engine.judge.revocation?.inForce(host.wall()) ?? [];
    expect(list?.list.serials.has(certificate.serial)).toBe(true);
  });
});
