import type { EapServerAnswer } from '../protocol/eap/authenticator.js';
import type { Authorization } from '../protocol/eap/tls-authenticator.js';
import { certificateKey, type PeerIdentity } from '../protocol/eap/verified-peer.js';
import type { ClientAuthorization, EapVerdict, HomeInput, HomeOutput, Token } from '../protocol/home/alphabet.js';
import type { Subscriber } from '../protocol/home/records.js';
import { SEAL_NONCE } from '../protocol/pana/wire/sealed-assignment.js';
import type { ServerEngine } from '../runtime/eap/engine.js';
import { type EapConversation, EapServer, type EapServerOptions, type GrantedTurn } from '../runtime/eap/server.js';
import type { TlsServerOptions } from '../runtime/eap/tls-server.js';
import type { Host } from '../runtime/system/host.js';

/** The options of the EAP server, except for authorization, which the home machine decides. */
export type EapCredentials = Omit<EapServerOptions<Subscriber>, 'authorize'>;

/** Outputs of the home machine for EAP. */
export type EapOutput = Extract<HomeOutput, { type: 'open' | 'eap' | 'close' | 'authorization' | 'turn' }>;

/** Creates the engine that all conversations share. */
export type MakeEngine = (options: TlsServerOptions) => ServerEngine<TlsServerOptions>;

export interface EapConversationsParts {
  readonly makeEngine: MakeEngine;
  readonly host: Host;
  readonly feed: (input: HomeInput) => void;
  /** Whether so many hook jobs of a subscriber are pending that no more may be started. */
  readonly isBehind: (nai: string) => boolean;
}

/**
 * Runs the EAP conversations of the home machine. The machine passes packets with a token; results and questions
 * return to it as inputs.
 */
export class EapConversations {
  readonly server: EapServer<Subscriber>;
  readonly #parts: EapConversationsParts;
  readonly #open = new Map<Token, EapConversation<Subscriber>>();
  readonly #authorizing = new Map<Token, (authorization: Authorization<Subscriber>) => void>();
  readonly #turns = new Map<Token, (turn: GrantedTurn | undefined) => void>();
  #last = 0;

  constructor(credentials: EapCredentials, parts: EapConversationsParts) {
    this.#parts = parts;
    const options: EapServerOptions<Subscriber> = {
      ...credentials,
      authorize: (peer, conversation) => this.#authorize(peer, Number(conversation)),
    };
    this.server = new EapServer(options, parts.makeEngine(options));
  }

  perform(output: EapOutput): void {
    switch (output.type) {
      case 'open': {
        const { conversation, mtu, extendedMasterSecret } = output;
        const turn = () => this.#turn(conversation);
        const parts = { mtu, session: String(conversation), turn, extendedMasterSecret };
        this.#open.set(conversation, this.server.conversation(parts));
        break;
      }
      case 'eap':
        void this.#handle(output.token, this.#open.get(output.conversation), output.packet);
        break;
      case 'close':
        this.#open.get(output.conversation)?.close();
        this.#open.delete(output.conversation);
        break;
      case 'authorization':
        this.#authorizing.get(output.token)?.(ofEap(output.authorization));
        this.#authorizing.delete(output.token);
        break;
      case 'turn': {
        const { token } = output;
        const done = () => this.#parts.feed({ type: 'flown', token });
        this.#turns.get(token)?.(output.granted ? { engine: output.engine, done } : undefined);
        this.#turns.delete(token);
      }
    }
  }

  async #handle(
    token: Token,
    conversation: EapConversation<Subscriber> | undefined,
    packet: Uint8Array,
  ): Promise<void> {
    const over = { type: 'invalid', packet: undefined, reason: 'the conversation is over' } as const;
    const answer = conversation ? await conversation.handle(packet) : over;
    this.#parts.feed({ type: 'verdict', token, verdict: this.#verdict(answer, conversation?.claimedIdentity) });
  }

  #verdict(answer: EapServerAnswer<Subscriber>, identity: string | undefined): EapVerdict {
    switch (answer.type) {
      case 'busy':
        return { type: 'busy' };
      case 'failure':
        return { ...answer, identity };
      case 'success': {
        const { peer, grant: subscriber, tlsVersion: tls, packet, msk, emsk, sessionId, resumed } = answer;
        const { fingerprint256: sha256, notAfter } = peer;
        return {
          type: 'success',
          packet,
          msk,
          emsk,
          sessionId,
          nonce: this.#parts.host.random(SEAL_NONCE),
          tls,
          resumed,
          sha256,
          subscriber,
          certificate: certificateKey(peer),
          validFor: notAfter - this.#parts.host.wall(),
          hooksBehind: this.#parts.isBehind(subscriber.nai),
        };
      }
      default:
        return answer;
    }
  }

  #authorize({ peerIds: names, fingerprint256: sha256 }: PeerIdentity, conversation: Token) {
    return new Promise<Authorization<Subscriber>>((resolve) => {
      const token = this.#next();
      this.#authorizing.set(token, resolve);
      this.#parts.feed({ type: 'proven', token, conversation, client: { names, sha256 } });
    });
  }

  /** Waits for the conversation's turn to use the TLS engine. */
  #turn(conversation: Token): Promise<GrantedTurn | undefined> {
    return new Promise((resolve) => {
      const token = this.#next();
      this.#turns.set(token, resolve);
      this.#parts.feed({ type: 'flight', token, conversation });
    });
  }

  #next(): Token {
    this.#last += 1;
    return this.#last;
  }
}

function ofEap(authorization: ClientAuthorization): Authorization<Subscriber> {
  if (!authorization.ok) return authorization;
  const { subscriber } = authorization;
  return { ok: true, identity: subscriber.nai, grant: subscriber };
}
