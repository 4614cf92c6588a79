import { answerTo, errorAnswer } from '../protocol/diameter/wire/answers.js';
import { AVP_FLAG, type DiameterMessage } from '../protocol/diameter/wire/codec.js';
import { APPLICATION, ASR, DEA, DER, RAR, STA, STR } from '../protocol/diameter/wire/commands.js';
import { AVPS } from '../protocol/diameter/wire/dictionary.js';
import { isViolation, type Message, type Violation } from '../protocol/diameter/wire/grammar.js';
import { isProtocolError, RESULT } from '../protocol/diameter/wire/result-codes.js';
import type { EapServerAnswer } from '../protocol/eap/authenticator.js';
import { EAP_TYPE } from '../protocol/eap/codec.js';
import type { Refusal } from '../protocol/eap/refusal.js';
import { certificateKey } from '../protocol/eap/verified-peer.js';
import { derivePsk, fingerprint } from '../protocol/keys/kdf.js';
import { SESSION_BINDING } from '../protocol/nas/session-server.js';
import { type DiameterEvent, type DiameterGround, DiameterNode } from '../runtime/diameter/node.js';
import { listenOptions, peerOptions } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import { tcpTransport } from '../runtime/diameter/transport.js';
import type { EapServer } from '../runtime/eap/server.js';
import type { Logger } from '../runtime/log/log.js';
import { type Guard, unguarded } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { type Host, systemHost } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import type { BootstrapResult, Ike, Lease, Session, Subscriber } from '../store/records.js';
import { Admission, RANK } from './admission.js';
import type { AaaOptions } from './config/options.js';
import { type Conversation, Conversations } from './conversations.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import type { StoreCalls } from './measured-store.js';
import { chooseIke, leaseProblem, octetsOf, pskRoot, readWish, storeWish, writeGrant } from './mobility.js';
import { OriginStates } from './origin-states.js';

const EAP_TLS_METHOD = BigInt(EAP_TYPE.EAP_TLS);
const AUTHORIZE_AUTHENTICATE = 3;
const REAUTH_AUTHENTICATE = 1;
const STATE_MAINTAINED = 0;
/** Session-Binding RE_AUTH and STR, RFC 6733 8.17: both go to any server; Session-Server-Failover TRY_AGAIN, 8.18. */
const ANY_SERVER = SESSION_BINDING.RE_AUTH | SESSION_BINDING.STR;
const TRY_AGAIN = 1;
/** SQLite's code where nothing more can be written. */
const DISK_FULL = 'SQLITE_FULL';
/** Characters of a Session-Id that is taken: it is kept with each conversation and session. */
const MAX_SESSION_ID = 1_024;
const LONG_SESSION_ID: Violation = {
  resultCode: RESULT.INVALID_AVP_LENGTH,
  // RFC 6733 7.5: its header says which one.
  failedAvp: { code: AVPS['Session-Id'].code, flags: AVP_FLAG.M, vendorId: undefined, data: new Uint8Array(0) },
  text: `a Session-Id of more than ${MAX_SESSION_ID} characters`,
};
const TOO_BUSY: Violation = { resultCode: RESULT.TOO_BUSY, failedAvp: undefined, text: 'too much to do: try again' };
/** RFC 6733 8: a session belongs to the host that began it; nobody else is told that there is one. */
const UNKNOWN_SESSION: Violation = {
  resultCode: RESULT.UNKNOWN_SESSION_ID,
  failedAvp: undefined,
  text: 'no conversation of this session',
};

export interface EapApplicationParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ground?: DiameterGround | undefined;
  readonly store: StoreCalls;
  readonly eap: EapServer<Subscriber>;
  readonly originState: number;
  readonly guard?: Guard | undefined;
  readonly homeAgents: HomeAgentHooks;
  /** For Diameter; undefined: without TLS. */
  readonly tls: TlsTransport | undefined;
  readonly onEvent: (event: DiameterEvent) => void;
}

type Success = Extract<EapServerAnswer<Subscriber>, { type: 'success' }>;
type Der = Message<typeof DER>;
type DeaRest = Partial<Message<typeof DEA>>;

/** What became of a node's wish for Mobile IPv6. */
interface Bootstrap {
  readonly result: Extract<BootstrapResult, { result: 'home' | 'local' }>;
  readonly root: 'msk' | 'emsk';
  readonly ike: Ike | undefined;
}

/** The server side of the Diameter EAP application (RFC 4072) with Mobile IPv6 bootstrapping (RFC 5447). */
export class EapApplication {
  readonly node: DiameterNode;
  readonly #options: AaaOptions;
  readonly #parts: EapApplicationParts;
  readonly #conversations: Conversations;
  readonly #originStates: OriginStates;
  readonly #admission: Admission;
  readonly #host: Host;

  constructor(options: AaaOptions, parts: EapApplicationParts) {
    this.#options = options;
    this.#parts = parts;
    const ground = parts.ground ?? { host: systemHost, transport: tcpTransport };
    this.#host = ground.host;
    const { diameter } = options;
    this.#admission = new Admission(parts.store, parts.metrics, parts.log, ground.host);
    this.#conversations = new Conversations(diameter.conversations, diameter['round-timeout']);
    this.node = new DiameterNode({
      origin: { host: diameter.host, realm: diameter.realm },
      productName: 'pana-aaa',
      vendorId: 0,
      originStateId: parts.originState,
      ownVendor: diameter['vendor-id'],
      applications: [APPLICATION.EAP],
      realms: diameter.realms,
      listen: listenOptions(diameter, parts.tls),
      peers: peerOptions(diameter.peers, parts.tls),
      watchdog: diameter.watchdog,
      reconnect: diameter.reconnect,
      timeout: diameter.timeout,
      onRequest: (message, peer) => this.#serve(message, peer),
      guard: parts.guard,
      host: ground.host,
      transport: ground.transport,
      onEvent: (event) => {
        parts.onEvent(event);
        if (event.type !== 'peerOpen') return;
        void (parts.guard ?? unguarded).settle('diameter', this.#originStates.connected(event.capabilities));
      },
    });
    this.#originStates = new OriginStates({
      ...parts,
      leasesFor: options.session.grace,
      capabilitiesOf: (host) => this.node.capabilitiesOf(host),
      forgetKeysOf: (host) => this.node.forgetKeysOf(host),
    });
  }

  get conversations(): number {
    return this.#conversations.size;
  }

  start(): Promise<void> {
    return this.node.start();
  }

  async stop(): Promise<void> {
    await this.node.stop();
    this.#conversations.clear();
  }

  /** Forgets conversations that stay silent; how many. `now` is monotonic. */
  expire(now: number): number {
    return this.#conversations.expire(now);
  }

  async #serve(message: DiameterMessage, peer: string): Promise<DiameterMessage> {
    if (message.commandCode === DER.code) return this.#der(message, peer);
    if (message.commandCode === STR.code) {
      return this.#str(message).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== DISK_FULL) throw error;
        this.#parts.log.error({ reason: error.message }, 'store failed');
        return this.#refuse(message, {
          resultCode: RESULT.OUT_OF_SPACE,
          failedAvp: undefined,
          text: 'the disk is full',
        });
      });
    }
    return this.#refuse(message, {
      resultCode: RESULT.COMMAND_UNSUPPORTED,
      failedAvp: undefined,
      text: 'this server takes DER and STR',
    });
  }

  #refuse(message: DiameterMessage, violation: Violation): DiameterMessage {
    this.#parts.metrics.count('refused_requests', { code: String(violation.resultCode) });
    return errorAnswer(this.node.grammarian, this.node.origin, message, violation);
  }

  // ------------------------------------------------------------------------------------------------------------- DER

  async #der(message: DiameterMessage, peer: string): Promise<DiameterMessage> {
    const der = this.node.grammarian.read(DER, message);
    if (isViolation(der)) return this.#refuse(message, der);
    if (der['Session-Id'].length > MAX_SESSION_ID) return this.#refuse(message, LONG_SESSION_ID);
    const type = der['Auth-Request-Type'];
    // RFC 4072 carries an authentication, and here an authorization always comes with it.
    if (type !== AUTHORIZE_AUTHENTICATE) return this.#refuse(message, this.#unable('Auth-Request-Type', type));
    await this.#originStates.told(der['Origin-Host'], der['Origin-State-Id'], peer);
    const conversation = await this.#conversationOf(der, peer);
    if ('resultCode' in conversation) return this.#refuse(message, conversation);
    const answer = await conversation.eap.handle(der['EAP-Payload']);
    if (answer.type === 'busy') {
      this.#conversations.end(conversation);
      this.#admission.turnedAway('engine', conversation.seat, this.#host.monotonic());
      return this.#refuse(message, TOO_BUSY);
    }
    // Meanwhile it was pushed out, or its session has ended.
    if (answer.type === 'invalid' && this.#conversations.get(conversation.sessionId) !== conversation)
      return this.#refuse(message, TOO_BUSY);
    if (conversation.eap.proven) this.#conversations.promote(conversation, RANK.PROVEN);
    try {
      const rest = await this.#answer(conversation, answer);
      return answerTo(
        message,
        this.node.grammarian.write(DEA, {
          'Session-Id': der['Session-Id'],
          'Auth-Application-Id': APPLICATION.EAP,
          'Auth-Request-Type': type,
          'Origin-Host': this.node.origin.host,
          'Origin-Realm': this.node.origin.realm,
          'Origin-State-Id': this.node.originStateId,
          'Result-Code': RESULT.UNABLE_TO_COMPLY,
          ...rest,
        }),
      );
    } finally {
      if (answer.type === 'success') {
        answer.msk.wipe();
        answer.emsk.wipe();
      }
    }
  }

  /** RFC 4072 3.1: an empty payload, or the identity, begins a run; a session may have many, one after another. */
  async #conversationOf(der: Der, peer: string): Promise<Conversation | Violation> {
    const sessionId = der['Session-Id'];
    const payload = der['EAP-Payload'];
    const begins = payload.length === 0 || payload[4] === EAP_TYPE.IDENTITY;
    const open = this.#conversations.get(sessionId);
    if (this.#isOfOther(open, der) || !(open || begins)) return UNKNOWN_SESSION;
    if (open && !begins) {
      this.#conversations.touch(open, this.#host.monotonic());
      return open;
    }
    const { 'Origin-Host': origin, 'Origin-Realm': originRealm, 'Origin-State-Id': originState } = der;
    const asking = { peer, origin, callingStation: der['Calling-Station-Id'], sessionId };
    const scarce = this.#conversations.scarce || this.#admission.engine.waiting > 0;
    const seat = await this.#admission.seatOf(asking, scarce, this.#host.monotonic());
    // Meanwhile another one may have begun.
    if (this.#isOfOther(this.#conversations.get(sessionId), der)) return UNKNOWN_SESSION;
    const mtu = Math.min(this.#options.eap.mtu, der['Framed-MTU'] ?? Number.POSITIVE_INFINITY);
    const turn = () => this.#admission.engine.take(conversation.seat);
    const eap = this.#parts.eap.conversation({ mtu, session: sessionId, turn });
    const given = { sessionId, origin, originRealm, originState, eap, wish: readWish(der), seat };
    const now = this.#host.monotonic();
    const { conversation, pushedOut } = this.#conversations.add(given, now);
    if (pushedOut) this.#admission.turnedAway('conversations', pushedOut.seat, now);
    return pushedOut === conversation ? TOO_BUSY : conversation;
  }

  /** Whether a conversation was begun by another host: one PAA neither goes on with nor begins anew what another has begun. */
  #isOfOther(conversation: Conversation | undefined, request: { readonly 'Origin-Host': string }): boolean {
    return conversation !== undefined && !isSameHost(conversation.origin, request['Origin-Host']);
  }

  /** What the dictionary knows and this server cannot do. */
  #unable(name: 'Auth-Request-Type', value: number): Violation {
    const failedAvp = this.node.grammarian.avp(name, value);
    return { resultCode: RESULT.INVALID_AVP_VALUE, failedAvp, text: `${name} ${value} is not served here` };
  }

  async #answer(
    conversation: Conversation,
    answer: Exclude<EapServerAnswer<Subscriber>, { type: 'busy' }>,
  ): Promise<DeaRest> {
    const round = {
      'Result-Code': RESULT.MULTI_ROUND_AUTH,
      'Multi-Round-Time-Out': Math.ceil(this.#options.diameter['round-timeout'] / 1000),
    };
    switch (answer.type) {
      case 'request':
        return { ...round, 'EAP-Payload': answer.packet };
      case 'invalid':
        this.#parts.log.debug({ session: conversation.sessionId, reason: answer.reason }, 'EAP packet is invalid');
        return answer.packet === undefined ? {} : { ...round, 'EAP-Reissued-Payload': answer.packet };
      case 'failure':
        this.#conversations.end(conversation);
        this.#refused(conversation, answer.reason, answer.detail);
        return {
          'Result-Code': answer.reason === 'unavailable' ? RESULT.UNABLE_TO_COMPLY : RESULT.AUTHENTICATION_REJECTED,
          'EAP-Payload': answer.packet,
        };
      case 'success':
        return this.#succeeded(conversation, answer);
    }
  }

  #refused(conversation: Conversation, reason: Refusal, detail: string): void {
    const { log, metrics } = this.#parts;
    const identity = conversation.eap.claimedIdentity;
    metrics.count('authentications', { result: reason });
    log.warn({ session: conversation.sessionId, nas: conversation.origin, identity, reason, detail }, 'refused');
  }

  async #succeeded(conversation: Conversation, success: Success): Promise<DeaRest> {
    const { log, metrics } = this.#parts;
    const { sessionId, origin } = conversation;
    const { identity, grant: subscriber, peer, msk } = success;
    const now = this.#host.wall();
    const wanted =
      subscriber.sessionLifetime === undefined ? this.#options.session.lifetime : subscriber.sessionLifetime * 1000;
    // Neither session nor lease outlives the certificate.
    const lifetime = Math.max(1, Math.floor(Math.min(wanted, peer.notAfter - now) / 1000));
    const bootstrap = await this.#bootstrap(conversation, success, lifetime);
    if (bootstrap === 'refused') {
      this.#conversations.end(conversation);
      return { 'Result-Code': RESULT.AUTHORIZATION_REJECTED, 'EAP-Payload': success.packet };
    }
    metrics.count('authentications', { result: 'accepted' });
    metrics.count('handshakes', { tls: success.tlsVersion, kind: success.resumed ? 'resumed' : 'full' });
    metrics.time('authentication', this.#host.monotonic() - conversation.startedAt);
    log.info(
      { session: sessionId, nas: origin, user: identity, tls: success.tlsVersion, resumed: success.resumed, lifetime },
      'authenticated',
    );
    if (subscriber.sessions === 'replace') void this.#replaceOlder(subscriber.nai, sessionId, origin);
    const mobility = bootstrap && conversation.wish;
    const rest: DeaRest = {
      'Result-Code': RESULT.SUCCESS,
      'EAP-Payload': success.packet,
      'EAP-Master-Session-Key': msk,
      'User-Name': identity,
      'Auth-Session-State': STATE_MAINTAINED,
      'Session-Timeout': lifetime,
      'Authorization-Lifetime': lifetime,
      'Auth-Grace-Period': Math.ceil(this.#options.session.grace / 1000),
      'Re-Auth-Request-Type': REAUTH_AUTHENTICATE,
      'Accounting-EAP-Auth-Method': [EAP_TLS_METHOD],
      ...(this.#options.diameter['shared-store']
        ? { 'Session-Binding': ANY_SERVER, 'Session-Server-Failover': TRY_AGAIN }
        : {}),
      ...(mobility
        ? writeGrant(mobility, bootstrap.result, bootstrap.root, bootstrap.ike, this.node.origin.realm)
        : {}),
    };
    this.#conversations.end(conversation);
    this.#admission.succeeded(peer.fingerprint256, conversation, this.#host.monotonic());
    return rest;
  }

  // -------------------------------------------------------------------------------------------------- Mobile IPv6

  /** Home agent and home address, on disk; undefined when there are none, which never fails network access. */
  async #bootstrap(
    { sessionId, origin, originRealm, originState, wish: wanted }: Conversation,
    success: Success,
    lifetime: number,
  ): Promise<Bootstrap | 'refused' | undefined> {
    const { store, log } = this.#parts;
    const { grant: subscriber, peer } = success;
    const isBehind = wanted !== undefined && this.#parts.homeAgents.isBehind(subscriber.nai);
    const wish = isBehind ? undefined : wanted;
    const root = wish && pskRoot(wish, subscriber, this.#options.mobility['psk-root']);
    const { grace } = this.#options.session;
    // Asked for anew each time: meanwhile the certificate has come nearer to its end, which is by the wall clock.
    const request = () => {
      const certificate = Math.max(0, peer.notAfter - this.#host.wall());
      return {
        ...{ nai: subscriber.nai, sessionId, origin, originRealm, originState, certificate: certificateKey(peer) },
        sessionLifetime: Math.min(lifetime * 1000, certificate),
        leaseLifetime: Math.min(lifetime * 1000 + grace, certificate),
      };
    };
    const asked = wish && root ? storeWish(wish, root) : { wish: undefined, local: undefined };
    try {
      const first = request();
      let result = await store.run('bootstrap', { ...first, ...asked });
      if (result.result === 'refused') return this.#refusedLate(subscriber, result.reason);
      if (result.released) this.#released(result.released, 'replaced');
      if (isBehind) return this.#none(subscriber, 'hooks-behind');
      if (!wish || !root) return this.#none(subscriber, wish ? 'psk-root' : 'not-wanted');
      if (result.result === 'none') return this.#none(subscriber, result.reason);
      if (result.result === 'home' && result.takenFrom !== undefined)
        this.#takenOver(result.lease, result.takenFrom, origin);
      const unfit = result.result === 'home' ? leaseProblem(result.lease) : undefined;
      if (unfit !== undefined) {
        log.error({ user: subscriber.nai, reason: unfit }, 'home agent in the store cannot be used');
        await store.run('bootstrap', { ...request(), wish: undefined, local: undefined });
        return this.#none(subscriber, 'unfit');
      }
      const ike = result.result === 'home' ? chooseIke(wish.bits, result.lease.homeAgent) : undefined;
      if (result.result === 'home' && ike === undefined) {
        result = await store.run('bootstrap', { ...request(), wish: undefined, local: undefined });
        if (result.released) this.#released(result.released, 'no IKE in common');
        return this.#none(subscriber, 'no-common-ike');
      }
      if (result.result !== 'home' && result.result !== 'local') return undefined;
      if (result.result === 'home' && ike) {
        await this.#bringUp(result.lease, result.renewed, success, { root, ike, lifetime: first.leaseLifetime });
      }
      if (result.result === 'local') this.#localAllowed(subscriber, result.local);
      return { result, root, ike };
    } catch (error) {
      log.error({ user: subscriber.nai, reason: (error as Error).message }, 'store failed');
      return this.#none(subscriber, 'store');
    }
  }

  /** What was true when its certificate was looked at is not any more. */
  #refusedLate({ nai }: Subscriber, reason: string): 'refused' {
    this.#parts.metrics.count('authentications', { result: reason });
    this.#parts.log.warn({ user: nai, reason }, 'not authorized');
    return 'refused';
  }

  /**
   * Ends the older sessions of a subscriber at the PAA of its newest one, which would have to be left there otherwise. A node
   * that goes to another PAA ends its session at the old one itself, when the new one is up.
   */
  async #replaceOlder(nai: string, sessionId: string, paa: string): Promise<void> {
    const { store, log } = this.#parts;
    try {
      const { items } = await store.run('listSessions', { of: nai, paa });
      const newest = items.find((session) => session.sessionId === sessionId);
      if (!newest) return;
      for (const session of items) {
        if (session.sessionId === sessionId || session.startedAt > newest.startedAt) continue;
        await this.disconnect(session).catch(() => this.endSession(session, 'replaced'));
      }
    } catch (error) {
      log.warn({ user: nai, reason: (error as Error).message }, 'older sessions not ended');
    }
  }

  /** A node has moved to another PAA, or two devices have one certificate. */
  #takenOver({ nai, homeAddress }: Lease, from: string, nas: string): void {
    this.#parts.metrics.count('takeovers');
    this.#parts.log.info({ user: nai, homeAddress, nas, from }, 'lease taken over from another session');
  }

  #localAllowed({ nai: user }: Subscriber, local: object): void {
    this.#parts.metrics.count('bootstraps', { result: 'local' });
    this.#parts.log.info({ user, ...local }, 'local home agent allowed');
  }

  #none({ nai }: Subscriber, reason: string): undefined {
    this.#parts.metrics.count('bootstraps', { result: reason });
    if (reason !== 'not-wanted') this.#parts.log.warn({ user: nai, reason }, 'no Mobile IPv6');
    return undefined;
  }

  async #bringUp(
    lease: Lease,
    renewed: boolean,
    success: Success,
    { root, ike, lifetime }: { readonly root: 'msk' | 'emsk'; readonly ike: Ike; readonly lifetime: number },
  ): Promise<void> {
    const { log, metrics, homeAgents } = this.#parts;
    const psk = derivePsk(success[root], octetsOf(lease.homeAgent.address), octetsOf(lease.homeAddress));
    metrics.count('bootstraps', { result: renewed ? 'refreshed' : 'assigned' });
    log.info(
      {
        user: lease.nai,
        homeAgent: lease.homeAgent.address,
        homeAgentName: lease.homeAgent.name,
        homeAddress: lease.homeAddress,
        ike,
        root,
        fingerprint: fingerprint(psk),
      },
      renewed ? 'lease renewed' : 'lease given',
    );
    const run = homeAgents.run(renewed ? 'refresh' : 'up', lease, { psk, ike, lifetime });
    psk.wipe();
    await within(run, this.#options.hooks.wait, this.#host);
  }

  #released(lease: Lease, reason: string): void {
    this.#parts.metrics.count('leases', { result: 'released' });
    this.#parts.log.info({ user: lease.nai, homeAddress: lease.homeAddress, reason }, 'lease released');
    void this.#parts.homeAgents.run('down', lease, undefined);
  }

  // -------------------------------------------------------------------------------------------------------- sessions

  /** ASR (RFC 6733 8.5): the PAA ends the session and says STR. Rejects with DiameterRequestError. */
  async disconnect(session: Session): Promise<number> {
    const result = await this.#tell(ASR, session, {});
    if (result === RESULT.UNKNOWN_SESSION_ID) await this.endSession(session, 'unknown to its PAA');
    return result;
  }

  /** RAR (RFC 6733 8.3): the PAA authenticates the client again. Rejects with DiameterRequestError. */
  async reauthenticate(session: Session): Promise<number> {
    const result = await this.#tell(RAR, session, { 'Re-Auth-Request-Type': REAUTH_AUTHENTICATE });
    if (result === RESULT.UNKNOWN_SESSION_ID) await this.endSession(session, 'unknown to its PAA');
    return result;
  }

  async #tell(spec: typeof ASR | typeof RAR, session: Session, more: object): Promise<number> {
    const { grammarian, origin, originStateId } = this.node;
    const { timeout } = this.#options.diameter;
    const message = grammarian.message(spec, APPLICATION.EAP, {
      'Session-Id': session.sessionId,
      'Origin-Host': origin.host,
      'Origin-Realm': origin.realm,
      'Destination-Realm': session.originRealm ?? realmOfHost(session.origin),
      'Destination-Host': session.origin,
      'Auth-Application-Id': APPLICATION.EAP,
      'User-Name': session.nai,
      'Origin-State-Id': originStateId,
      ...more,
    } as never);
    const answer = await this.node.request(message, {}, timeout);
    const result = grammarian.find(answer.avps, 'Result-Code') ?? RESULT.UNABLE_TO_COMPLY;
    // An agent on the way may say that it cannot deliver; of the session only its PAA can speak.
    const from = grammarian.find(answer.avps, 'Origin-Host') ?? '';
    if (!isProtocolError(result) && !isSameHost(from, session.origin)) {
      throw new Error(`the answer is from ${from}, not from ${session.origin}`);
    }
    const fields = { session: session.sessionId, user: session.nai, nas: session.origin, result };
    this.#parts.log.info(fields, spec === ASR ? 'abort asked for' : 're-authentication asked for');
    return result;
  }

  /** Ends a session here, whatever its PAA knows of it. */
  async endSession({ sessionId }: Session, reason: string): Promise<void> {
    this.#admission.ended(sessionId);
    this.node.forgetKeys(sessionId);
    const { released } = await this.#parts.store.run('endSession', { sessionId });
    if (released) this.#released(released, reason);
  }

  // ------------------------------------------------------------------------------------------------------------- STR

  async #str(message: DiameterMessage): Promise<DiameterMessage> {
    const { grammarian, origin } = this.node;
    const content = grammarian.read(STR, message);
    if (isViolation(content)) return this.#refuse(message, content);
    const { 'Session-Id': sessionId, 'Origin-Host': nas } = content;
    const open = this.#conversations.get(sessionId);
    if (open && !this.#isOfOther(open, content)) this.#conversations.end(open);
    const { known, foreign, released } = await this.#parts.store.run('endSession', { sessionId, origin: nas });
    if (foreign) {
      this.#parts.log.warn({ session: sessionId, nas }, 'STR for a session of another PAA');
      return this.#refuse(message, UNKNOWN_SESSION);
    }
    this.#admission.ended(sessionId);
    this.node.forgetKeys(sessionId);
    this.#parts.log.info({ session: sessionId, cause: content['Termination-Cause'], known }, 'session ended');
    if (released) this.#released(released, 'session ended');
    return answerTo(
      message,
      grammarian.write(STA, {
        'Session-Id': sessionId,
        'Result-Code': known ? RESULT.SUCCESS : RESULT.UNKNOWN_SESSION_ID,
        'Origin-Host': origin.host,
        'Origin-Realm': origin.realm,
      }),
    );
  }
}

/** DiameterIdentities are compared without regard to case. */
function isSameHost(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** A realm where none is known: a host without its first label. */
function realmOfHost(host: string): string {
  return host.slice(host.indexOf('.') + 1);
}
