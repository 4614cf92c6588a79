import { createHash } from 'node:crypto';
import { connect, createSecureContext, type SecureContext, type SecureVersion, type TLSSocket } from 'node:tls';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { concat, encodeUtf8, equalOctets } from '../../protocol/bytes/octets.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import { decodeEap, EAP_CODE, EAP_TYPE, type EapPacket, encodeEap } from '../../protocol/eap/codec.js';
import {
  ACKNOWLEDGEMENT,
  cutFlight,
  decodeEapTls,
  type EapTlsData,
  encodeEapTls,
  FlightBuffer,
} from '../../protocol/eap/eap-tls.js';
import { serverHelloExtensions } from '../../protocol/eap/server-hello.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import { type CertificatePolicy, DEFAULT_POLICY, violation } from '../tls/certificates/policy.js';
import type { Revocation } from '../tls/certificates/revocation.js';
import { type Path, Trust } from '../tls/certificates/trust.js';
import { exportKeys, FlightWire, helloRandom, masterSecretProblem } from '../tls/engine.js';
import { PeerJudge, type VerifiedPeer } from '../tls/peer-certificate.js';
import type { MasterSecretPolicy } from '../tls/settings.js';

/** EAP-TLS packets of one conversation; a server that goes on and on is left. */
export const MAX_PEER_ROUNDS = 128;

export interface PeerCredentialsOptions {
  readonly caPem: string;
  /** Without them a server that follows RFC 5216 refuses. */
  readonly certificatePem?: string;
  readonly keyPem?: string;
  /** The server's certificate must name this host, or a host below it. */
  readonly serverName: string;
  /** Undefined: no server is revoked. */
  readonly revocation?: Revocation | undefined;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string;
  readonly ecdhCurve?: string;
  /** Undefined: DEFAULT_POLICY. */
  readonly certificatePolicy?: CertificatePolicy;
  /** Undefined: required. */
  readonly extendedMasterSecret?: MasterSecretPolicy;
}

/** What a peer proves itself with; made once, since reading certificates costs more than a handshake's share. */
export interface PeerCredentials {
  readonly context: SecureContext;
  readonly serverName: string;
  readonly judge: PeerJudge;
  /** What a ticket is bound to: other certificates, CAs or versions of TLS make it worthless. */
  readonly binding: string;
  readonly extendedMasterSecret: MasterSecretPolicy;
  /** Of the last handshake, for a shorter one (RFC 9190 2.1.2). Used once, so that nobody can link two uses. */
  session: PeerSession | undefined;
}

/** A ticket, and the server that gave it: the engine shows no certificate of a session that is resumed. */
export interface PeerSession {
  readonly ticket: Buffer;
  readonly server: VerifiedPeer;
}

/**
 * `before`: what they replace; a ticket stays good where nothing of what it was given for has changed. Throws the
 * platform's error for a certificate or key that cannot be used, CrlSignatureError for a CRL.
 */
export function createPeerCredentials(options: PeerCredentialsOptions, before?: PeerCredentials): PeerCredentials {
  const {
    caPem,
    certificatePem,
    keyPem,
    serverName,
    revocation,
    minVersion = 'TLSv1.3',
    maxVersion = 'TLSv1.3',
    ciphers,
    ecdhCurve,
    certificatePolicy = DEFAULT_POLICY,
    extendedMasterSecret = 'required',
  } = options;
  const context = createSecureContext({
    ca: caPem,
    ...(certificatePem === undefined ? {} : { cert: certificatePem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
    minVersion,
    maxVersion,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(ecdhCurve === undefined ? {} : { ecdhCurve }),
  });
  const trust = new Trust(certificatesOfPem(caPem), certificatesOfPem(certificatePem ?? ''));
  revocation?.verify(trust.authorities);
  const policy = (path: Path) => violation(path, 'server', certificatePolicy);
  const bound = [trust.id, certificatePem, serverName, minVersion, maxVersion, certificatePolicy, extendedMasterSecret];
  const binding = createHash('sha256').update(JSON.stringify(bound)).digest('hex');
  if (before?.binding !== binding) {
    const judge = new PeerJudge({ trust, revocation, policy });
    return { context, serverName, judge, binding, extendedMasterSecret, session: undefined };
  }
  before.judge.reload({ trust, revocation, policy });
  return { context, serverName, judge: before.judge, binding, extendedMasterSecret, session: before.session };
}

export type PeerFailure =
  | 'server-certificate'
  | 'server-name'
  | 'extended-master-secret'
  | 'tls-alert'
  | 'fragments'
  | 'too-many-rounds'
  | 'refused'
  | 'protocol';

export type EapPeerEvent =
  | { readonly type: 'response'; readonly packet: Uint8Array }
  /**
   * As soon as there are keys that the server vouches for: with TLS 1.3 at its 0x00 octet (RFC 9190 2.5). Whoever gets
   * them wipes them.
   */
  | {
      readonly type: 'keys';
      readonly msk: Secret;
      readonly emsk: Secret;
      readonly sessionId: Uint8Array;
      readonly tlsVersion: string;
      readonly resumed: boolean;
    }
  | { readonly type: 'succeeded' }
  | { readonly type: 'failed'; readonly reason: PeerFailure; readonly detail: string }
  | { readonly type: 'discarded'; readonly reason: string };

export interface EapPeerOptions {
  /** Sent in clear: `@realm` says no more than routing needs (RFC 9190 2.1.7). */
  readonly identity: string;
  /** Octets of the largest EAP packet to send. */
  readonly mtu: number;
  readonly credentials: PeerCredentials;
  readonly guard?: Guard | undefined;
}

/** An EAP peer with EAP-TLS (RFC 3748, 5216, 9190) for one run. */
export class EapPeer {
  readonly #options: EapPeerOptions;
  readonly #sink: (event: EapPeerEvent) => void;
  readonly #incoming = new FlightBuffer();
  #outgoing: EapTlsData[] = [];
  #wire: FlightWire | undefined;
  #socket: TLSSocket | undefined;
  #clientRandom: Uint8Array | undefined;
  #serverRandom: Uint8Array | undefined;
  #serverExtensions: ReadonlySet<number> | undefined;
  #last: { readonly request: Uint8Array; readonly response: Uint8Array } | undefined;
  #rounds = 0;
  #busy = false;
  #closed = false;
  #secure = false;
  #keyed = false;
  #failure: { reason: PeerFailure; detail: string } | undefined;
  #applicationData: Uint8Array[] = [];
  #ticket: Buffer | undefined;
  #server: VerifiedPeer | undefined;

  constructor(options: EapPeerOptions, sink: (event: EapPeerEvent) => void) {
    this.#options = options;
    this.#sink = sink;
  }

  /** One EAP packet from the authenticator. */
  receive(octets: Uint8Array): void {
    if (this.#closed) return;
    let packet: EapPacket;
    try {
      packet = decodeEap(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#sink({ type: 'discarded', reason: error.code });
      return;
    }
    if (packet.code === EAP_CODE.SUCCESS) this.#success();
    else if (packet.code === EAP_CODE.FAILURE) this.#fail();
    else if (packet.code === EAP_CODE.REQUEST && packet.type !== undefined) this.#request(octets, packet, packet.type);
    else this.#sink({ type: 'discarded', reason: 'code' });
  }

  /** Forgets everything; nothing more comes out. */
  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
    this.#wire?.destroy();
  }

  /** RFC 3748 4.2: a Success that the method is not ready for is discarded. */
  #success(): void {
    if (this.#keyed) this.#sink({ type: 'succeeded' });
    else this.#sink({ type: 'discarded', reason: 'success before the method ended' });
  }

  #fail(): void {
    // A server that has refused gave no ticket worth keeping.
    if (this.#keyed) this.#options.credentials.session = undefined;
    const { reason, detail } = this.#failure ?? { reason: 'refused' as const, detail: 'EAP-Failure' };
    this.#sink({ type: 'failed', reason, detail });
  }

  #request(octets: Uint8Array, packet: EapPacket, type: number): void {
    // RFC 3748 4.1: a repeated Request gets the same Response, and is not processed again.
    if (this.#last && equalOctets(octets, this.#last.request)) {
      this.#sink({ type: 'response', packet: this.#last.response });
      return;
    }
    const respond = (responseType: number, data: Uint8Array) =>
      this.#respond(octets, packet.identifier, responseType, data);
    switch (type) {
      case EAP_TYPE.IDENTITY:
        respond(type, encodeUtf8(this.#options.identity));
        break;
      case EAP_TYPE.NOTIFICATION:
        respond(type, new Uint8Array(0));
        break;
      case EAP_TYPE.EAP_TLS:
        if (this.#busy) this.#sink({ type: 'discarded', reason: 'busy' });
        else this.#eapTls(packet.data, (data) => respond(type, encodeEapTls(data)));
        break;
      default:
        // RFC 3748 5.3.1: Nak only before the method has begun.
        if (this.#wire) this.#sink({ type: 'discarded', reason: 'method' });
        else respond(EAP_TYPE.NAK, Uint8Array.of(EAP_TYPE.EAP_TLS));
    }
  }

  #respond(request: Uint8Array, identifier: number, type: number, data: Uint8Array): void {
    const response = encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data });
    this.#last = { request, response };
    this.#sink({ type: 'response', packet: response });
  }

  #eapTls(octets: Uint8Array, respond: (data: EapTlsData) => void): void {
    this.#rounds += 1;
    let data: EapTlsData;
    try {
      data = decodeEapTls(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#giveUp('fragments', error.message);
      return;
    }
    const next = this.#outgoing.shift();
    if (this.#rounds > MAX_PEER_ROUNDS) {
      this.#giveUp('too-many-rounds', `${MAX_PEER_ROUNDS} packets`);
    } else if (data.start !== (this.#wire === undefined)) {
      this.#sink({ type: 'discarded', reason: data.start ? 'second start' : 'no start' });
    } else if (data.start) {
      this.#exchange(new Uint8Array(0), respond);
    } else if (next && (data.fragment.length > 0 || data.more)) {
      this.#giveUp('fragments', 'data where an acknowledgement was due');
    } else if (next) {
      respond(next);
    } else {
      this.#gather(data, respond);
    }
  }

  #gather(data: EapTlsData, respond: (data: EapTlsData) => void): void {
    const added = this.#incoming.add(data);
    if (added === 'more') respond(ACKNOWLEDGEMENT);
    else if (typeof added === 'string') this.#giveUp('fragments', added);
    else this.#exchange(added.flight, respond);
  }

  #exchange(flight: Uint8Array, respond: (data: EapTlsData) => void): void {
    this.#busy = true;
    const wire = this.#wire ?? this.#open();
    if (!this.#secure) {
      this.#serverRandom ??= helloRandom(flight);
      this.#serverExtensions ??= serverHelloExtensions(flight);
    }
    const answered = wire.exchange(flight).then(() => {
      this.#busy = false;
      if (!this.#closed) this.#respondFlight(wire, respond);
    });
    void this.#guard.settle('tls', answered, () => this.#giveUp('protocol', 'a fault of this node'));
  }

  #respondFlight(wire: FlightWire, respond: (data: EapTlsData) => void): void {
    const out = wire.takeFlight();
    if (this.#failure) {
      this.#socket?.destroy();
      respond({ ...ACKNOWLEDGEMENT, fragment: alertFor(this.#failure.reason) });
      return;
    }
    this.#clientRandom ??= helloRandom(out);
    if (!this.#offerKeys()) {
      this.#giveUp('protocol', 'application data that is not the 0x00 of RFC 9190');
      return;
    }
    const [first = ACKNOWLEDGEMENT, ...rest] = cutFlight(out, this.#options.mtu);
    this.#outgoing = rest;
    respond(first);
  }

  /** Whether all is well so far; sends the keys when the server has said yes. */
  #offerKeys(): boolean {
    const socket = this.#socket;
    if (!socket || !this.#secure || this.#keyed) return this.#applicationData.length === 0;
    const tlsVersion = socket.getProtocol() ?? '';
    const said = concat(...this.#applicationData);
    if (tlsVersion === 'TLSv1.3') {
      if (said.length === 0) return true;
      if (said.length !== 1 || said[0] !== 0) return false;
    } else if (said.length !== 0) {
      return false;
    }
    this.#applicationData = [];
    this.#keyed = true;
    const randoms = this.#clientRandom && this.#serverRandom && concat(this.#clientRandom, this.#serverRandom);
    const keys = exportKeys(socket, randoms);
    const resumed = socket.isSessionReused();
    // With TLS 1.2 the engine tells nobody of the next ticket of a session that was resumed.
    const ticket = this.#ticket ?? (resumed && tlsVersion !== 'TLSv1.3' ? socket.getSession() : undefined);
    socket.destroy();
    // Only a server that said yes gave a ticket worth keeping.
    if (ticket && this.#server) this.#options.credentials.session = { ticket, server: this.#server };
    this.#sink({ type: 'keys', ...keys, tlsVersion, resumed });
    return true;
  }

  #open(): FlightWire {
    const { credentials } = this.#options;
    const { context, serverName } = credentials;
    const session = takeSession(credentials);
    const wire = new FlightWire();
    this.#wire = wire;
    const socket = connect({
      socket: wire,
      secureContext: context,
      servername: serverName,
      ...(session ? { session: session.ticket } : {}),
      rejectUnauthorized: true,
      // Judged below, where a session is resumed too.
      checkServerIdentity: () => undefined,
    });
    this.#socket = socket;
    socket.on('secureConnect', () => {
      const weakness = masterSecretProblem(socket, this.#serverExtensions, credentials.extendedMasterSecret);
      if (weakness !== undefined) {
        this.#failure ??= { reason: 'extended-master-secret', detail: weakness };
        return;
      }
      const server = socket.isSessionReused() ? session?.server : judgeServer(socket, credentials);
      if (!server || 'reason' in server) {
        this.#failure ??= server ?? { reason: 'protocol', detail: 'a session that was not asked for' };
        return;
      }
      this.#server = server;
      this.#secure = true;
    });
    socket.on('session', (ticket: Buffer) => {
      this.#ticket = ticket;
    });
    socket.on('data', (chunk: Buffer) => this.#applicationData.push(new Uint8Array(chunk)));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#guard.run('tls', () => this.#broke(error)));
    return wire;
  }

  #broke(error: NodeJS.ErrnoException): void {
    if (this.#keyed) return;
    this.#failure ??= { reason: failureOf(error), detail: error.code ?? error.message };
  }

  get #guard(): Guard {
    return this.#options.guard ?? unguarded;
  }

  #giveUp(reason: PeerFailure, detail: string): void {
    this.#sink({ type: 'failed', reason, detail });
    this.close();
  }
}

/** The session to resume, if its server would be good enough now. */
function takeSession(credentials: PeerCredentials): PeerSession | undefined {
  const { session, judge } = credentials;
  credentials.session = undefined;
  return session && judge.again(session.server.path, Date.now()) === undefined ? session : undefined;
}

/** The server that is wanted, or why it is not the one. */
function judgeServer(
  socket: TLSSocket,
  { judge, serverName }: PeerCredentials,
): VerifiedPeer | { readonly reason: PeerFailure; readonly detail: string } {
  const judged = judge.judge(socket, Date.now());
  if ('reason' in judged) return { reason: 'server-certificate', detail: `${judged.reason}: ${judged.detail}` };
  if (namesServer(judged.peer.dnsNames, serverName)) return judged.peer;
  return { reason: 'server-name', detail: `the certificate does not name ${serverName}` };
}

function failureOf(error: NodeJS.ErrnoException): PeerFailure {
  const { code = '' } = error;
  if (code.startsWith('ERR_SSL')) return 'tls-alert';
  if (code.startsWith('ERR_')) return 'protocol';
  return 'server-certificate';
}

/**
 * A fatal alert record in clear (RFC 8446 6): the platform gives none of its own when it refuses a certificate, and the
 * server would wait. bad_certificate, or close for the rest.
 */
function alertFor(reason: PeerFailure): Uint8Array {
  const BAD_CERTIFICATE = 42;
  const HANDSHAKE_FAILURE = 40;
  const description = reason.startsWith('server') ? BAD_CERTIFICATE : HANDSHAKE_FAILURE;
  return Uint8Array.of(21, 3, 3, 0, 2, 2, description);
}

/** RFC 9190 2.2: a dNSName equals the configured name or lies under it. The Subject is not looked at. */
function namesServer(dnsNames: readonly string[], serverName: string): boolean {
  const wanted = serverName.toLowerCase();
  return dnsNames.some((name) => name.toLowerCase() === wanted || name.toLowerCase().endsWith(`.${wanted}`));
}
