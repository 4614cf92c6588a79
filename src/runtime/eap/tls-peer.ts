import { createHash } from 'node:crypto';
import { connect, createSecureContext, type SecureContext, type SecureVersion, type TLSSocket } from 'node:tls';
import { concat } from '../../protocol/bytes/octets.js';
import { Secret } from '../../protocol/bytes/secret.js';
import { Hellos } from '../../protocol/eap/hello.js';
import type { EapKeys } from '../../protocol/eap/keys.js';
import type { PeerFailure } from '../../protocol/eap/tls-peer.js';
import type { VerifiedPeer } from '../../protocol/eap/verified-peer.js';
import { type Host, systemHost } from '../system/host.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import { type CertificatePolicy, DEFAULT_POLICY, violation } from '../tls/certificates/policy.js';
import type { Revocation } from '../tls/certificates/revocation.js';
import { type Path, Trust } from '../tls/certificates/trust.js';
import { exportKeys, FlightWire, masterSecretProblem } from '../tls/engine.js';
import { PeerJudge } from '../tls/peer-certificate.js';
import type { MasterSecretPolicy } from '../tls/settings.js';
import type { EngineFault, PeerCredentials, PeerEngineAnswer, PeerHandshake } from './engine.js';

export interface PeerCredentialsOptions {
  readonly caPem: string;
  /** Without a certificate, a server that follows RFC 5216 refuses. */
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
  readonly host?: Host | undefined;
}

/** A ticket and the server that gave it: the engine shows no certificate of a session that is resumed. */
export interface PeerSession {
  /** Holds the resumption secret. */
  readonly ticket: Secret;
  readonly server: VerifiedPeer;
}

interface Parts {
  readonly context: SecureContext;
  readonly serverName: string;
  readonly judge: PeerJudge;
  readonly binding: string;
  readonly extendedMasterSecret: MasterSecretPolicy;
  readonly host: Host;
}

/** Node's TLS as the engine of EAP peers; made once, since reading certificates costs more than a handshake. */
export class TlsPeerCredentials implements PeerCredentials {
  readonly context: SecureContext;
  readonly serverName: string;
  readonly judge: PeerJudge;
  /** What a ticket is bound to: with other certificates, CAs or versions of TLS it is worthless. */
  readonly binding: string;
  readonly extendedMasterSecret: MasterSecretPolicy;
  readonly host: Host;
  /** Of the last handshake, for an abbreviated one (RFC 9190 2.1.2). Used once, so that two uses cannot be linked. */
  session: PeerSession | undefined;

  constructor({ context, serverName, judge, binding, extendedMasterSecret, host }: Parts, session?: PeerSession) {
    this.context = context;
    this.serverName = serverName;
    this.judge = judge;
    this.binding = binding;
    this.extendedMasterSecret = extendedMasterSecret;
    this.host = host;
    this.session = session;
  }

  open(): TlsPeerHandshake {
    return new TlsPeerHandshake(this);
  }

  /** The session to resume, if its server would still be accepted; the caller takes the ticket over. */
  takeSession(): PeerSession | undefined {
    const { session } = this;
    this.session = undefined;
    if (!session) return undefined;
    if (this.judge.again(session.server.path, this.host.wall()) === undefined) return session;
    session.ticket.wipe();
    return undefined;
  }

  /** Takes the ticket over, for the next handshake. */
  keepSession(session: PeerSession): void {
    this.forgetSession();
    this.session = session;
  }

  forgetSession(): void {
    this.session?.ticket.wipe();
    this.session = undefined;
  }

  /** The wanted server, or why this is not the one. */
  judgeServer(socket: TLSSocket): VerifiedPeer | Failure {
    const judged = this.judge.judge(socket, this.host.wall());
    if ('reason' in judged) return { reason: 'server-certificate', detail: `${judged.reason}: ${judged.detail}` };
    if (namesServer(judged.peer.dnsNames, this.serverName)) return judged.peer;
    return { reason: 'server-name', detail: `the certificate does not name ${this.serverName}` };
  }
}

/**
 * `before`: the credentials that these replace; their ticket stays if nothing has changed that it depends on. Throws the
 * platform's error for a certificate or key that cannot be used, CrlSignatureError for a CRL.
 */
export function createPeerCredentials(
  options: PeerCredentialsOptions,
  before?: TlsPeerCredentials,
): TlsPeerCredentials {
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
    host = systemHost,
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
  const parts = { context, serverName, binding, extendedMasterSecret, host };
  if (before?.binding !== binding) {
    return new TlsPeerCredentials({ ...parts, judge: new PeerJudge({ trust, revocation, policy }) });
  }
  before.judge.reload({ trust, revocation, policy });
  // A ticket has one owner.
  const { session } = before;
  before.session = undefined;
  return new TlsPeerCredentials({ ...parts, judge: before.judge }, session);
}

interface Failure {
  readonly reason: PeerFailure;
  readonly detail: string;
}

/** One TLS handshake on the peer. */
class TlsPeerHandshake implements PeerHandshake {
  readonly #credentials: TlsPeerCredentials;
  readonly #wire = new FlightWire();
  readonly #hellos = new Hellos();
  readonly #resuming: PeerSession | undefined;
  readonly #socket: TLSSocket;
  #failure: Failure | undefined;
  #server: VerifiedPeer | undefined;
  #ticket: Secret | undefined;
  #applicationData: Uint8Array = new Uint8Array(0);
  #fault: EngineFault | undefined;
  #destroyed = false;

  constructor(credentials: TlsPeerCredentials) {
    this.#credentials = credentials;
    this.#resuming = credentials.takeSession();
    const begin = (session: object) =>
      connect({
        socket: this.#wire,
        secureContext: credentials.context,
        servername: credentials.serverName,
        ...session,
        rejectUnauthorized: true,
        // Judged in #secured, which resumed sessions pass too.
        checkServerIdentity: () => undefined,
      });
    const ticket = this.#resuming?.ticket;
    // The engine reads the ticket within the call.
    const socket = ticket ? ticket.use((octets) => begin({ session: Buffer.from(octets.buffer) })) : begin({});
    ticket?.wipe();
    this.#socket = socket;
    socket.on('secureConnect', () => this.#guarded(() => this.#secured()));
    socket.on('session', (ticket: Buffer) => {
      this.#ticket?.wipe();
      this.#ticket = Secret.take(ticket);
    });
    socket.on('data', (chunk: Buffer) => {
      this.#applicationData = concat(this.#applicationData, chunk);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= { reason: failureOf(error), detail: error.code ?? error.message };
    });
  }

  exchange(flight: Uint8Array, answer: (answer: PeerEngineAnswer) => void): void {
    const tell = (what: PeerEngineAnswer) => {
      if (!this.#destroyed) answer(what);
    };
    this.#exchange(flight).then(tell, (error) => tell({ type: 'fault', error }));
  }

  finish(): EapKeys {
    const keys = exportKeys(this.#socket, this.#hellos);
    const isTls12Resumed = this.#socket.isSessionReused() && this.#socket.getProtocol() !== 'TLSv1.3';
    // With TLS 1.2 the engine has no event for the next ticket of a session that was resumed.
    const next = isTls12Resumed ? this.#socket.getSession() : undefined;
    if (next) this.#ticket ??= Secret.take(next);
    // Only a server that has committed itself gave a ticket worth keeping.
    if (this.#ticket && this.#server) this.#credentials.keepSession({ ticket: this.#ticket, server: this.#server });
    this.#ticket = undefined;
    return keys;
  }

  forget(): void {
    this.#credentials.forgetSession();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#ticket?.wipe();
    this.#ticket = undefined;
    this.#socket.destroy();
    this.#wire.destroy();
  }

  async #exchange(flight: Uint8Array): Promise<PeerEngineAnswer> {
    if (!this.#server) this.#hellos.fromServer(flight);
    await this.#wire.exchange(flight);
    if (this.#fault) return this.#fault;
    if (this.#failure) return { type: 'failed', ...this.#failure };
    const out = this.#wire.takeFlight();
    this.#hellos.fromClient(out);
    const secured = this.#server && {
      tlsVersion: this.#socket.getProtocol() ?? '',
      resumed: this.#socket.isSessionReused(),
    };
    return { type: 'flight', flight: out, applicationData: this.#applicationData, secured };
  }

  #secured(): void {
    const { extendedMasterSecret } = this.#credentials;
    const weakness = masterSecretProblem(this.#socket, this.#hellos, extendedMasterSecret);
    if (weakness !== undefined) {
      this.#failure ??= { reason: 'extended-master-secret', detail: weakness };
      return;
    }
    const server = this.#socket.isSessionReused()
      ? this.#resuming?.server
      : this.#credentials.judgeServer(this.#socket);
    if (server && !('reason' in server)) this.#server = server;
    else this.#failure ??= server ?? { reason: 'protocol', detail: 'a session that was not asked for' };
  }

  /** An event of the engine that throws fails the handshake, not the process. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fault = { type: 'fault', error };
    }
  }
}

function failureOf(error: NodeJS.ErrnoException): PeerFailure {
  const { code = '' } = error;
  if (code.startsWith('ERR_SSL')) return 'tls-alert';
  if (code.startsWith('ERR_')) return 'protocol';
  return 'server-certificate';
}

/** RFC 9190 2.2: a dNSName equals the configured name or lies under it. The Subject is not looked at. */
function namesServer(dnsNames: readonly string[], serverName: string): boolean {
  const wanted = serverName.toLowerCase();
  return dnsNames.some((name) => name.toLowerCase() === wanted || name.toLowerCase().endsWith(`.${wanted}`));
}
