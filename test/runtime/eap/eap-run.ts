import type { SecureVersion } from 'node:tls';
import {
  type Issued,
  issueCertificate,
  type KeyKind,
  makeCa,
  validFor,
} from '../../../src/pki/certificate-authority.js';
import type { EapServerAnswer } from '../../../src/protocol/eap/authenticator.js';
import type { EapPeerEvent } from '../../../src/protocol/eap/peer.js';
import type { Authorization } from '../../../src/protocol/eap/tls-authenticator.js';
import { EapPeer } from '../../../src/runtime/eap/peer.js';
import { EapServer, type EapServerOptions } from '../../../src/runtime/eap/server.js';
import type { TlsPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { createPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';

export const SUBSCRIBER = 'mn@home.example';

/** The certificates of EAP-TLS tests. */
export interface TestPki {
  readonly ca: Issued;
  readonly otherCa: Issued;
  readonly server: Issued;
  readonly client: Issued;
}

export async function makePki(kind: KeyKind): Promise<TestPki> {
  const ca = await makeCa('Test CA', kind, validFor(30));
  const otherCa = await makeCa('Other CA', kind, validFor(30));
  const server = await issueCertificate(ca, { kind: 'server', hosts: ['aaa.home.example'] }, validFor(10));
  const client = await issueCertificate(ca, { kind: 'client', nai: SUBSCRIBER }, validFor(10));
  return { ca, otherCa, server, client };
}

/** The credentials of the subscriber's node. */
export function clientCredentials({ ca, client }: TestPki): TlsPeerCredentials {
  return createPeerCredentials({
    caPem: ca.certificatePem,
    certificatePem: client.certificatePem,
    keyPem: client.keyPem,
    serverName: 'aaa.home.example',
  });
}

export interface Ends {
  readonly version?: SecureVersion;
  readonly serverName?: string;
  readonly server?: Issued;
  readonly client?: Issued;
  readonly serverCa?: Issued;
  readonly clientCa?: Issued;
  readonly mtu?: number;
  readonly withoutCertificate?: boolean;
  readonly serverOptions?: Partial<EapServerOptions<string>>;
  readonly eapServer?: EapServer<string>;
  readonly extendedMasterSecret?: 'required' | 'wanted';
  /** Number of the engine thread. */
  readonly thread?: number;
  /** Of an earlier run, with its ticket. */
  readonly credentials?: TlsPeerCredentials;
}

export function onlySubscriber(peer: { readonly peerIds: readonly string[] }): Promise<Authorization<string>> {
  const identity = peer.peerIds.find((id) => id === SUBSCRIBER);
  return Promise.resolve(
    identity === undefined ? { ok: false, reason: 'no-subscriber' } : { ok: true, identity, grant: 'yes' },
  );
}

export function makeServer(pki: TestPki, ends: Ends = {}): EapServer<string> {
  return new EapServer({
    caPem: (ends.serverCa ?? pki.ca).certificatePem,
    certificatePem: (ends.server ?? pki.server).certificatePem,
    keyPem: (ends.server ?? pki.server).keyPem,
    authorize: onlySubscriber,
    ...ends.serverOptions,
  });
}

export interface Outcome {
  readonly answer: EapServerAnswer<string>;
  readonly events: readonly EapPeerEvent[];
  /** All packets in order; the server sends the first. */
  readonly packets: readonly Uint8Array[];
  readonly credentials: TlsPeerCredentials;
}

function makeCredentials(pki: TestPki, ends: Ends): TlsPeerCredentials {
  const { version = 'TLSv1.3', client = pki.client } = ends;
  return createPeerCredentials({
    caPem: (ends.clientCa ?? pki.ca).certificatePem,
    ...(ends.withoutCertificate ? {} : { certificatePem: client.certificatePem, keyPem: client.keyPem }),
    serverName: ends.serverName ?? 'aaa.home.example',
    minVersion: version,
    maxVersion: version,
  });
}

/** Runs one conversation to its end, as PANA and Diameter would carry it. */
export async function runEap(pki: TestPki, ends: Ends = {}): Promise<Outcome> {
  const server = ends.eapServer ?? makeServer(pki, ends);
  const mtu = ends.mtu ?? 1100;
  const { thread: engine = 0 } = ends;
  const turn = () => Promise.resolve({ engine, done: () => undefined });
  const conversation = server.conversation({ mtu, turn, extendedMasterSecret: ends.extendedMasterSecret });
  const credentials = ends.credentials ?? makeCredentials(pki, ends);
  const events: EapPeerEvent[] = [];
  let onResponse: (packet: Uint8Array | undefined) => void = () => undefined;
  const peer = new EapPeer({ identity: '@home.example', mtu, credentials }, (event) => {
    events.push(event);
    if (event.type === 'response') onResponse(event.packet);
    else if (event.type !== 'keys') onResponse(undefined);
  });
  const packets: Uint8Array[] = [];
  let answer = await conversation.handle(new Uint8Array(0));
  for (;;) {
    if (answer.packet) packets.push(answer.packet);
    const request = answer.packet ?? new Uint8Array(0);
    const response = await new Promise<Uint8Array | undefined>((resolve) => {
      onResponse = resolve;
      peer.receive(request);
    });
    if (!response || answer.type !== 'request') break;
    packets.push(response);
    answer = await conversation.handle(response);
  }
  peer.close();
  conversation.close();
  return { answer, events, packets, credentials };
}
