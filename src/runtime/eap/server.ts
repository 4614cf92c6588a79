import { AsyncLocalStorage } from 'node:async_hooks';
import { createHmac, randomBytes } from 'node:crypto';
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type SecureVersion,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { concat } from '../../protocol/bytes/octets.js';
import { clearCertificates } from '../../protocol/eap/clear-certificates.js';
import { decodeEap, EAP_CODE, EAP_TYPE, type EapPacket, encodeEap } from '../../protocol/eap/codec.js';
import {
  ACKNOWLEDGEMENT,
  cutFlight,
  decodeEapTls,
  type EapTlsData,
  encodeEapTls,
  FlightBuffer,
  MIN_MTU,
} from '../../protocol/eap/eap-tls.js';
import { serverHelloExtensions } from '../../protocol/eap/server-hello.js';
import { tooMuchEffort } from '../../protocol/x509/effort.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import { type CertificatePolicy, DEFAULT_POLICY, violation } from '../tls/certificates/policy.js';
import type { Revocation } from '../tls/certificates/revocation.js';
import { type Path, Trust } from '../tls/certificates/trust.js';
import { type EapTlsKeys, exportKeys, FlightWire, helloRandom, masterSecretProblem } from '../tls/engine.js';
import { PeerJudge, type PeerJudgeOptions, type Refusal, type VerifiedPeer } from '../tls/peer-certificate.js';
import { certificateOfTicket, TICKET_KEY, useTicketKey } from '../tls/session-tickets.js';
import type { MasterSecretPolicy } from '../tls/settings.js';

/** EAP packets of one conversation (a chain of 64 KiB at the smallest useful MTU needs fewer). */
export const MAX_SERVER_ROUNDS = 128;

/** Characters of a claimed identity that are kept. */
export const MAX_IDENTITY = 253;

/** RFC 4072 2.4: invalid packets before the conversation ends. */
export const MAX_INVALID = 5;

/** Methods of a Nak that are named. */
const MAX_METHODS = 8;

/** ContentType of an alert, RFC 8446 5.1. */
const ALERT_RECORD = 21;

const TICKET_LABEL = 'pana-mip6 tickets of these trust anchors';

/** RFC 9190 2.5: the server's word that it is content. */
const PROTECTED_SUCCESS = Buffer.of(0);

export type Authorization<G> =
  | { readonly ok: true; readonly identity: string; readonly grant: G }
  | { readonly ok: false; readonly reason: Refusal };

/**
 * Waits until the TLS engine may work for a conversation, and resolves with what has to be called when it has; with undefined
 * when it will not: the server has too much to do.
 */
export type EngineTurn = () => Promise<(() => void) | undefined>;

const AT_ONCE: EngineTurn = () => Promise.resolve(() => undefined);

/** What a conversation is told at its beginning. */
export interface ConversationParts {
  /** Octets of the largest EAP packet to send. */
  readonly mtu: number;
  /** Whose conversation it is. */
  readonly session?: string | undefined;
  /** Asked before each flight; without it all are worked on at once. */
  readonly turn?: EngineTurn | undefined;
}

export interface EapServerOptions<G> {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Undefined: nobody is revoked. */
  readonly revocation?: Revocation | undefined;
  /** A client brought the certificate of a CA that was not known: there may be more that is revoked. */
  readonly onLearned?: (() => void) | undefined;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string | undefined;
  readonly ecdhCurve?: string | undefined;
  readonly guard?: Guard | undefined;
  /** Undefined: DEFAULT_POLICY. */
  readonly certificatePolicy?: CertificatePolicy | undefined;
  /** Undefined: required. */
  readonly extendedMasterSecret?: MasterSecretPolicy | undefined;
  /** Octets of a TLS flight of a client, which is mostly its certificates; undefined: MAX_FLIGHT. */
  readonly maxClientFlight?: number | undefined;
  /** Says whose certificate this is that a session brings, on every handshake, resumed ones too, before the client hears of success. */
  readonly authorize: (peer: VerifiedPeer, session: string) => Promise<Authorization<G>>;
}

export type EapServerAnswer<G> =
  | { readonly type: 'request'; readonly packet: Uint8Array }
  /** The receiver wipes its keys. */
  | ({
      readonly type: 'success';
      readonly packet: Uint8Array;
      readonly peer: VerifiedPeer;
      readonly identity: string;
      readonly grant: G;
      readonly tlsVersion: string;
      readonly resumed: boolean;
    } & EapTlsKeys)
  /** The conversation is over, and nothing is said of the client: it may try again. */
  | { readonly type: 'busy'; readonly packet: undefined }
  | { readonly type: 'failure'; readonly packet: Uint8Array; readonly reason: Refusal; readonly detail: string }
  /** Not an answer to what was asked; `packet` is what was asked last (RFC 4072 2.4, EAP-Reissued-Payload). */
  | { readonly type: 'invalid'; readonly packet: Uint8Array | undefined; readonly reason: string };

/** The TLS side of all conversations: one context, one set of ticket keys. */
export class EapServer<G> {
  #options: EapServerOptions<G>;
  readonly #server: Server;
  readonly #judge: PeerJudge;
  #ticketKey: Uint8Array = randomBytes(TICKET_KEY);
  /** Of the key above and the trust anchors. */
  #derivedKey = Buffer.alloc(TICKET_KEY);
  /** Takes no tickets; made when it is needed. */
  #fullServer: Server | undefined;
  /** Which handshake an event of the one TLS server belongs to: its connections are made within this context. */
  readonly #current = new AsyncLocalStorage<Handshake>();

  constructor(options: EapServerOptions<G>) {
    this.#options = options;
    this.#judge = new PeerJudge(judgeOptions(options));
    options.revocation?.verify(this.#judge.trust.authorities);
    this.#server = this.#makeServer();
    this.#useTicketKey();
  }

  #makeServer(): Server {
    const server = createServer({
      ...contextOptions(this.#options),
      requestCert: true,
      // We judge the certificate ourselves, to say why: nothing passes that is not explicitly good.
      rejectUnauthorized: false,
    });
    server.on('secureConnection', (socket) => this.#on((handshake) => handshake.secured(socket, this.guard)));
    server.on('tlsClientError', (error) => this.#on((handshake) => handshake.broke(error)));
    return server;
  }

  get guard(): Guard {
    return this.#options.guard ?? unguarded;
  }

  /** An event of the engine, for the handshake that it belongs to. */
  #on(event: (handshake: Handshake) => void): void {
    const handshake = this.#current.getStore();
    if (!handshake) return;
    this.guard.run(
      'tls',
      () => event(handshake),
      (error) => handshake.broke(error as Error),
    );
  }

  get options(): EapServerOptions<G> {
    return this.#options;
  }

  /** Judges the clients' certificates. */
  get judge(): PeerJudge {
    return this.#judge;
  }

  /** Takes other certificates or other CRLs, whole or not at all: throws the platform's error or CrlSignatureError and keeps the old. */
  reload(options: EapServerOptions<G>): void {
    const fresh = judgeOptions(options);
    // Throws where the context cannot be made, before anything has changed.
    createSecureContext(contextOptions(options));
    this.#judge.reload(fresh);
    this.#server.setSecureContext(contextOptions(options));
    this.#options = options;
    this.#useTicketKey();
  }

  /** Makes session tickets with this key from now on, and takes no others: 48 octets. */
  setTicketKey(key: Uint8Array): void {
    this.#ticketKey = Uint8Array.from(key);
    this.#useTicketKey();
  }

  /**
   * A ticket says that the engine has verified a certificate, under the trust anchors of then. Under others the engine
   * cannot read it and makes a full handshake, whenever the anchors changed and whoever of the store's servers made it.
   * setSecureContext makes a key of its own each time.
   */
  #useTicketKey(): void {
    const derived = createHmac('sha512', this.#ticketKey).update(`${TICKET_LABEL} ${this.#judge.trust.id}`).digest();
    derived.copy(this.#derivedKey);
    derived.fill(0);
    useTicketKey(this.#server, this.#derivedKey);
    this.#fullServer = undefined;
  }

  conversation(parts: ConversationParts): EapConversation<G> {
    return new EapConversation(this, parts);
  }

  /** Begins the TLS connection of a ClientHello. */
  handshake(hello: Uint8Array): Handshake {
    const handshake = new Handshake();
    const server = this.#mayResume(hello) ? this.#server : this.#withoutTickets();
    this.#current.run(handshake, () => server.emit('connection', handshake.wire));
    return handshake;
  }

  /** Not a session that would be refused, or of which nobody could tell the issuers: a full handshake brings them. */
  #mayResume(hello: Uint8Array): boolean {
    const certificate = certificateOfTicket(hello, this.#derivedKey);
    return certificate === undefined || this.#judge.canResume(certificate, Date.now());
  }

  #withoutTickets(): Server {
    if (!this.#fullServer) {
      this.#fullServer = this.#makeServer();
      useTicketKey(this.#fullServer, this.#derivedKey, false);
    }
    return this.#fullServer;
  }
}

/** One TLS handshake on the server. */
export class Handshake {
  readonly wire = new FlightWire();
  socket: TLSSocket | undefined;
  error: NodeJS.ErrnoException | undefined;
  applicationData = 0;

  secured(socket: TLSSocket, guard: Guard): void {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.applicationData += chunk.length;
    });
    socket.on('error', (error) => guard.run('tls', () => this.broke(error)));
  }

  broke(error: Error): void {
    this.error ??= error;
  }

  destroy(): void {
    this.socket?.destroy();
    this.wire.destroy();
  }
}

interface Accepted<G> {
  readonly peer: VerifiedPeer;
  readonly identity: string;
  readonly grant: G;
  readonly keys: EapTlsKeys;
  readonly tlsVersion: string;
  readonly resumed: boolean;
}

/** One EAP conversation, in lock step: one packet in, one answer out. */
export class EapConversation<G> {
  readonly #server: EapServer<G>;
  readonly #mtu: number;
  readonly #session: string;
  readonly #turn: EngineTurn;
  readonly #incoming: FlightBuffer;
  #outgoing: EapTlsData[] = [];
  #handshake: Handshake | undefined;
  #clientRandom: Uint8Array | undefined;
  #serverRandom: Uint8Array | undefined;
  #serverExtensions: ReadonlySet<number> | undefined;
  #accepted: Accepted<G> | undefined;
  #request: Uint8Array | undefined;
  #identifier = randomBytes(1)[0] ?? 0;
  #identity: string | undefined;
  #rounds = 0;
  #invalid = 0;
  #over = false;
  #answering = false;

  constructor(server: EapServer<G>, { mtu, session = '', turn = AT_ONCE }: ConversationParts) {
    this.#server = server;
    this.#mtu = Math.max(MIN_MTU, mtu);
    this.#session = session;
    this.#turn = turn;
    this.#incoming = new FlightBuffer(server.options.maxClientFlight);
  }

  /** Whether the client has proven that it has a good certificate. */
  get proven(): boolean {
    return this.#accepted !== undefined;
  }

  /** The identity that the peer claimed in clear. */
  get claimedIdentity(): string | undefined {
    return this.#identity;
  }

  /** One Response, or no octets for the start (RFC 4072 3.1). Never rejects; one at a time. */
  async handle(octets: Uint8Array): Promise<EapServerAnswer<G>> {
    // A lock-step protocol: what comes before the last packet is answered is no answer to anything.
    if (this.#answering) return { type: 'invalid', packet: this.#request, reason: 'before the last one is answered' };
    this.#answering = true;
    try {
      return await this.#handle(octets);
    } catch (error) {
      const { guard } = this.#server;
      if (guard === unguarded) throw error;
      guard.fault('tls', error);
      return this.#fail(this.#identifier, 'protocol', 'a fault of the server');
    } finally {
      this.#answering = false;
    }
  }

  async #handle(octets: Uint8Array): Promise<EapServerAnswer<G>> {
    if (this.#over) return this.#isInvalid('the conversation is over');
    if (octets.length === 0 && !this.#request) return this.#ask(EAP_TYPE.IDENTITY, new Uint8Array(0));
    let packet: EapPacket;
    try {
      packet = decodeEap(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#isInvalid(error.message);
    }
    // RFC 4072 2.8.4: a Request is not for a server to answer.
    if (packet.code === EAP_CODE.REQUEST) return this.#fail(packet.identifier, 'protocol', 'an EAP Request');
    if (packet.code !== EAP_CODE.RESPONSE || packet.type === undefined) return this.#isInvalid(`code ${packet.code}`);
    if (this.#request && packet.identifier !== this.#request[1]) return this.#isInvalid('identifier');
    this.#identifier = packet.identifier;
    this.#rounds += 1;
    if (this.#rounds > MAX_SERVER_ROUNDS)
      return this.#fail(packet.identifier, 'too-many-rounds', `${MAX_SERVER_ROUNDS} packets`);

    switch (packet.type) {
      case EAP_TYPE.IDENTITY:
        if (this.#handshake) return this.#isInvalid('identity in the middle');
        this.#identity = Buffer.from(packet.data).toString('utf8').slice(0, MAX_IDENTITY);
        return this.#ask(EAP_TYPE.EAP_TLS, encodeEapTls({ ...ACKNOWLEDGEMENT, start: true }));
      case EAP_TYPE.NAK:
        if (this.#handshake) return this.#isInvalid('Nak in the middle');
        return this.#fail(packet.identifier, 'no-common-method', `the peer wants method ${methodsOf(packet.data)}`);
      case EAP_TYPE.EAP_TLS:
        return this.#eapTls(packet.identifier, packet.data);
      default:
        return this.#isInvalid(`type ${packet.type}`);
    }
  }

  /** Frees what the conversation holds; it is not used afterwards. */
  close(): void {
    this.#over = true;
    this.#handshake?.destroy();
    this.#accepted?.keys.msk.wipe();
    this.#accepted?.keys.emsk.wipe();
    this.#accepted = undefined;
  }

  async #eapTls(identifier: number, octets: Uint8Array): Promise<EapServerAnswer<G>> {
    let data: EapTlsData;
    try {
      data = decodeEapTls(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#fail(identifier, 'fragments', error.message);
    }
    const isAcknowledgement = data.fragment.length === 0 && !data.more;
    const next = this.#outgoing.shift();
    if (next) {
      if (!isAcknowledgement) return this.#fail(identifier, 'fragments', 'data where an acknowledgement was due');
      return this.#ask(EAP_TYPE.EAP_TLS, encodeEapTls(next));
    }
    if (this.#accepted) {
      // RFC 9190 2.1.1, RFC 5216 2.1.1: the empty Response to the last flight.
      if (data.fragment[0] === ALERT_RECORD)
        return this.#fail(identifier, 'tls-alert', 'the client gave up after the handshake');
      if (!isAcknowledgement) return this.#fail(identifier, 'protocol', 'data after the handshake');
      return this.#succeed(identifier, this.#accepted);
    }
    const added = this.#incoming.add(data);
    if (added === 'more') return this.#ask(EAP_TYPE.EAP_TLS, encodeEapTls(ACKNOWLEDGEMENT));
    if (typeof added === 'string') return this.#fail(identifier, 'fragments', added);
    if (added.flight.length === 0) return this.#fail(identifier, 'protocol', 'an empty flight');
    return this.#exchange(identifier, added.flight);
  }

  async #exchange(identifier: number, flight: Uint8Array): Promise<EapServerAnswer<G>> {
    const effort = effortOf(flight, this.#handshake === undefined);
    if (effort !== undefined) return this.#fail(identifier, 'effort', effort);
    const done = await this.#turn();
    if (!done) {
      this.close();
      return { type: 'busy', packet: undefined };
    }
    if (this.#over) {
      done();
      return this.#isInvalid('the conversation is over');
    }
    const handshake = this.#handshake ?? this.#server.handshake(flight);
    this.#handshake = handshake;
    this.#clientRandom ??= helloRandom(flight);
    await handshake.wire.exchange(flight).finally(done);
    if (this.#over) return this.#isInvalid('the conversation is over');
    if (handshake.error) {
      const { code = '', message } = handshake.error;
      const reason: Refusal = code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE' ? 'no-certificate' : 'tls-alert';
      return this.#fail(identifier, reason, code || message);
    }
    const { socket } = handshake;
    if (!socket) return this.#sendFlight(handshake.wire.takeFlight(), identifier);
    if (handshake.applicationData > 0) return this.#fail(identifier, 'protocol', 'application data');

    // The handshake is done, and what it wrote is still in our hands: the decision comes before anything leaves.
    const { extendedMasterSecret } = this.#server.options;
    const weakness = masterSecretProblem(socket, this.#serverExtensions, extendedMasterSecret);
    if (weakness !== undefined) return this.#fail(identifier, 'extended-master-secret', weakness);
    const judged = this.#server.judge.judge(socket, Date.now());
    if ('reason' in judged) return this.#fail(identifier, judged.reason, judged.detail);
    const decision = await this.#server.options.authorize(judged.peer, this.#session);
    if (this.#over) return this.#isInvalid('the conversation is over');
    if (!decision.ok) return this.#fail(identifier, decision.reason, judged.peer.peerIds.join(' '));
    const tlsVersion = socket.getProtocol() ?? '';
    let out = handshake.wire.takeFlight();
    this.#serverRandom ??= helloRandom(out);
    const randoms = this.#clientRandom && this.#serverRandom && concat(this.#clientRandom, this.#serverRandom);
    const keys = exportKeys(socket, randoms);
    if (tlsVersion === 'TLSv1.3') {
      socket.write(PROTECTED_SUCCESS);
      await handshake.wire.settle();
      if (this.#over) {
        keys.msk.wipe();
        keys.emsk.wipe();
        return this.#isInvalid('the conversation is over');
      }
      out = concat(out, handshake.wire.takeFlight());
    }
    const resumed = socket.isSessionReused();
    handshake.destroy();
    this.#accepted = {
      peer: judged.peer,
      identity: decision.identity,
      grant: decision.grant,
      keys,
      tlsVersion,
      resumed,
    };
    // A TLS 1.2 resumption ends with the client's Finished: nothing is left to say but Success (RFC 5216 2.1.2).
    if (out.length === 0) return this.#succeed(identifier, this.#accepted);
    return this.#sendFlight(out, identifier);
  }

  #sendFlight(flight: Uint8Array, identifier: number): EapServerAnswer<G> {
    if (flight.length === 0) return this.#fail(identifier, 'protocol', 'a flight that is not whole');
    this.#serverRandom ??= helloRandom(flight);
    this.#serverExtensions ??= serverHelloExtensions(flight);
    const [first = ACKNOWLEDGEMENT, ...rest] = cutFlight(flight, this.#mtu);
    this.#outgoing = rest;
    return this.#ask(EAP_TYPE.EAP_TLS, encodeEapTls(first));
  }

  #succeed(identifier: number, accepted: Accepted<G>): EapServerAnswer<G> {
    const { keys, ...rest } = accepted;
    this.#over = true;
    this.#accepted = undefined;
    const packet = encodeEap({ code: EAP_CODE.SUCCESS, identifier, type: undefined, data: new Uint8Array(0) });
    return { type: 'success', packet, ...rest, ...keys };
  }

  #ask(type: number, data: Uint8Array): EapServerAnswer<G> {
    // RFC 3748 4.1: each new Request has another identifier.
    this.#identifier = (this.#identifier + 1) & 0xff;
    const packet = encodeEap({ code: EAP_CODE.REQUEST, identifier: this.#identifier, type, data });
    this.#request = packet;
    return { type: 'request', packet };
  }

  #fail(identifier: number, reason: Refusal, detail: string): EapServerAnswer<G> {
    this.close();
    const packet = encodeEap({ code: EAP_CODE.FAILURE, identifier, type: undefined, data: new Uint8Array(0) });
    return { type: 'failure', packet, reason, detail };
  }

  #isInvalid(reason: string): EapServerAnswer<G> {
    this.#invalid += 1;
    if (this.#invalid > MAX_INVALID)
      return this.#fail(this.#identifier, 'protocol', `${MAX_INVALID} invalid packets, the last: ${reason}`);
    return { type: 'invalid', packet: this.#request, reason };
  }
}

/** Why the engine should not see a flight: what its certificates would cost is known before, where they are in clear. */
function effortOf(flight: Uint8Array, first: boolean): string | undefined {
  try {
    return tooMuchEffort(clearCertificates(flight, first));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return `TLS flight: ${error.message}`;
  }
}

/** Of a Nak, which may be as long as an EAP packet. */
function methodsOf(types: Uint8Array): string {
  const some = types.subarray(0, MAX_METHODS).join(', ');
  return types.length > MAX_METHODS ? `${some} and ${types.length - MAX_METHODS} more` : some;
}

function judgeOptions<G>(options: EapServerOptions<G>): PeerJudgeOptions {
  const { caPem, certificatePem, revocation, onLearned, certificatePolicy = DEFAULT_POLICY } = options;
  const trust = new Trust(certificatesOfPem(caPem), certificatesOfPem(certificatePem));
  const policy = (path: Path) => violation(path, 'client', certificatePolicy);
  return { trust, revocation, onLearned, policy };
}

/** The engine gets no CRL: it would take one look at it, at full handshakes, and for all paths alike. */
function contextOptions<G>(options: EapServerOptions<G>): SecureContextOptions {
  const { minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', ciphers, ecdhCurve } = options;
  return {
    // With each context: the platform makes up one of its own otherwise, and no ticket from before is good under it.
    sessionIdContext: 'pana-mip6 eap-tls',
    ca: options.caPem,
    cert: options.certificatePem,
    key: options.keyPem,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(ecdhCurve === undefined ? {} : { ecdhCurve }),
    minVersion,
    maxVersion,
  };
}
