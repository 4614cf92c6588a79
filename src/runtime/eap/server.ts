import {
  type AuthenticatorInput,
  type AuthenticatorOutput,
  EapAuthenticator,
  type EapServerAnswer,
} from '../../protocol/eap/authenticator.js';
import type { Authorization } from '../../protocol/eap/tls-authenticator.js';
import type { VerifiedPeer } from '../../protocol/eap/verified-peer.js';
import { unguarded } from '../service/barrier.js';
import { type Host, systemHost } from '../system/host.js';
import type { ServerEngine, ServerEngineAnswer, ServerEngineEnd, ServerHandshake, ServerJudge } from './engine.js';
import { TlsServerEngine, type TlsServerOptions } from './tls-server.js';

/**
 * Waits until the engine may work for a conversation; resolves with the function that ends the turn, or with undefined
 * if the server has too much to do.
 */
export type EngineTurn = () => Promise<(() => void) | undefined>;

/** What a conversation is given at its start. */
export interface ConversationParts {
  /** Octets of the largest EAP packet to send. */
  readonly mtu: number;
  /** Whose conversation it is. */
  readonly session?: string | undefined;
  /** Asked before each flight; undefined: the engine works on all flights at once. */
  readonly turn?: EngineTurn | undefined;
}

export interface EapServerOptions<G> extends TlsServerOptions {
  /** Octets of a TLS flight of a client, which is mostly its certificates; undefined: MAX_FLIGHT. */
  readonly maxClientFlight?: number | undefined;
  /**
   * Decides on the client that a session brings, at every handshake, resumed ones too, before the client hears of
   * success.
   */
  readonly authorize: (peer: VerifiedPeer, session: string) => Promise<Authorization<G>>;
}

/** The EAP server: options and an engine that all conversations share. */
export class EapServer<G> {
  #options: EapServerOptions<G>;
  readonly #engine: ServerEngine<TlsServerOptions>;
  readonly #host: Host;

  /** Throws the platform's error for certificates that cannot be used, CrlSignatureError for a CRL. */
  constructor(options: EapServerOptions<G>, engine: ServerEngine<TlsServerOptions> = new TlsServerEngine(options)) {
    this.#options = options;
    this.#engine = engine;
    this.#host = options.host ?? systemHost;
  }

  get options(): EapServerOptions<G> {
    return this.#options;
  }

  /** What it knows of revoked certificates. */
  get judge(): ServerJudge {
    return this.#engine.judge;
  }

  /** Takes other certificates or CRLs, whole or not at all: throws as the constructor does and keeps the old ones. */
  reload(options: EapServerOptions<G>): void {
    this.#engine.reload(options);
    this.#options = options;
  }

  /** Makes session tickets with this key of 48 octets from now on, and accepts no others. */
  setTicketKey(key: Uint8Array): void {
    this.#engine.setTicketKey(key);
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

/** One EAP conversation, in lock step: joins the method with the engine and the decision on the client. */
export class EapConversation<G> {
  readonly #method: EapAuthenticator<G>;
  readonly #engine: ServerEngine<TlsServerOptions>;
  readonly #options: () => EapServerOptions<G>;
  readonly #session: string;
  readonly #turn: EngineTurn | undefined;
  #handshake: ServerHandshake | undefined;
  #caller: Caller<G> | undefined;

  constructor(
    method: EapAuthenticator<G>,
    engine: ServerEngine<TlsServerOptions>,
    options: () => EapServerOptions<G>,
    { session = '', turn }: ConversationParts,
  ) {
    this.#method = method;
    this.#engine = engine;
    this.#options = options;
    this.#session = session;
    this.#turn = turn;
  }

  /** Whether the client has proven that it has a good certificate. */
  get proven(): boolean {
    return this.#method.proven;
  }

  /** The identity that the peer claimed in clear. */
  get claimedIdentity(): string | undefined {
    return this.#method.claimedIdentity;
  }

  /**
   * One Response, or no octets for the start (RFC 4072 3.1). Whoever awaits a success takes its keys over. Rejects only
   * without a guard, with a fault.
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
      // A Response out of turn is answered at once, and the earlier one still waits.
      this.#caller ??= earlier;
    });
  }

  /** Ends the conversation and frees what it holds. */
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
        else this.#exchange(output.token, output.flight, () => undefined);
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
      const done = await turn();
      // Meanwhile the conversation may have been closed.
      if (!done) this.#step({ type: 'busy', token });
      else if (this.#method.busy) this.#exchange(token, flight, done);
      else done();
    } catch (error) {
      this.#fault(error);
    }
  }

  #exchange(token: number, flight: Uint8Array, done: () => void): void {
    try {
      this.#handshake ??= this.#engine.begin(flight);
      this.#handshake.exchange(flight, (answer) => {
        done();
        this.#answered(token, answer);
      });
    } catch (error) {
      done();
      this.#fault(error);
    }
  }

  async #authorize(token: number, peer: VerifiedPeer): Promise<void> {
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

  /** A fault of ours costs this conversation. */
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
