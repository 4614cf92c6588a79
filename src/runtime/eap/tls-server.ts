import { AsyncLocalStorage } from 'node:async_hooks';
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
  /** Undefined: no certificate is revoked. */
  readonly revocation?: Revocation | undefined;
  /** A client brought the certificate of a CA that was not known: more certificates may be revoked. */
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
  readonly host?: Host | undefined;
}

/** Node's TLS as the engine of an EAP server: one context and one set of ticket keys for all conversations. */
export class TlsServerEngine implements ServerEngine<TlsServerOptions> {
  #options: TlsServerOptions;
  readonly #host: Host;
  readonly #server: Server;
  readonly #judge: PeerJudge;
  #ticketKey: Secret;
  /** Of the key above and the trust anchors. */
  #derivedKey: Secret;
  /** Accepts no tickets; made when it is needed. */
  #fullServer: Server | undefined;
  /** Tells which handshake an event of the one TLS server belongs to: its connections are made within this context. */
  readonly #current = new AsyncLocalStorage<TlsServerHandshake>();

  /** Throws the platform's error for certificates that cannot be used, CrlSignatureError for a CRL. */
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
    // Throws if the context cannot be made, before anything has changed.
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

  begin(hello: Uint8Array): TlsServerHandshake {
    const { extendedMasterSecret } = this.#options;
    const handshake = new TlsServerHandshake({ judge: this.#judge, host: this.#host, extendedMasterSecret });
    const server = this.#mayResume(hello) ? this.#server : this.#withoutTickets();
    this.#current.run(handshake, () => server.emit('connection', handshake.wire));
    return handshake;
  }

  #makeServer(): Server {
    const server = createServer({
      ...contextOptions(this.#options),
      requestCert: true,
      // We judge the certificate ourselves, to say why it is refused: only what is explicitly good passes.
      rejectUnauthorized: false,
    });
    server.on('secureConnection', (socket) => this.#on((handshake) => handshake.secured(socket, this.#guard)));
    server.on('tlsClientError', (error) => this.#on((handshake) => handshake.broke(error)));
    return server;
  }

  get #guard(): Guard {
    return this.#options.guard ?? unguarded;
  }

  /** An event of the engine, for the handshake that it belongs to. */
  #on(event: (handshake: TlsServerHandshake) => void): void {
    const handshake = this.#current.getStore();
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
   * A ticket says that the engine has verified a certificate under the trust anchors of that time. Its key depends on
   * them: after the anchors change, here or at another server of the store, the engine cannot read it and makes a full
   * handshake. Called after each setSecureContext, which makes a key of its own.
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

  /** False for a session that would be refused, or whose issuers are not known: a full handshake brings them. */
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

/** One TLS handshake on the server. */
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

  /** The engine has completed the handshake. */
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
    // Nobody waits for this any more, and there is nothing left to judge.
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

/** The engine gets no CRL: it would look at it in full handshakes only, and for all paths alike. */
function contextOptions(options: TlsServerOptions): SecureContextOptions {
  const { minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', ciphers, ecdhCurve } = options;
  return {
    // The same in each context: with one that the platform makes up, no earlier ticket is accepted.
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
