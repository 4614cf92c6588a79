import {
  type AuthenticatorInput,
  type AuthenticatorOutput,
  EapAuthenticator,
  type EapServerAnswer,
} from '../../protocol/eap/authenticator.js';
import type { Authorization } from '../../protocol/eap/tls-authenticator.js';
import type { PeerIdentity } from '../../protocol/eap/verified-peer.js';
import { unguarded } from '../service/barrier.js';
import { type Host, systemHost } from '../system/host.js';
import type { MasterSecretPolicy } from '../tls/settings.js';
import type { ServerEngine, ServerEngineAnswer, ServerEngineEnd, ServerHandshake, ServerJudge } from './engine.js';
import { TlsServerEngine, type TlsServerOptions } from './tls-server.js';

/** A conversation's turn to use the engine. */
export interface GrantedTurn {
  /** Number of the engine thread, the same in all turns of a conversation. */
  readonly engine: number;
  /** Ends the turn. */
  readonly done: () => void;
}

/** Waits for the conversation's turn to use the engine. Resolves with undefined if the server is overloaded. */
export type EngineTurn = () => Promise<GrantedTurn | undefined>;

/** A turn for a conversation that need not wait. */
const AT_ONCE: GrantedTurn = { engine: 0, done: () => undefined };

/** The parameters of a new conversation. */
export interface ConversationParts {
  /** Maximum size of a sent EAP packet in octets. */
  readonly mtu: number;
  /** The session that this conversation authenticates. */
  readonly session?: string | undefined;
  /** Awaited before each flight. Undefined: the engine processes all flights at once. */
  readonly turn?: EngineTurn | undefined;
  /** In place of that of the options. */
  readonly extendedMasterSecret?: MasterSecretPolicy | undefined;
}

export interface EapServerOptions<G> extends TlsServerOptions {
  /** Maximum size of a client's TLS flight in octets, which is mostly certificates. Undefined: MAX_FLIGHT. */
  readonly maxClientFlight?: number | undefined;
  /**
   * Decides whether the client of a session is authorized. Called for every handshake, resumed ones included, before
   * the client learns of success.
   */
  readonly authorize: (peer: PeerIdentity, session: string) => Promise<Authorization<G>>;
}

/** The EAP server: its options and the engine that all conversations share. */
export class EapServer<G> {
  #options: EapServerOptions<G>;
  readonly #engine: ServerEngine<TlsServerOptions>;
  readonly #host: Host;

  /** Throws the platform's error if the credentials are unusable, CrlSignatureError for a forged CRL. */
  constructor(options: EapServerOptions<G>, engine: ServerEngine<TlsServerOptions> = new TlsServerEngine(options)) {
    this.#options = options;
    this.#engine = engine;
    this.#host = options.host ?? systemHost;
  }

  get options(): EapServerOptions<G> {
    return this.#options;
  }

  /** The engine's information about revoked certificates. */
  get judge(): ServerJudge {
    return this.#engine.judge;
  }

  /** Replaces credentials and CRLs. Throws as the constructor does, and then keeps the old ones. */
  reload(options: EapServerOptions<G>): void {
    this.#engine.reload(options);
    this.#options = options;
  }

  /** Sets the key (48 octets) of the session tickets that are issued and accepted from now on. */
  setTicketKey(key: Uint8Array): void {
    this.#engine.setTicketKey(key);
  }

  /** Number of the engine's threads that run. */
  get workers(): number {
    return this.#engine.running ?? 0;
  }

  /** Frees the engine. Close all conversations before. */
  close(): void {
    this.#engine.close();
  }

  conversation(parts: ConversationParts): EapConversation<G> {
    const { maxClientFlight: maxFlight } = this.#options;
    const identifier = this.#host.random(1)[0] ?? 0;
    const method = new EapAuthenticator<G>({ mtu: parts.mtu, maxFlight, identifier });
    return new EapConversation(method, this.#engine, () => this.#options, parts);
  }
}

interface Caller<G> {
  readonly resolve: (answer: EapServerAnswer<G>) => void;
  readonly reject: (error: unknown) => void;
}

/** One EAP conversation in lock step: connects the method to the engine and to the authorization decision. */
export class EapConversation<G> {
  readonly #method: EapAuthenticator<G>;
  readonly #engine: ServerEngine<TlsServerOptions>;
  readonly #options: () => EapServerOptions<G>;
  readonly #session: string;
  readonly #turn: EngineTurn | undefined;
  readonly #extendedMasterSecret: MasterSecretPolicy | undefined;
  #handshake: ServerHandshake | undefined;
  #caller: Caller<G> | undefined;

  constructor(
    method: EapAuthenticator<G>,
    engine: ServerEngine<TlsServerOptions>,
    options: () => EapServerOptions<G>,
    { session = '', turn, extendedMasterSecret }: ConversationParts,
  ) {
    this.#method = method;
    this.#engine = engine;
    this.#options = options;
    this.#session = session;
    this.#turn = turn;
    this.#extendedMasterSecret = extendedMasterSecret;
  }

  /** Whether the client has proven possession of an accepted certificate. */
  get proven(): boolean {
    return this.#method.proven;
  }

  /** The identity that the peer claimed in clear. */
  get claimedIdentity(): string | undefined {
    return this.#method.claimedIdentity;
  }

  /**
   * Processes one EAP Response, or no octets at the start (RFC 4072 3.1). On success the caller owns the keys. Rejects
   * only with a fault, and only if there is no guard.
   */
  handle(octets: Uint8Array): Promise<EapServerAnswer<G>> {
    const earlier = this.#caller;
    return new Promise((resolve, reject) => {
      this.#caller = { resolve, reject };
      try {
        this.#step({ type: 'response', octets });
      } catch (error) {
        this.#fault(error);
      }
      // If this Response was unexpected, it was answered immediately, and the earlier caller still waits.
      this.#caller ??= earlier;
    });
  }

  /** Ends the conversation and frees its state. */
  close(): void {
    this.#step({ type: 'close' });
  }

  #step(input: AuthenticatorInput<G>): void {
    for (const output of this.#method.handle(input)) this.#perform(output);
  }

  #perform(output: AuthenticatorOutput<G>): void {
    switch (output.type) {
      case 'handshake':
        if (this.#turn) void this.#inTurn(this.#turn, output.token, output.flight);
        else this.#exchange(output.token, output.flight, AT_ONCE);
        break;
      case 'authorize':
        void this.#authorize(output.token, output.peer);
        break;
      case 'commit': {
        const { token, applicationData } = output;
        this.#handshake?.commit(applicationData, (answer) => this.#answered(token, answer));
        break;
      }
      case 'abandon':
        this.#handshake?.destroy();
        break;
      default: {
        const caller = this.#caller;
        this.#caller = undefined;
        caller?.resolve(output);
      }
    }
  }

  async #inTurn(turn: EngineTurn, token: number, flight: Uint8Array): Promise<void> {
    try {
      const granted = await turn();
      // The conversation may have been closed meanwhile.
      if (!granted) this.#step({ type: 'busy', token });
      else if (this.#method.busy) this.#exchange(token, flight, granted);
      else granted.done();
    } catch (error) {
      this.#fault(error);
    }
  }

  #exchange(token: number, flight: Uint8Array, { engine, done }: GrantedTurn): void {
    try {
      this.#handshake ??= this.#engine.begin(flight, engine, this.#extendedMasterSecret);
      this.#handshake.exchange(flight, (answer) => {
        done();
        this.#answered(token, answer);
      });
    } catch (error) {
      done();
      this.#fault(error);
    }
  }

  async #authorize(token: number, peer: PeerIdentity): Promise<void> {
    try {
      const decision = await this.#options().authorize(peer, this.#session);
      this.#step({ type: 'authorized', token, decision });
    } catch (error) {
      this.#fault(error);
    }
  }

  #answered(token: number, answer: ServerEngineAnswer | ServerEngineEnd): void {
    try {
      if (answer.type === 'fault') throw answer.error;
      this.#step({ ...answer, token });
    } catch (error) {
      this.#fault(error);
    }
  }

  /** Ends this conversation after a fault. Other conversations continue. */
  #fault(error: unknown): void {
    const { guard = unguarded } = this.#options();
    if (guard === unguarded) {
      this.#caller?.reject(error);
      this.#caller = undefined;
      return;
    }
    guard.fault('tls', error);
    this.#step({ type: 'fault' });
  }
}
