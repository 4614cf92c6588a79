import { createHmac } from 'node:crypto';
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type SecureVersion,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { concat } from '../../protocol/bytes/octets.js';
import { Secret } from '../../protocol/bytes/secret.js';
import { Hellos } from '../../protocol/eap/hello.js';
import type { Certificate } from '../../protocol/x509/certificate.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { type Host, systemHost } from '../system/host.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import { type CertificatePolicy, DEFAULT_POLICY, violation } from '../tls/certificates/policy.js';
import type { Revocation } from '../tls/certificates/revocation.js';
import { type Path, Trust } from '../tls/certificates/trust.js';
import { exportKeys, FlightWire, masterSecretProblem } from '../tls/engine.js';
import { PeerJudge, type PeerJudgeOptions } from '../tls/peer-certificate.js';
import { certificateOfTicket, TICKET_KEY, useTicketKey } from '../tls/session-tickets.js';
import type { MasterSecretPolicy } from '../tls/settings.js';
import type { ServerEngine, ServerEngineAnswer, ServerEngineEnd, ServerHandshake } from './engine.js';

const TICKET_LABEL = 'pana-mip6 tickets of these trust anchors';

export interface TlsServerOptions {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Undefined: certificates are not checked for revocation. */
  readonly revocation?: Revocation | undefined;
  /**
   * Called with the CAs of a verified path when a client has sent the certificate of one that was unknown, so that its
   * CRL can be verified.
   */
  readonly onLearned?: ((authorities: readonly Certificate[]) => void) | undefined;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string | undefined;
  readonly ecdhCurve?: string | undefined;
  readonly guard?: Guard | undefined;
  /** Undefined: DEFAULT_POLICY. */
  readonly certificatePolicy?: CertificatePolicy | undefined;
  /** Undefined: required. */
  readonly extendedMasterSecret?: MasterSecretPolicy | undefined;
  readonly host?: Host | undefined;
}

/**
 * A TLS server as one connection sees it, which names the handshake of an event: the server emits the events of a
 * connection on the object that got the connection. An AsyncLocalStorage would do the same, but makes every promise of
 * the thread dearer.
 */
interface HandshakeServer extends Server {
  readonly handshake?: TlsServerHandshake;
}

/** Node's TLS as the engine of an EAP server: one context and one set of ticket keys for all conversations. */
export class TlsServerEngine implements ServerEngine<TlsServerOptions> {
  #options: TlsServerOptions;
  readonly #host: Host;
  readonly #server: Server;
  readonly #judge: PeerJudge;
  #ticketKey: Secret;
  /** Derived from the ticket key and the trust anchors. */
  #derivedKey: Secret;
  /** A TLS server that accepts no tickets. Created on first use. */
  #fullServer: Server | undefined;

  /** Throws the platform's error for unusable credentials, CrlSignatureError for a forged CRL. */
  constructor(options: TlsServerOptions) {
    this.#options = options;
    this.#host = options.host ?? systemHost;
    this.#judge = new PeerJudge(judgeOptions(options));
    options.revocation?.verify(this.#judge.trust.authorities);
    this.#server = this.#makeServer();
    this.#ticketKey = Secret.take(this.#host.random(TICKET_KEY));
    this.#derivedKey = this.#useTicketKey();
  }

  get judge(): PeerJudge {
    return this.#judge;
  }

  reload(options: TlsServerOptions): void {
    const fresh = judgeOptions(options);
    // Throws if the context cannot be created, before anything has changed.
    createSecureContext(contextOptions(options));
    this.#judge.reload(fresh);
    this.#server.setSecureContext(contextOptions(options));
    this.#options = options;
    this.#renewTicketKey();
  }

  setTicketKey(key: Uint8Array): void {
    this.#ticketKey.wipe();
    this.#ticketKey = Secret.copyOf(key);
    this.#renewTicketKey();
  }

  /** Remembers CAs of paths that another engine has verified. Returns whether one of them is new. */
  learn(authorities: readonly Certificate[]): boolean {
    return this.#judge.learn(authorities);
  }

  close(): void {
    this.#ticketKey.wipe();
    this.#derivedKey.wipe();
  }

  begin(hello: Uint8Array, _thread = 0, policy?: MasterSecretPolicy): TlsServerHandshake {
    const extendedMasterSecret = policy ?? this.#options.extendedMasterSecret;
    const handshake = new TlsServerHandshake({ judge: this.#judge, host: this.#host, extendedMasterSecret });
    const server = this.#mayResume(hello) ? this.#server : this.#withoutTickets();
    const connection: HandshakeServer = Object.create(server, { handshake: { value: handshake } });
    connection.emit('connection', handshake.wire);
    return handshake;
  }

  #makeServer(): Server {
    const server = createServer({
      ...contextOptions(this.#options),
      requestCert: true,
      // PeerJudge verifies the certificate, so that the reason for a refusal is known. Only an explicit pass is
      // accepted.
      rejectUnauthorized: false,
    });
    const engine = this;
    server.on('secureConnection', function (this: HandshakeServer, socket) {
      engine.#on(this.handshake, (handshake) => handshake.secured(socket, engine.#guard));
    });
    server.on('tlsClientError', function (this: HandshakeServer, error) {
      engine.#on(this.handshake, (handshake) => handshake.broke(error));
    });
    return server;
  }

  get #guard(): Guard {
    return this.#options.guard ?? unguarded;
  }

  /** Handles an engine event with the handshake that it belongs to. */
  #on(handshake: TlsServerHandshake | undefined, event: (handshake: TlsServerHandshake) => void): void {
    if (!handshake) return;
    this.#guard.run(
      'tls',
      () => event(handshake),
      (error) => handshake.broke(error as Error),
    );
  }

  #renewTicketKey(): void {
    const before = this.#derivedKey;
    this.#derivedKey = this.#useTicketKey();
    before.wipe();
  }

  /**
   * A ticket implies that the engine verified a certificate under the trust anchors of that time. The ticket key
   * therefore depends on the anchors: after they change, here or at another server that shares the store, the engine
   * cannot read the ticket and makes a full handshake. Called after each setSecureContext, which resets the key.
   */
  #useTicketKey(): Secret {
    const digest = this.#ticketKey.use((key) =>
      createHmac('sha512', key).update(`${TICKET_LABEL} ${this.#judge.trust.id}`).digest(),
    );
    const derived = Secret.copyOf(digest.subarray(0, TICKET_KEY));
    digest.fill(0);
    useTicketKey(this.#server, derived, this.#host);
    this.#fullServer = undefined;
    return derived;
  }

  /**
   * False if the session would be refused or its issuers are unknown. In a full handshake the client then sends the
   * issuers' certificates.
   */
  #mayResume(hello: Uint8Array): boolean {
    const certificate = this.#derivedKey.use((key) => certificateOfTicket(hello, key));
    return certificate === undefined || this.#judge.canResume(certificate, this.#host.wall());
  }

  #withoutTickets(): Server {
    if (!this.#fullServer) {
      this.#fullServer = this.#makeServer();
      useTicketKey(this.#fullServer, this.#derivedKey, this.#host, false);
    }
    return this.#fullServer;
  }
}

interface HandshakeParts {
  readonly judge: PeerJudge;
  readonly host: Host;
  readonly extendedMasterSecret: MasterSecretPolicy | undefined;
}

/** The server's side of one TLS handshake. */
export class TlsServerHandshake implements ServerHandshake {
  readonly wire = new FlightWire();
  readonly #parts: HandshakeParts;
  readonly #hellos = new Hellos();
  #socket: TLSSocket | undefined;
  #error: NodeJS.ErrnoException | undefined;
  #applicationData = 0;
  #destroyed = false;

  constructor(parts: HandshakeParts) {
    this.#parts = parts;
  }

  exchange(flight: Uint8Array, answer: (answer: ServerEngineAnswer) => void): void {
    this.#exchange(flight).then(answer, (error) => answer({ type: 'fault', error }));
  }

  commit(applicationData: Uint8Array, answer: (answer: ServerEngineEnd) => void): void {
    this.#commit(applicationData).then(answer, (error) => answer({ type: 'fault', error }));
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket?.destroy();
    this.wire.destroy();
  }

  /** Takes the socket of the handshake, which the engine has completed. */
  secured(socket: TLSSocket, guard: Guard): void {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#applicationData += chunk.length;
    });
    socket.on('error', (error) => guard.run('tls', () => this.broke(error)));
  }

  broke(error: Error): void {
    this.#error ??= error;
  }

  async #exchange(flight: Uint8Array): Promise<ServerEngineAnswer> {
    this.#hellos.fromClient(flight);
    await this.wire.exchange(flight);
    // The handshake was destroyed, so there is nothing left to verify.
    if (this.#destroyed) return { type: 'failed', reason: 'protocol', detail: 'abandoned' };
    if (this.#error) {
      const { code = '', message } = this.#error;
      const isMissing = code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';
      return { type: 'failed', reason: isMissing ? 'no-certificate' : 'tls-alert', detail: code || message };
    }
    return this.#socket ? this.#judge(this.#socket) : { type: 'flight', flight: this.#takeFlight() };
  }

  #judge(socket: TLSSocket): ServerEngineAnswer {
    const { judge, host, extendedMasterSecret } = this.#parts;
    const weakness = masterSecretProblem(socket, this.#hellos, extendedMasterSecret);
    if (weakness !== undefined) return { type: 'failed', reason: 'extended-master-secret', detail: weakness };
    const judged = judge.judge(socket, host.wall());
    if ('reason' in judged) return { type: 'failed', ...judged };
    return {
      type: 'verified',
      peer: judged.peer,
      tlsVersion: socket.getProtocol() ?? '',
      resumed: socket.isSessionReused(),
      applicationData: this.#applicationData,
    };
  }

  async #commit(applicationData: Uint8Array): Promise<ServerEngineEnd> {
    const socket = this.#socket;
    if (!socket) throw new Error('commit before the handshake is complete');
    const flight = this.#takeFlight();
    const keys = exportKeys(socket, this.#hellos);
    if (applicationData.length === 0) {
      this.destroy();
      return { type: 'finished', flight, keys };
    }
    socket.write(applicationData);
    await this.wire.settle();
    const rest = this.wire.takeFlight();
    this.destroy();
    return { type: 'finished', flight: concat(flight, rest), keys };
  }

  #takeFlight(): Uint8Array {
    const flight = this.wire.takeFlight();
    this.#hellos.fromServer(flight);
    return flight;
  }
}

function judgeOptions(options: TlsServerOptions): PeerJudgeOptions {
  const { caPem, certificatePem, revocation, onLearned, certificatePolicy = DEFAULT_POLICY } = options;
  const trust = new Trust(certificatesOfPem(caPem), certificatesOfPem(certificatePem));
  const policy = (path: Path) => violation(path, 'client', certificatePolicy);
  return { trust, revocation, onLearned, policy };
}

/** No CRL is passed to the engine, which would check it only in full handshakes, and for all paths alike. */
function contextOptions(options: TlsServerOptions): SecureContextOptions {
  const { minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', ciphers, ecdhCurve } = options;
  return {
    // Must be the same in every context. With the platform's random default, earlier tickets would not be accepted.
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
