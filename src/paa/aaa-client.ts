import { answerTo, errorAnswer } from '../protocol/diameter/wire/answers.js';
import type { DiameterMessage } from '../protocol/diameter/wire/codec.js';
import { APPLICATION, ASA, ASR, DER, RAA, RAR, STR } from '../protocol/diameter/wire/commands.js';
import { isViolation } from '../protocol/diameter/wire/grammar.js';
import { wipeKeys } from '../protocol/diameter/wire/keys.js';
import { isTemporary, RESULT, resultName } from '../protocol/diameter/wire/result-codes.js';
import { type DerRequest, realmOf, type SessionServer } from '../protocol/nas/access.js';
import { type Judged, judgeAnswer } from '../protocol/nas/answer.js';
import type { PaaClosed } from '../protocol/pana/session/paa-session.js';
import { type DiameterEvent, type DiameterGround, DiameterNode } from '../runtime/diameter/node.js';
import { peerOptions } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { CancelTimer, Host } from '../runtime/system/host.js';
import type { PaaOptions } from './options.js';

/** STR is tried again so often while no server can be reached: nothing else frees the session there. */
const STR_TRIES = 5;
const STR_RETRY = 5_000;

const AUTHORIZE_AUTHENTICATE = 3;

/** Termination-Cause of STR for each end of a PANA session, RFC 6733 8.15. */
const CAUSES: Readonly<Record<PaaClosed | 'unusable', number>> = {
  unusable: 3,
  logout: 1,
  rejected: 2,
  administrative: 4,
  'eap-timeout': 5,
  'no-progress': 5,
  'no-answer': 5,
  replaced: 7,
  'pushed-out': 7,
  'lifetime-expired': 8,
  'session-timeout': 8,
  fault: 4,
};

/** What STR says of a session. */
interface EndedSession {
  readonly id: string;
  /** What the client called itself: it decides on the realm, as it did in the DERs. */
  readonly identity: string | undefined;
  readonly userName: string;
  readonly server: SessionServer;
  readonly classes: readonly Uint8Array[];
}

/** What a server asks of a session that it knows by its Session-Id. */
export type ServerWish = 'abort' | 'reauthenticate';

const COMMANDS = [
  { spec: ASR, answer: ASA, wish: 'abort' },
  { spec: RAR, answer: RAA, wish: 'reauthenticate' },
] as const;

/** Who asks. */
export interface Asker {
  /** Its Origin-Host and Origin-Realm, and the peer that brought the request. */
  readonly host: string;
  readonly realm: string;
  readonly peer: string;
}

export interface AaaClientEvents {
  onEvent(event: DiameterEvent): void;
  /** Whether there is such a session of this server's, and it will be done. */
  onWish(sessionId: string, wish: ServerWish, from: Asker): boolean;
}

/** The Diameter EAP client of the PAA (RFC 4072). */
export class AaaClient {
  readonly node: DiameterNode;
  readonly #options: PaaOptions;
  readonly #events: AaaClientEvents;
  readonly #guard: Guard;
  readonly #host: Host;
  readonly #retries = new Set<CancelTimer>();
  readonly #ending = new Set<Promise<void>>();
  #stopping = false;

  constructor(
    options: PaaOptions,
    originStateId: number,
    tls: TlsTransport | undefined,
    events: AaaClientEvents,
    guard: Guard,
    ground: DiameterGround,
  ) {
    this.#host = ground.host;
    this.#options = options;
    this.#events = events;
    this.#guard = guard;
    const { diameter, pana } = options;
    this.node = new DiameterNode({
      origin: { host: diameter.host, realm: diameter.realm },
      productName: 'pana-paa',
      vendorId: 0,
      originStateId,
      ownVendor: pana['vendor-id'],
      applications: [APPLICATION.EAP],
      listen: [],
      peers: peerOptions(diameter.peers, tls),
      routes: diameter.routes,
      watchdog: diameter.watchdog,
      reconnect: diameter.reconnect,
      timeout: diameter.timeout,
      onRequest: (message, peer) => Promise.resolve(this.#serve(message, peer)),
      onEvent: (event) => events.onEvent(event),
      guard,
      host: ground.host,
      transport: ground.transport,
    });
  }

  /** Sends a DER; what its answer is good for. Rejects with DiameterRequestError when nobody answers. */
  async authenticate(sessionId: string, request: DerRequest, calling: string): Promise<Judged> {
    const { node } = this;
    const { diameter, nas } = this.#options;
    const message = node.grammarian.message(DER, APPLICATION.EAP, {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Origin-Host': diameter.host,
      'Origin-Realm': diameter.realm,
      'Destination-Realm': this.#realmOf(request.identity),
      'Destination-Host': request.server,
      'Auth-Request-Type': AUTHORIZE_AUTHENTICATE,
      'User-Name': request.identity,
      'NAS-Identifier': nas.identifier ?? diameter.host,
      'Calling-Station-Id': calling,
      'Framed-MTU': nas['framed-mtu'],
      'Origin-State-Id': node.originStateId,
      State: request.state,
      'EAP-Payload': request.payload,
      ...request.mobility,
    });
    const answer = await node.request(message, {}, diameter['request-timeout']);
    try {
      return judgeAnswer(node.grammarian, answer, { sessionId, type: AUTHORIZE_AUTHENTICATE, server: request.server });
    } finally {
      wipeKeys(answer.avps);
    }
  }

  /** Tells the server that a session is over; tries again in the background while it cannot be reached. */
  end(session: EndedSession, cause: PaaClosed | 'unusable'): void {
    const told = this.#guard.settle('diameter', this.#str(session, CAUSES[cause], 1));
    const done = told.finally(() => this.#ending.delete(done));
    this.#ending.add(done);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#ending]);
    this.#stopping = true;
    for (const cancel of this.#retries) cancel();
    await this.node.stop();
  }

  async #str(session: EndedSession, cause: number, attempt: number): Promise<void> {
    const { diameter } = this.#options;
    const message = this.node.grammarian.message(STR, APPLICATION.EAP, {
      'Session-Id': session.id,
      'Origin-Host': diameter.host,
      'Origin-Realm': diameter.realm,
      'Destination-Realm': this.#realmOf(session.identity),
      'Destination-Host': session.server.host,
      'Auth-Application-Id': APPLICATION.EAP,
      'Termination-Cause': cause,
      'User-Name': session.userName,
      'Origin-State-Id': this.node.originStateId,
      Class: session.classes,
    });
    try {
      const answer = await this.node.request(message, {}, diameter['request-timeout']);
      const result = this.node.grammarian.find(answer.avps, 'Result-Code');
      // An agent on the way has not delivered it, or the server has too much to do: it has not been told.
      if (result !== undefined && isTemporary(result)) throw new Error(resultName(result));
    } catch {
      // RFC 6733 8.18: the server is gone, and another one may know the session.
      const { server } = session;
      if (server.host !== undefined && server.tryAgain) {
        await this.#str({ ...session, server: { host: undefined, tryAgain: false } }, cause, attempt);
        return;
      }
      if (this.#stopping || attempt >= STR_TRIES) return;
      const cancel = this.#host.after(STR_RETRY * attempt, () => {
        this.#retries.delete(cancel);
        void this.#guard.settle('timer', this.#str(session, cause, attempt + 1));
      });
      this.#retries.add(cancel);
    }
  }

  /** Peers that requests for this client may be sent to. */
  peersFor(identity: string | undefined): readonly string[] {
    return this.node.routesTo(this.#realmOf(identity));
  }

  #realmOf(identity = ''): string {
    return realmOf(identity) ?? this.#options.diameter.realm;
  }

  #serve(message: DiameterMessage, peer: string): DiameterMessage {
    const { grammarian, origin } = this.node;
    const refuse = (violation: Parameters<typeof errorAnswer>[3]) =>
      errorAnswer(grammarian, origin, message, violation);
    const command = COMMANDS.find(({ spec }) => spec.code === message.commandCode);
    if (!command) {
      const text = 'a PAA takes RAR and ASR only';
      return refuse({ resultCode: RESULT.COMMAND_UNSUPPORTED, failedAvp: undefined, text });
    }
    const { spec, answer, wish } = command;
    const content = grammarian.read(spec, message);
    if (isViolation(content)) return refuse(content);
    const sessionId = content['Session-Id'];
    const { 'Origin-Host': host, 'Origin-Realm': realm } = content;
    const known = this.#events.onWish(sessionId, wish, { host, realm, peer });
    return answerTo(
      message,
      grammarian.write(answer, {
        'Session-Id': sessionId,
        'Result-Code': known ? RESULT.SUCCESS : RESULT.UNKNOWN_SESSION_ID,
        'Origin-Host': origin.host,
        'Origin-Realm': origin.realm,
      }),
    );
  }
}
