import { createHash } from 'node:crypto';
import {
  connect,
  createSecureContext,
  type DetailedPeerCertificate,
  type SecureContext,
  type SecureVersion,
  type TLSSocket,
} from 'node:tls';
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

/** How many names of an unexpected certificate an error lists. */
const SHOWN_NAMES = 5;

export interface PeerCredentialsOptions {
  readonly caPem: string;
  /** Without a certificate, a server that follows RFC 5216 refuses the peer. */
  readonly certificatePem?: string;
  readonly keyPem?: string;
  /** The server's certificate must contain this name or a subdomain of it. */
  readonly serverName: string;
  /** Undefined: certificates are not checked for revocation. */
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

/**
 * A session ticket and the server that issued it. In a resumed session the engine does not show the server's
 * certificate.
 */
export interface PeerSession {
  /** The session, including its resumption secret. */
  readonly ticket: Secret;
  readonly server: VerifiedPeer;
}

type Parts = Pick<TlsPeerCredentials, 'context' | 'serverName' | 'judge' | 'binding' | 'extendedMasterSecret' | 'host'>;

/** Node's TLS as the engine of EAP peers. Created once, since parsing certificates costs more than a handshake. */
export class TlsPeerCredentials implements PeerCredentials {
  readonly context: SecureContext;
  readonly serverName: string;
  readonly judge: PeerJudge;
  /** What a ticket depends on: with other certificates, CAs or TLS versions it is useless. */
  readonly binding: string;
  readonly extendedMasterSecret: MasterSecretPolicy;
  readonly host: Host;
  /**
   * The session of the last handshake, for resumption (RFC 9190 2.1.2). Used once, so that two uses cannot be linked.
   */
  session: PeerSession | undefined;
  #prepared: TlsPeerHandshake | undefined;

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
    const prepared = this.#prepared;
    this.#prepared = undefined;
    // A session received meanwhile is worth more.
    if (prepared && !this.session) return prepared;
    prepared?.destroy();
    return new TlsPeerHandshake(this);
  }

  /**
   * Begins the handshake that the next `open` returns, unless there is a session to resume. The first ClientHello of a
   * process takes some milliseconds, which then do not delay an answer.
   */
  prepare(): void {
    if (!this.session) this.#prepared ??= new TlsPeerHandshake(this);
  }

  /** Returns the session to resume if its server would still be accepted. The caller owns it. */
  takeSession(): PeerSession | undefined {
    const { session } = this;
    this.session = undefined;
    if (!session) return undefined;
    if (this.judge.again(session.server.path, this.host.wall()) === undefined) return session;
    session.ticket.wipe();
    return undefined;
  }

  /** Keeps a session for the next handshake and becomes its owner. */
  keepSession(session: PeerSession): void {
    this.forgetSession();
    this.session = session;
  }

  forgetSession(): void {
    this.session?.ticket.wipe();
    this.session = undefined;
  }

  /** Returns the verified server, or the reason why it is not the expected one. */
  judgeServer(socket: TLSSocket): VerifiedPeer | Failure {
    const judged = this.judge.judge(socket, this.host.wall());
    if ('reason' in judged) return { reason: 'server-certificate', detail: `${judged.reason}: ${judged.detail}` };
    if (namesServer(judged.peer.dnsNames, this.serverName)) return judged.peer;
    const names = judged.peer.dnsNames.slice(0, SHOWN_NAMES).join(', ') || 'no dNSName';
    return { reason: 'server-name', detail: `the certificate has ${names}, not ${this.serverName} or a host below it` };
  }
}

/**
 * `before`: the credentials to replace. Their ticket is kept if nothing that it depends on has changed. Throws the
 * platform's error for an unusable certificate or key, CrlSignatureError for a forged CRL.
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
  // Move the ticket, because a ticket has one owner.
  const { session } = before;
  before.session = undefined;
  return new TlsPeerCredentials({ ...parts, judge: before.judge }, session);
}

interface Failure {
  readonly reason: PeerFailure;
  readonly detail: string;
}

/** The peer's side of one TLS handshake. */
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
        // The server is checked in #secured, which also covers resumed sessions.
        checkServerIdentity: () => undefined,
      });
    const ticket = this.#resuming?.ticket;
    // The engine reads the ticket within this call.
    const socket = ticket ? ticket.use((octets) => begin({ session: Buffer.from(octets.buffer) })) : begin({});
    ticket?.wipe();
    withholdChain(socket);
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
    const answerUnlessDestroyed = (what: PeerEngineAnswer) => {
      if (!this.#destroyed) answer(what);
    };
    this.#exchange(flight).then(answerUnlessDestroyed, (error) => answerUnlessDestroyed({ type: 'fault', error }));
  }

  finish(): EapKeys {
    const keys = exportKeys(this.#socket, this.#hellos);
    const isTls12Resumed = this.#socket.isSessionReused() && this.#socket.getProtocol() !== 'TLSv1.3';
    // In a resumed TLS 1.2 session the engine emits no event for the new ticket.
    const next = isTls12Resumed ? this.#socket.getSession() : undefined;
    if (next) this.#ticket ??= Secret.take(next);
    // Keep the ticket only if the server confirmed success.
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
    restoreChain(this.#socket);
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
    else this.#failure ??= server ?? { reason: 'protocol', detail: 'a session that was not requested' };
  }

  /** Runs the handler of an engine event. If it throws, the handshake fails. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fault = { type: 'fault', error };
    }
  }
}

/**
 * Before a full handshake ends, Node decodes the server's whole chain as the argument of `checkServerIdentity`, which
 * costs a sixth of the peer's CPU. Nothing is checked there, so it gets an empty object instead.
 */
function withholdChain(socket: TLSSocket): void {
  socket.getPeerCertificate = () => ({}) as DetailedPeerCertificate;
}

function restoreChain(socket: TLSSocket): void {
  Reflect.deleteProperty(socket, 'getPeerCertificate');
}

function failureOf(error: NodeJS.ErrnoException): PeerFailure {
  const { code = '' } = error;
  if (code.startsWith('ERR_SSL')) return 'tls-alert';
  if (code.startsWith('ERR_')) return 'protocol';
  return 'server-certificate';
}

/** RFC 9190 2.2: a dNSName must equal the configured name or be a subdomain of it. The Subject is ignored. */
function namesServer(dnsNames: readonly string[], serverName: string): boolean {
  const wanted = serverName.toLowerCase();
  return dnsNames.some((name) => name.toLowerCase() === wanted || name.toLowerCase().endsWith(`.${wanted}`));
}
